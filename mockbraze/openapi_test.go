package mockbraze

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/openapitest"
)

// Every route and every parameter is described, and nothing else.
func TestOpenAPIListsWhatThereIs(t *testing.T) {
	var routes []openapitest.Route
	for _, r := range (api{}).table() {
		routes = append(routes, openapitest.Route{Method: r.method, Path: strings.ReplaceAll(r.path, ":id", "{id}"), Params: r.params})
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
	call := openapitest.NewCall
	openapitest.Read(t, openAPI).RequireAnswers(t, send, "/api/stream", []openapitest.Call{
		call("POST", "/api/currents", `{"url":"http://x.example/a?writeKey=k","token":"t","contact_email":"a@example.com"}`, "/api/currents", "201"),
		call("POST", "/api/currents", `{"url":"x"}`, "/api/currents", "400"),
		call("GET", "/api/currents", "", "/api/currents", "200"),
		call("GET", "/api/currents?x=1", "", "/api/currents", "400"),
		call("POST", "/api/currents/test", `{"url":"http://x.example"}`, "/api/currents/test", "200"),
		call("POST", "/api/currents/1/pause", "", "/api/currents/{id}/pause", "409"),
		call("POST", "/api/currents/1/test", "", "/api/currents/{id}/test", "200"),
		call("POST", "/api/currents/1/launch", `{"token":"u"}`, "/api/currents/{id}/launch", "200"),
		call("POST", "/api/currents/1/send?count=5&types=users.messages.email.*&scenario=rounds", "", "/api/currents/{id}/send", "200"),
		call("POST", "/api/currents/1/send", `{"events":200,"types":["users.messages.email.Open"]}`, "/api/currents/{id}/send", "200"),
		call("POST", "/api/currents/1/send?events=x", "", "/api/currents/{id}/send", "400"),
		call("POST", "/api/currents/1/flush", "", "/api/currents/{id}/flush", "200"),
		call("PATCH", "/api/currents/1", `{"rate":0}`, "/api/currents/{id}", "200"),
		call("PATCH", "/api/currents/1", `{"rate":-1}`, "/api/currents/{id}", "400"),
		call("GET", "/api/currents/1/seconds", "", "/api/currents/{id}/seconds", "200"),
		call("GET", "/api/event-types", "", "/api/event-types", "200"),
		call("GET", "/api/openapi.json", "", "/api/openapi.json", "200"),
		call("POST", "/api/currents/1/pause", "", "/api/currents/{id}/pause", "200"),
		call("GET", "/api/currents/1", "", "/api/currents/{id}", "200"),
		call("GET", "/api/currents/7", "", "/api/currents/{id}", "404"),
		call("DELETE", "/api/currents/1", "", "/api/currents/{id}", "200"),
		call("DELETE", "/api/currents/1", "", "/api/currents/{id}", "404"),
	})
}

// The stream tells at once, and again when something changed; it ends with the
// server. What it sends keeps to the description.
func TestStream(t *testing.T) {
	doc := openapitest.Read(t, openAPI)
	synctest.Test(t, func(t *testing.T) {
		s := (&endpoint{}).open(t)
		current, err := s.Create(Current{URL: "http://x.example", Name: "one"})
		require.NoError(t, err)
		answer := httptest.NewRecorder()
		done := make(chan struct{})
		go func() {
			s.Handler().ServeHTTP(answer, localRequest("GET", "/api/stream?id=1", ""))
			close(done)
		}()
		time.Sleep(time.Second)
		require.NoError(t, current.Launch(t.Context()))
		time.Sleep(time.Second)
		require.True(t, s.Delete("1"))
		time.Sleep(20 * time.Second)
		s.Close()
		<-done
		require.Equal(t, "text/event-stream", answer.Header().Get("Content-Type"))
		var states []string
		for part := range strings.SplitSeq(answer.Body.String(), "\n\n") {
			text, ok := strings.CutPrefix(part, "event: state\ndata: ")
			if !ok {
				continue
			}
			doc.RequireShape(t, "GET", "/api/stream", "200", "text/event-stream", []byte(text))
			var n struct{ Current *struct{ State string } }
			require.NoError(t, json.Unmarshal([]byte(text), &n))
			if n.Current == nil {
				states = append(states, "gone")
				continue
			}
			states = append(states, n.Current.State)
		}
		require.Equal(t, []string{"draft", "running", "gone"}, states)
		require.Contains(t, answer.Body.String(), ": still here")
	})
}
