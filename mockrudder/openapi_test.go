package mockrudder

import (
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/openapitest"
)

// Every route and every parameter is described, and nothing else.
func TestOpenAPIRoutes(t *testing.T) {
	s, err := New(WithoutValidation())
	require.NoError(t, err)
	defer s.Close()
	var routes []openapitest.Route
	for _, r := range s.queries() {
		routes = append(routes, openapitest.Route{Method: r.method, Path: r.path, Params: r.params})
	}
	openapitest.Read(t, []byte(openAPI)).RequireRoutes(t, routes)
}

// send sends a request with the key wkHTTP.
func send(s *Server, method, path, body string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, "http://localhost:8090"+path, strings.NewReader(body))
	request.SetBasicAuth("wkHTTP", "")
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Test-ID", "t-1")
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, request)
	return answer
}

// Responses match the description.
func TestOpenAPIAnswers(t *testing.T) {
	s, err := New(WithSource("k", Braze), WithSource("off", HTTP, Disabled()))
	require.NoError(t, err)
	defer s.Close()
	require.Equal(t, 200, send(s, "POST", "/v1/webhook?writeKey=k", `{"events":[{"event_type":"users.behaviors.app.SessionStart","id":"e","time":"abc","user":{"user_id":"u"},"properties":{"brand_new":1}}]}`).Code)
	require.Equal(t, 401, send(s, "POST", "/v1/batch", `{}`).Code)
	ask := func(c openapitest.Call) *httptest.ResponseRecorder { return send(s, c.Method, c.Path, c.Body) }
	call := openapitest.NewCall
	openapitest.Read(t, []byte(openAPI)).RequireAnswers(t, ask, "/_mock/stream", []openapitest.Call{
		call("GET", "/_mock/events", "", "/_mock/events", "200"),
		call("GET", "/_mock/events?summary=1&order=desc&test=t-1", "", "/_mock/events", "200"),
		call("GET", "/_mock/events?count=9&wait=1ms", "", "/_mock/events", "200"),
		call("GET", "/_mock/events?limit=x", "", "/_mock/events", "400"),
		call("GET", "/_mock/events/1", "", "/_mock/events/{id}", "200"),
		call("GET", "/_mock/events/99", "", "/_mock/events/{id}", "404"),
		call("GET", "/_mock/stats", "", "/_mock/stats", "200"),
		call("GET", "/_mock/rates?seconds=5", "", "/_mock/rates", "200"),
		call("GET", "/_mock/sources", "", "/_mock/sources", "200"),
		call("GET", "/_mock/openapi.json", "", "/_mock/openapi.json", "200"),
		call("PUT", "/_mock/faults", `[{"hang":true},{"path":"/v1/*","source":"k","probability":0.5,"requests":3,"method":"GET","test_id":"x","nth":1,"latency":"1s","latency_max":"2s","status":500,"body":"x","retry_after":1,"trickle":"1s"},{"wrong_body":"html","every":2}]`, "/_mock/faults", "200"),
		call("POST", "/_mock/faults", `{"id":"mine","close":"stored"}`, "/_mock/faults", "201"),
		call("POST", "/_mock/faults", `{"hang":"1s","contains":"x"}`, "/_mock/faults", "201"),
		call("POST", "/_mock/faults", `{"database":"locked","transformer":"error"}`, "/_mock/faults", "201"),
		call("POST", "/_mock/faults", `{"close":"never"}`, "/_mock/faults", "400"),
		call("GET", "/_mock/faults", "", "/_mock/faults", "200"),
		call("DELETE", "/_mock/faults/mine", "", "/_mock/faults/{id}", "200"),
		call("DELETE", "/_mock/faults/mine", "", "/_mock/faults/{id}", "404"),
		call("POST", "/_mock/reset?keep=faults", "", "/_mock/reset", "200"),
		call("GET", "/_mock/stats?x=1", "", "/_mock/stats", "400"),
	})
}

// The stream matches the description.
func TestOpenAPIStream(t *testing.T) {
	api := openapitest.Read(t, []byte(openAPI))
	synctest.Test(t, func(t *testing.T) {
		s, err := New()
		require.NoError(t, err)
		send(s, "POST", "/v1/batch", `{"batch":[{"userId":"u","type":"track","event":"E"}]}`)
		var answer *httptest.ResponseRecorder
		done := make(chan struct{})
		go func() {
			answer = send(s, "GET", "/_mock/stream?after=0", "")
			close(done)
		}()
		synctest.Wait()
		s.Close()
		<-done
		require.Equal(t, "text/event-stream", answer.Header().Get("Content-Type"))
		lines := strings.Split(answer.Body.String(), "\n")
		require.Equal(t, []string{"event: message", "id: 1"}, lines[:2])
		data, ok := strings.CutPrefix(lines[2], "data: ")
		require.True(t, ok)
		api.RequireShape(t, "GET", "/_mock/stream", "200", "text/event-stream", []byte(data))
		require.Contains(t, data, `"event":"E"`)
	})
}
