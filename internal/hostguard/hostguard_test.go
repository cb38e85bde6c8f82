package hostguard

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func guard(t *testing.T, allow ...string) *Guard {
	t.Helper()
	g, err := New("--allow-host", allow...)
	require.NoError(t, err)
	return g
}

func TestHosts(t *testing.T) {
	g := guard(t, "braze.staging.example.com", ".svc.cluster.local", "Dotted.Example.COM.")
	for host, want := range map[string]bool{
		"":                               true,
		"localhost":                      true,
		"localhost:8091":                 true,
		"LOCALHOST:8091":                 true,
		"localhost.":                     true,
		"app.localhost:8091":             true,
		"127.0.0.1":                      true,
		"127.0.0.1:8091":                 true,
		"10.1.2.3:8091":                  true,
		"203.0.113.7":                    true,
		"[::1]":                          true,
		"[::1]:8091":                     true,
		"[fe80::1%eth0]:8091":            true,
		"mockbraze:8091":                 true,
		"mock_braze":                     true,
		"host.docker.internal:8091":      true,
		"host.containers.internal":       true,
		"rudder.test":                    true,
		"braze.staging.example.com":      true,
		"BRAZE.staging.example.com.:443": true,
		"dotted.example.com":             true,
		"a.default.svc.cluster.local:1":  true,

		"evil.com":                         false,
		"evil.com:8091":                    false,
		"evil.com.":                        false,
		"127.0.0.1.evil.com":               false,
		"127.0.0.1.nip.io:8091":            false,
		"localhost.evil.com":               false,
		"localtest.me":                     false,
		"printer.local":                    false,
		"x.braze.staging.example.com":      false,
		"svc.cluster.local":                false,
		".svc.cluster.local":               false,
		"evilsvc.cluster.local":            false,
		"a.svc.cluster.local.evil.com":     false,
		"host.docker.internal.evil.com":    false,
		"evil.com:localhost":               false,
		":8091":                            false,
		".":                                false,
		"[::1].evil.com":                   false,
		"evil.com:80:localhost":            false,
		"evil:80:localhost":                false,
		"evil.com:80:x.localhost":          false,
		"braze.staging.example.com@evil.x": false,
	} {
		require.Equal(t, want, g.Knows(host), "%q", host)
	}
}

func TestRefusalSaysWhatToSet(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "http://evil.example.com:8091/api/currents", nil)
	no := guard(t).Check(r)
	require.NotNil(t, no)
	require.Contains(t, no.Error(), `"evil.example.com:8091"`)
	require.Contains(t, no.Error(), "--allow-host")
	require.Nil(t, guard(t, "evil.example.com").Check(r))
}

// A name that is known does not make a page from elsewhere one's own.
func TestPagesFromElsewhere(t *testing.T) {
	g := guard(t)
	for _, header := range []map[string]string{
		{"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.com"}, {"Origin": "null"},
	} {
		for method, ok := range map[string]bool{"POST": false, "PUT": false, "DELETE": false, "GET": true} {
			r := httptest.NewRequest(method, "http://localhost:8091/", nil)
			for name, value := range header {
				r.Header.Set(name, value)
			}
			require.Equal(t, ok, g.Check(r) == nil, "%s %v", method, header)
		}
	}
	own := httptest.NewRequest(http.MethodPost, "http://localhost:8091/", nil)
	own.Header.Set("Origin", "http://localhost:8091")
	require.Nil(t, g.Check(own))
	require.Nil(t, g.Check(httptest.NewRequest(http.MethodPost, "http://localhost:8091/", nil)), "no browser")
}

func TestNewRejectsInvalidNames(t *testing.T) {
	for _, name := range []string{"", ".", "http://a.b", "a.b:80", "*.a.b", "a..b", "a b"} {
		_, err := New("--allow-host", "fine.example.com", name)
		require.ErrorContains(t, err, "--allow-host", "%q", name)
	}
}

func TestWithListen(t *testing.T) {
	given := make([]string, 1, 5)
	given[0] = "a.b"
	for address, want := range map[string][]string{
		"braze.example.com:8091": {"a.b", "braze.example.com"},
		"127.0.0.1:8091":         {"a.b"},
		"[::]:8091":              {"a.b"},
		":8091":                  {"a.b"},
		"nonsense":               {"a.b"},
	} {
		require.Equal(t, want, WithListen(given, address), address)
	}
	require.Equal(t, []string{"a.b", "", ""}, given[:3], "what was given is left alone")
}
