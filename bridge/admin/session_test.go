package admin

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ask sends a request with headers, and returns the whole response.
func (f *fixture) ask(method, path, body string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, "http://bridge.example.com:9090"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w.Result()
}

func (f *fixture) login(t *testing.T) *http.Cookie {
	t.Helper()
	resp := f.ask("POST", "/api/login", `{"token":"operator"}`)
	require.Equal(t, 200, resp.StatusCode)
	require.Len(t, resp.Cookies(), 1)
	return resp.Cookies()[0]
}

func withToken(t *testing.T) *fixture {
	f := newFixture(t)
	f.SetToken("operator")
	return f
}

func TestLogin(t *testing.T) {
	f := withToken(t)
	for _, path := range []string{"/", "/assets/main.js", "/assets/theme.css", "/api/session"} {
		resp := f.ask("GET", path, "")
		require.Equal(t, 200, resp.StatusCode, path)
	}
	for _, path := range []string{"/status", "/api/overview", "/api/samples", "/api/config", "/api/dead", "/metrics"} {
		require.Equal(t, 401, f.ask("GET", path, "").StatusCode, path)
		require.Equal(t, 401, f.ask("GET", path, "", "Cookie", sessionCookie+"=guess").StatusCode, path)
	}
	for body, want := range map[string]int{`{"token":"wrong"}`: 401, `{}`: 401, `{"token":""}`: 401, `nonsense`: 400, `{"token":"operator"}`: 200} {
		require.Equal(t, want, f.ask("POST", "/api/login", body).StatusCode, body)
	}
	require.Equal(t, 400, f.ask("POST", "/api/login?token=operator", `{}`).StatusCode, "no token in a URL")
	require.NotContains(t, f.log.String(), "operator")

	cookie := f.login(t)
	require.True(t, cookie.HttpOnly)
	require.False(t, cookie.Secure, "the address speaks plain HTTP")
	require.Equal(t, http.SameSiteStrictMode, cookie.SameSite)
	require.Greater(t, len(cookie.Value), 20)
	require.NotEqual(t, cookie.Value, f.login(t).Value)
	require.NotContains(t, cookie.Value, "operator")
	secure := f.ask("POST", "/api/login", `{"token":"operator"}`, "X-Forwarded-Proto", "https").Cookies()[0]
	require.True(t, secure.Secure)

	had := []string{"Cookie", cookie.Name + "=" + cookie.Value}
	require.Equal(t, 200, f.ask("GET", "/status", "", had...).StatusCode)
	require.Equal(t, 200, f.ask("POST", "/api/resume", `{"connector":"a"}`, had...).StatusCode)
	require.Equal(t, 401, f.ask("GET", "/status", "", append(had, "Authorization", "Bearer wrong")...).StatusCode, "what a script says counts")
	require.Equal(t, 200, f.ask("GET", "/status", "", "Authorization", "Bearer operator").StatusCode)

	require.Equal(t, 200, f.ask("POST", "/api/logout", "", had...).StatusCode)
	require.Equal(t, 401, f.ask("GET", "/status", "", had...).StatusCode)
}

func TestSessionsEnd(t *testing.T) {
	for name, end := range map[string]func(*fixture){
		"with time":                             func(f *fixture) { f.cfg.Now = func() time.Time { return noon.Add(sessionAge) } },
		"with another token":                    func(f *fixture) { f.SetToken("another") },
		"when there is no token, and one again": func(f *fixture) { f.SetToken(""); f.SetToken("operator") },
	} {
		t.Run(name, func(t *testing.T) {
			f := withToken(t)
			cookie := f.login(t)
			had := []string{"Cookie", cookie.Name + "=" + cookie.Value}
			f.SetToken("operator") // as a reload of the same configuration does
			f.cfg.Now = func() time.Time { return noon.Add(sessionAge - time.Second) }
			require.Equal(t, 200, f.ask("GET", "/status", "", had...).StatusCode)
			end(f)
			require.Equal(t, 401, f.ask("GET", "/status", "", had...).StatusCode)
		})
	}
}

// A session's cookie goes along with requests that pages of other ports make;
// the browser says whose they are.
func TestPagesFromElsewhereDoNothingWithASession(t *testing.T) {
	f := withToken(t)
	cookie := f.login(t)
	for _, path := range []string{"/api/resume", "/api/dead/replay?all=true", "/api/dead/purge?all=true", "/api/pending/dead-letter", "/api/replay?since=1h", "/api/replay/end", "/api/forget?user=jo", "/api/logout", "/api/login"} {
		for _, headers := range [][]string{
			{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "http://localhost:3000"}, {"Origin", "null"},
		} {
			resp := f.ask("POST", path, "", append(headers, "Cookie", cookie.Name+"="+cookie.Value)...)
			require.Equal(t, 403, resp.StatusCode, "%s %v", path, headers)
		}
	}
	require.Equal(t, 401, f.ask("GET", "/api/dead", "", "Cookie", cookie.Name+"="+cookie.Value, "Sec-Fetch-Site", "same-site").StatusCode)
	require.Empty(t, f.resumed)
	require.Zero(t, f.a.moves)
}

func TestHeaders(t *testing.T) {
	f := newFixture(t)
	resp := f.ask("GET", "/", "", "Authorization", "none")
	require.Equal(t, 403, resp.StatusCode, "a foreign name gets no page either")
	f.SetToken("operator")
	resp = f.ask("GET", "/", "")
	policy := resp.Header.Get("Content-Security-Policy")
	require.Contains(t, policy, "default-src 'none'; script-src 'self'; style-src 'self'")
	require.NotContains(t, policy, "unsafe")
	for _, path := range []string{"/", "/api/session", "/status"} {
		header := f.ask("GET", path, "", "Authorization", "Bearer operator").Header
		require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"), path)
		require.Equal(t, "same-origin", header.Get("Cross-Origin-Resource-Policy"), path)
		require.Contains(t, []string{"no-store", "no-cache"}, header.Get("Cache-Control"), path)
	}
}
