package mockbraze

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/internal/openapitest"
)

func localRequest(method, path, body string) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "localhost:8091"
	return r
}

// control calls the control API and returns its answer, which must have the
// status, unless that is 0.
func control(t *testing.T, h http.Handler, status int, method, path, body string) map[string]any {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, localRequest(method, path, body))
	require.True(t, status == 0 || status == rec.Code, "%s %s %s: %d %s", method, path, body, rec.Code, rec.Body)
	var answer map[string]any
	require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &answer), "%s", rec.Body)
	if rec.Code >= 400 {
		require.NotEmpty(t, answer["error"])
		require.NotEmpty(t, answer["what_to_do"])
	}
	return answer
}

func TestControlAPIChangesCredentials(t *testing.T) {
	e := &endpoint{probe: 401}
	h := e.open(t).Handler()
	require.Equal(t, []any{}, control(t, h, 200, "GET", "/api/currents", "")["currents"])
	answer := control(t, h, 201, "POST", "/api/currents", `{"url":"http://x.example/a","token":"wrong"}`)
	require.Len(t, answer["events"], 102, "all types where none is chosen")
	require.NotContains(t, answer, "token")
	control(t, h, 409, "POST", "/api/currents/1/send?events=5", "") // it is not launched
	require.Contains(t, control(t, h, 400, "POST", "/api/currents/1/send", "")["what_to_do"], "POST /api/currents/1/send?")
	require.Contains(t, control(t, h, 422, "POST", "/api/currents/1/launch", "")["error"], "401")
	e.probe = 200
	control(t, h, 200, "POST", "/api/currents/1/launch", `{"token":"right","url":"http://x.example/b"}`)
	last := e.requests[len(e.requests)-1]
	require.Equal(t, "Bearer right", last.header.Get("Authorization"))
	require.Equal(t, "http://x.example/b", last.url)

	e.say(always(403))
	answer = control(t, h, 200, "POST", "/api/currents/1/send?events=1&types=users.canvas.Entry", "")
	require.Equal(t, map[string]any{"unauthorized": 1.0}, answer["dropped"])
	require.Equal(t, []string{"users.canvas.Entry"}, e.batches()[0].types)
	answer = control(t, h, 409, "POST", "/api/currents/1/send?events=3", "")
	require.Contains(t, answer["error"], "held")
	require.Contains(t, answer["what_to_do"], "/api/currents/1/launch")
	list := control(t, h, 200, "GET", "/api/currents", "")["currents"].([]any)
	require.Len(t, list, 1)
	require.Equal(t, "held", list[0].(map[string]any)["state"])
}

// TestASendGoesOnWithoutItsClient ends the request while the endpoint is down.
func TestASendGoesOnWithoutItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: always(503)}
		s := e.open(t)
		current := s.Launch(Current{URL: "http://x.example"})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		s.Handler().ServeHTTP(httptest.NewRecorder(), localRequest("POST", "/api/currents/1/send?events=3", "").WithContext(ctx))
		e.say(always(200))
		time.Sleep(time.Hour)
		require.EqualValues(t, 3, current.Report().Counts.Sent)
		s.Close()
		control(t, s.Handler(), 503, "POST", "/api/currents/1/send?events=3", "")
	})
}

func TestControlAPIRejectsMistakes(t *testing.T) {
	h := (&endpoint{}).open(t).Handler()
	control(t, h, 201, "POST", "/api/currents", `{"url":"http://x.example"}`)
	for _, f := range casefile.Read(t, "testdata/mistakes.txt", 5) { // status, method, path, body, what the error says
		status, err := strconv.Atoi(f[0])
		require.NoError(t, err)
		require.Contains(t, control(t, h, status, f[1], f[2], f[3])["error"], f[4])
	}
}

// TestOtherSitesAreRejected: neither the API nor the page answers requests for
// a host name of another site, or sent from its page.
func TestOtherSitesAreRejected(t *testing.T) {
	h := Start(t).Handler()
	own := httptest.NewRecorder()
	h.ServeHTTP(own, localRequest("GET", "/", ""))
	require.Equal(t, 200, own.Code)
	require.Equal(t, "text/html; charset=utf-8", own.Header().Get("Content-Type"))
	for _, tt := range [][3]string{
		{"/", "evil.example.com:8091", ""}, {"/assets/main.js", "evil.example.com:8091", ""}, {"/api/currents", "evil.example.com:8091", ""},
		{"/api/currents", "localhost:8091", "http://evil.example.com"},
	} {
		r := localRequest("POST", tt[0], `{"url":"http://x.example"}`)
		r.Host = tt[1]
		r.Header.Set("Origin", tt[2])
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		require.Equal(t, 403, rec.Code, tt[0])
		require.Contains(t, rec.Body.String(), "what_to_do")
	}
	_, err := New(WithAllowedHosts("http://braze.example.com"))
	require.ErrorContains(t, err, "--allow-host")
}

// Every route and every parameter is described, and nothing else.
func TestOpenAPIListsWhatThereIs(t *testing.T) {
	var routes []openapitest.Route
	for _, r := range new(Server).operations() {
		routes = append(routes, openapitest.Route{Method: r.method, Path: r.path, Params: r.params})
	}
	openapitest.Read(t, openAPI).RequireRoutes(t, routes)
}

// Real answers keep to what the description says of them.
func TestOpenAPIAnswers(t *testing.T) {
	e := &endpoint{}
	s := e.open(t)
	h := s.Handler()
	send := func(c openapitest.Call) *httptest.ResponseRecorder {
		if c.Path == "/api/currents/1/send" { // one that is refused, so that there is a reason and a split
			e.say(always(400))
		}
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, localRequest(c.Method, c.Path, c.Body))
		return answer
	}
	openapitest.Read(t, openAPI).RequireAnswers(t, send, "", "testdata/calls.txt")
}
