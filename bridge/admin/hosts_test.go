package admin

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// named asks for a path with a Host header.
func (f *fixture) named(t *testing.T, method, path, host, token string, status int) string {
	t.Helper()
	r := httptest.NewRequest(method, "http://x"+path, nil)
	r.Host = host
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	// A browser says this of a page whose own name leads here.
	r.Header.Set("Origin", "http://"+host)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return f.request(t, r, status)
}

// A page of the internet may have its own name resolve to this address after it was
// loaded (DNS rebinding). It can read and change nothing.
func TestForeignNamesReachNothing(t *testing.T) {
	f := newFixture(t)
	f.a.dead = letters()
	for _, host := range []string{"evil.com:9090", "bridge.example.com", "127.0.0.1.evil.com", "bridge.default.svc:9090", "a.local"} {
		for _, path := range []string{"/status", "/metrics", "/api/dead", "/api/dead/1", "/api/replay", "/api/drift", "/nothing"} {
			body := f.named(t, http.MethodGet, path, host, "", 403)
			require.Contains(t, body, "admin_hosts, or set an admin_token")
		}
		for _, path := range []string{"/api/dead/replay", "/api/dead/purge", "/api/resume", "/api/replay", "/api/replay/end", "/api/forget"} {
			f.named(t, http.MethodPost, path+"?user=jo&since=1h&all=true", host, "", 403)
		}
		f.named(t, http.MethodGet, "/livez", host, "", 200)
		body := f.named(t, http.MethodGet, "/readyz", host, "", 200)
		require.JSONEq(t, `{"ready":true}`, body, "without the names of connectors")
		f.usage.Full = true
		body = f.named(t, http.MethodGet, "/readyz", host, "", 503)
		require.JSONEq(t, `{"ready":false}`, body)
		f.usage.Full = false
	}
	require.Len(t, f.a.dead, 6)
	require.Empty(t, f.resumed)
}

// Prometheus asks by an IP address or by the name of a container or service, an
// operator also through a tunnel or a proxy that is named.
func TestOwnNamesReachAll(t *testing.T) {
	f := newFixture(t)
	require.NoError(t, f.SetHosts([]string{"bridge.example.com", ".svc", ".svc.cluster.local"}))
	for _, host := range []string{
		"localhost:9090", "127.0.0.1:9090", "[::1]:9090", "10.2.3.4:9090", "bridge", "bridge:9090", "host.docker.internal:9090",
		"bridge.example.com", "bridge.default.svc:9090", "bridge.default.svc.cluster.local:9090",
	} {
		for _, path := range []string{"/metrics", "/status", "/api/dead"} {
			f.named(t, http.MethodGet, path, host, "", 200)
		}
		body := f.named(t, http.MethodGet, "/readyz", host, "", 200)
		require.Contains(t, body, `"connectors":[{`)
		f.named(t, http.MethodPost, "/api/resume?connector=a", host, "", 200)
	}
	f.named(t, http.MethodGet, "/status", "other.example.com", "", 403)

	require.Error(t, f.SetHosts([]string{"http://bridge.example.com"}))
	f.named(t, http.MethodGet, "/status", "bridge.example.com", "", 200) // what is wrong changes nothing
	cfg := f.cfg
	cfg.Hosts, cfg.Registry = []string{"a b"}, nil
	_, err := New(cfg)
	require.ErrorContains(t, err, "admin_hosts")
}

// No page has the token, so a request with it may have any Host header.
func TestATokenNeedsNoName(t *testing.T) {
	f := newFixture(t)
	f.SetToken("operator")
	f.named(t, http.MethodGet, "/status", "bridge.example.com", "operator", 200)
	f.named(t, http.MethodGet, "/status", "bridge.example.com", "wrong", 401)
	f.SetToken("")
	f.named(t, http.MethodGet, "/status", "bridge.example.com", "operator", 403) // there is no token to have
}
