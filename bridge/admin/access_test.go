package admin

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var changing = []string{
	"POST /api/resume", "POST /api/dead/replay?all=true", "POST /api/dead/purge?all=true", "POST /api/pending/dead-letter",
	"POST /api/replay?since=1h", "POST /api/replay/end", "POST /api/forget?user=jo", "POST /api/logout", "POST /api/login",
}

func (f *fixture) requireUnchanged(t *testing.T) {
	require.Empty(t, f.resumed)
	require.Zero(t, f.a.moves)
	require.Len(t, f.a.dead, 6)
	require.Zero(t, f.a.replay.Number)
}

// withToken is a fixture whose token is operator, and a session that is open in it.
func withToken(t *testing.T) (f *fixture, cookie *http.Cookie, had []string) {
	f = newFixture()
	f.a.dead = letters()
	f.SetToken("operator")
	resp := f.ask("POST /api/login", `{"token":"operator"}`)
	require.Equal(t, 200, resp.StatusCode)
	require.Len(t, resp.Cookies(), 1)
	cookie = resp.Cookies()[0]
	return f, cookie, []string{"Cookie", cookie.Name + "=" + cookie.Value}
}

func TestToken(t *testing.T) {
	f, _, _ := withToken(t)
	for _, path := range []string{"/status", "/metrics", "/api/dead", "/api/dead/1", "/api/replay", "/api/drift", "/nothing"} {
		for _, wrong := range []string{"", "Bearer", "Bearer operato", "Bearer operator2", "Basic operator", "operator"} {
			f.call(t, 401, "GET "+path, "", "Authorization", wrong)
		}
		require.NotEqual(t, 401, f.ask("GET "+path, "", "Authorization", "bearer operator").StatusCode, path)
	}
	require.Contains(t, f.call(t, 401, "POST /api/resume", ""), `{"error":"the admin token is missing or wrong`)
	f.requireUnchanged(t)
	f.get(t, "/livez")
	f.get(t, "/readyz")
	f.SetToken("next")
	f.call(t, 401, "GET /status", "", "Authorization", "Bearer operator")
	f.SetToken("")
	f.get(t, "/status")
}

func TestLogin(t *testing.T) {
	f, cookie, had := withToken(t)
	for _, path := range []string{"/", "/assets/main.js", "/assets/theme.css", "/api/session"} {
		f.get(t, path)
	}
	for _, path := range []string{"/status", "/api/overview", "/api/samples", "/api/config", "/api/dead", "/metrics"} {
		f.call(t, 401, "GET "+path, "")
		f.call(t, 401, "GET "+path, "", "Cookie", sessionCookie+"=guess")
	}
	for body, want := range map[string]int{`{"token":"wrong"}`: 401, `{}`: 401, `{"token":""}`: 401, `[nonsense`: 400, `{"token":"operator"}`: 200} {
		f.call(t, want, "POST /api/login", body)
	}
	f.call(t, 400, "POST /api/login?token=operator", `{}`) // no token in a URL
	require.NotContains(t, f.log.String(), "operator")

	require.True(t, cookie.HttpOnly)
	require.False(t, cookie.Secure, "the address speaks plain HTTP")
	require.Equal(t, http.SameSiteStrictMode, cookie.SameSite)
	require.Greater(t, len(cookie.Value), 20)
	require.NotContains(t, cookie.Value, "operator")
	other := f.ask("POST /api/login", `{"token":"operator"}`, "X-Forwarded-Proto", "https").Cookies()[0]
	require.True(t, other.Secure)
	require.NotEqual(t, cookie.Value, other.Value)

	f.call(t, 200, "GET /status", "", had...)
	f.call(t, 200, "POST /api/resume", `{"connector":"a"}`, had...)
	f.call(t, 401, "GET /status", "", append(had, "Authorization", "Bearer wrong")...) // what a script says counts
	f.call(t, 200, "GET /status", "", "Authorization", "Bearer operator")

	f.call(t, 200, "POST /api/logout", "", had...)
	f.call(t, 401, "GET /status", "", had...)
}

func TestSessionsEnd(t *testing.T) {
	for name, end := range map[string]func(*fixture){
		"with time":                             func(f *fixture) { f.cfg.Now = func() time.Time { return noon.Add(sessionAge) } },
		"with another token":                    func(f *fixture) { f.SetToken("another") },
		"when there is no token, and one again": func(f *fixture) { f.SetToken(""); f.SetToken("operator") },
	} {
		t.Run(name, func(t *testing.T) {
			f, _, had := withToken(t)
			f.SetToken("operator") // as a reload of the same configuration does
			f.cfg.Now = func() time.Time { return noon.Add(sessionAge - time.Second) }
			f.call(t, 200, "GET /status", "", had...)
			end(f)
			f.call(t, 401, "GET /status", "", had...)
		})
	}
}

