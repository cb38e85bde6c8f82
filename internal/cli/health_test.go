package cli

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func check(t *testing.T, args ...string) (int, string) {
	cmd := HealthCommand(Health{Env: "X", Flag: "listen", Address: "127.0.0.1:1", Path: "/readyz", Live: "/livez"})
	cmd.SetArgs(args)
	var stdout, stderr bytes.Buffer
	cmd.SetOut(&stdout)
	code := run(t.Context(), cmd, nil, &stderr)
	require.Empty(t, stdout.String())
	return code, stderr.String()
}

func program(t *testing.T) string {
	mux := http.NewServeMux()
	mux.HandleFunc("/livez", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte("{\"ready\":false,\"reason\":\"queue\\nis full\",\"connectors\":[]}"))
	})
	mux.HandleFunc("/empty", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/livez", http.StatusFound) })
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func TestHealthcheck(t *testing.T) {
	address := program(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	tests := []struct {
		name string
		args []string
		code int
		text string
	}{
		{"well", []string{"--listen", address, "--live"}, 0, ""},
		{"any URL", []string{"--url", "http://" + address + "/livez"}, 0, ""},
		{"not ready, with the reason on the same line", []string{"--listen", address}, 1, `/readyz answered 503: "queue\nis full"`},
		{"only 200 will do", []string{"--url", "http://" + address + "/empty"}, 1, "/empty answered 204"},
		{"redirects are not followed", []string{"--url", "http://" + address + "/moved"}, 1, "/moved answered 302"},
		{"no server", []string{"--listen", closed.Addr().String()}, 1, "connection refused"},
		{"too slow", []string{"--url", "http://" + address + "/slow", "--timeout", "20ms"}, 1, "no answer within 20ms"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, text := check(t, tt.args...)
			require.Equal(t, tt.code, code, text)
			require.Contains(t, text, tt.text)
			if code == 0 {
				require.Empty(t, text)
			} else {
				require.Equal(t, 1, strings.Count(text, "\n"), text)
			}
		})
	}
}

// The address comes from the variable that the program's serve command reads,
// and nothing else does: X_TIMEOUT is another command's.
func TestHealthcheckReadsTheAddressFromTheEnvironment(t *testing.T) {
	_, port, err := net.SplitHostPort(program(t))
	require.NoError(t, err)
	t.Setenv("X_LISTEN", "0.0.0.0:"+port)
	t.Setenv("X_TIMEOUT", "not a duration")
	code, text := check(t, "--live")
	require.Zero(t, code, text)
}

func TestBaseURL(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:9090":        "http://127.0.0.1:9090",
		":9090":                 "http://127.0.0.1:9090",
		"0.0.0.0:9090":          "http://127.0.0.1:9090",
		"[::]:9090":             "http://127.0.0.1:9090",
		"bridge:9090":           "http://bridge:9090",
		"https://bridge/admin/": "https://bridge/admin",
	} {
		require.Equal(t, want, BaseURL(address))
	}
}
