package mockbraze

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/xeipuuv/gojsonschema"
)

type apiDocument struct {
	Paths map[string]map[string]struct {
		Parameters []struct{ Name, In string }
		Responses  map[string]struct {
			Content map[string]struct {
				Schema json.RawMessage
			}
		}
	}
	Components json.RawMessage
}

func readAPI(t *testing.T) (doc apiDocument) {
	t.Helper()
	require.NoError(t, json.Unmarshal(openAPI, &doc))
	return doc
}

// Every route and every parameter is described, and nothing else.
func TestOpenAPIListsWhatThereIs(t *testing.T) {
	var have, described []string
	for _, r := range (api{}).table() {
		path := strings.ReplaceAll(r.path, ":id", "{id}")
		have = append(have, strings.ToLower(r.method)+" "+path+" "+strings.Join(slices.Sorted(slices.Values(r.params)), ","))
	}
	for path, methods := range readAPI(t).Paths {
		for method, operation := range methods {
			var query []string
			inPath := false
			for _, p := range operation.Parameters {
				if p.In == "path" {
					inPath = true
					continue
				}
				query = append(query, p.Name)
			}
			require.Equal(t, strings.Contains(path, "{id}"), inPath, path)
			slices.Sort(query)
			described = append(described, method+" "+path+" "+strings.Join(query, ","))
		}
	}
	require.ElementsMatch(t, have, described)
}

// Real answers keep to what the description says of them.
func TestOpenAPIAnswers(t *testing.T) {
	e := &endpoint{}
	s := e.open(t)
	h := s.Handler()
	doc := readAPI(t)
	seen := map[string]bool{}
	for _, c := range []struct{ method, path, body, described, status string }{
		{"POST", "/api/currents", `{"url":"http://x.example/a?writeKey=k","token":"t","contact_email":"a@example.com"}`, "/api/currents", "201"},
		{"POST", "/api/currents", `{"url":"x"}`, "/api/currents", "400"},
		{"GET", "/api/currents", "", "/api/currents", "200"},
		{"GET", "/api/currents?x=1", "", "/api/currents", "400"},
		{"POST", "/api/currents/test", `{"url":"http://x.example"}`, "/api/currents/test", "200"},
		{"POST", "/api/currents/1/pause", "", "/api/currents/{id}/pause", "409"},
		{"POST", "/api/currents/1/test", "", "/api/currents/{id}/test", "200"},
		{"POST", "/api/currents/1/launch", `{"token":"u"}`, "/api/currents/{id}/launch", "200"},
		{"POST", "/api/currents/1/send?count=5&types=users.messages.email.*&scenario=rounds", "", "/api/currents/{id}/send", "200"},
		{"POST", "/api/currents/1/send", `{"events":200,"types":["users.messages.email.Open"]}`, "/api/currents/{id}/send", "200"},
		{"POST", "/api/currents/1/send?events=x", "", "/api/currents/{id}/send", "400"},
		{"POST", "/api/currents/1/flush", "", "/api/currents/{id}/flush", "200"},
		{"PATCH", "/api/currents/1", `{"rate":0}`, "/api/currents/{id}", "200"},
		{"PATCH", "/api/currents/1", `{"rate":-1}`, "/api/currents/{id}", "400"},
		{"GET", "/api/currents/1/seconds", "", "/api/currents/{id}/seconds", "200"},
		{"GET", "/api/event-types", "", "/api/event-types", "200"},
		{"GET", "/api/openapi.json", "", "/api/openapi.json", "200"},
		{"POST", "/api/currents/1/pause", "", "/api/currents/{id}/pause", "200"},
		{"GET", "/api/currents/1", "", "/api/currents/{id}", "200"},
		{"GET", "/api/currents/7", "", "/api/currents/{id}", "404"},
		{"DELETE", "/api/currents/1", "", "/api/currents/{id}", "200"},
		{"DELETE", "/api/currents/1", "", "/api/currents/{id}", "404"},
	} {
		if c.path == "/api/currents/1/send" { // one that is refused, so that there is a reason and a split
			e.say(always(400))
		}
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, localRequest(c.method, c.path, c.body))
		require.Equal(t, c.status, fmt.Sprint(answer.Code), "%s %s: %s", c.method, c.path, answer.Body)
		require.Equal(t, "application/json; charset=utf-8", answer.Header().Get("Content-Type"))
		method := strings.ToLower(c.method)
		content := doc.Paths[c.described][method].Responses[c.status].Content
		require.Contains(t, content, "application/json", "%s %s %s", c.method, c.described, c.status)
		requireShape(t, doc, content["application/json"].Schema, answer.Body.Bytes())
		seen[method+" "+c.described] = true
	}
	for path, methods := range doc.Paths {
		for method := range methods {
			require.True(t, seen[method+" "+path] || path == "/api/stream", "%s %s was not asked", method, path)
		}
	}
}

// The stream tells at once, and again when something changed; it ends with the
// server. What it sends keeps to the description.
func TestStream(t *testing.T) {
	doc := readAPI(t)
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
			requireShape(t, doc, doc.Paths["/api/stream"]["get"].Responses["200"].Content["text/event-stream"].Schema, []byte(text))
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

// requireShape holds an answer against a schema that refers to the components.
func requireShape(t *testing.T, doc apiDocument, schema json.RawMessage, answer []byte) {
	t.Helper()
	whole := fmt.Sprintf(`{"components":%s,"allOf":[%s]}`, doc.Components, schema)
	compiled, err := gojsonschema.NewSchemaLoader().Compile(gojsonschema.NewStringLoader(whole))
	require.NoError(t, err)
	result, err := compiled.Validate(gojsonschema.NewBytesLoader(answer))
	require.NoError(t, err, "%s", answer)
	require.True(t, result.Valid(), "%s: %v", answer, result.Errors())
}
