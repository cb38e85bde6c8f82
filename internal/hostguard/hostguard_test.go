package hostguard

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

func guard(t *testing.T, allow ...string) *Guard {
	g, err := New("--allow-host", allow...)
	require.NoError(t, err)
	return g
}

func TestHosts(t *testing.T) {
	g := guard(t, "braze.staging.example.com", ".svc.cluster.local", "Dotted.Example.COM.")
	require.True(t, g.Knows(""))
	for _, row := range casefile.Read(t, "testdata/hosts.tsv", 2) {
		require.Equal(t, row[0] == "own", g.Knows(row[1]), "%q", row[1])
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