// Pages of other sites may change nothing, whatever they know. A session's cookie goes
// along with requests that pages of other ports make; the browser says whose they are.
func TestPagesFromElsewhere(t *testing.T) {
	f, _, had := withToken(t)
	f.call(t, 401, "GET /api/dead", "", append(had, "Sec-Fetch-Site", "same-site")...)
	for _, token := range []string{"operator", ""} {
		f.SetToken(token)
		for _, line := range changing {
			for _, headers := range [][]string{
				{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "http://localhost:3000"}, {"Origin", "null"},
			} {
				require.Contains(t, f.call(t, 403, line, "", append(headers, had...)...), `{"error":"`)
			}
		}
	}
	f.requireUnchanged(t)
}

// named are the headers of a page whose own name leads here, as a browser says them.
func named(host string) []string {
	return []string{"Host", host, "Origin", "http://" + host, "Sec-Fetch-Site", "same-origin"}
}

// A page of the internet may have its own name resolve to this address after it was
// loaded (DNS rebinding). It can read and change nothing.
func TestForeignNamesReachNothing(t *testing.T) {
	f := newFixture()
	f.a.dead = letters()
	for _, host := range []string{"evil.com:9090", "bridge.example.com", "127.0.0.1.evil.com", "bridge.default.svc:9090", "a.local"} {
		for _, path := range []string{"/", "/status", "/metrics", "/api/dead", "/api/dead/1", "/api/replay", "/api/drift", "/nothing"} {
			require.Contains(t, f.call(t, 403, "GET "+path, "", named(host)...), "admin_hosts, or set an admin_token")
		}
		for _, line := range changing {
			f.call(t, 403, line, "", named(host)...)
		}
		f.call(t, 200, "GET /livez", "", named(host)...)
		require.JSONEq(t, `{"ready":true}`, f.call(t, 200, "GET /readyz", "", named(host)...), "without the names of connectors")
		f.usage.Full = true
		require.JSONEq(t, `{"ready":false}`, f.call(t, 503, "GET /readyz", "", named(host)...))
		f.usage.Full = false
	}
	f.requireUnchanged(t)
}

// Prometheus asks by an IP address or by the name of a container or service, an
// operator also through a tunnel or a proxy that is named.
func TestOwnNamesReachAll(t *testing.T) {
	f := newFixture()
	require.NoError(t, f.SetHosts([]string{"bridge.example.com", ".svc", ".svc.cluster.local"}))
	for _, host := range []string{
		"localhost:9090", "127.0.0.1:9090", "[::1]:9090", "10.2.3.4:9090", "bridge", "bridge:9090", "host.docker.internal:9090",
		"bridge.example.com", "bridge.default.svc:9090", "bridge.default.svc.cluster.local:9090",
	} {
		for _, line := range []string{"GET /metrics", "GET /status", "GET /api/dead", "POST /api/resume?connector=a"} {
			f.call(t, 200, line, "", named(host)...)
		}
		require.Contains(t, f.call(t, 200, "GET /readyz", "", named(host)...), `"connectors":[{`)
	}
	f.call(t, 403, "GET /status", "", named("other.example.com")...)

	require.ErrorContains(t, f.SetHosts([]string{"http://bridge.example.com"}), "admin_hosts")
	f.call(t, 200, "GET /status", "", named("bridge.example.com")...) // what is wrong changes nothing

	// No page has the token, so a request with it may have any Host header.
	f.SetToken("operator")
	f.call(t, 200, "GET /status", "", append(named("other.example.com"), "Authorization", "Bearer operator")...)
	f.SetToken("") // there is no token to have
	f.call(t, 403, "GET /status", "", append(named("other.example.com"), "Authorization", "Bearer operator")...)
}

func TestHeaders(t *testing.T) {
	f, _, _ := withToken(t)
	policy := f.ask("GET /", "").Header.Get("Content-Security-Policy")
	require.Contains(t, policy, "default-src 'none'; script-src 'self'; style-src 'self'")
	require.NotContains(t, policy, "unsafe")
	for _, path := range []string{"/", "/api/session", "/status"} {
		header := f.ask("GET "+path, "", "Authorization", "Bearer operator").Header
		require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"), path)
		require.Equal(t, "same-origin", header.Get("Cross-Origin-Resource-Policy"), path)
		require.Contains(t, []string{"no-store", "no-cache"}, header.Get("Cache-Control"), path)
	}
}
