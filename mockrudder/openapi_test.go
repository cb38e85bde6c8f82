package mockrudder

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

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

func readAPI(t *testing.T) (api apiDocument) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(openAPI), &api))
	return api
}

// Every route and every parameter is described, and nothing else.
func TestOpenAPIListsWhatThereIs(t *testing.T) {
	s, err := New(WithoutValidation())
	require.NoError(t, err)
	defer s.Close()
	var have, described []string
	for _, r := range s.queries() {
		path := strings.ReplaceAll(r.path, ":id", "{id}")
		line := strings.ToLower(r.method) + " " + path
		params := slices.Sorted(slices.Values(r.params))
		if strings.Contains(path, "{id}") {
			params = append(params, "path:id")
		}
		have = append(have, line+" "+strings.Join(params, ","))
	}
	for path, methods := range readAPI(t).Paths {
		for method, operation := range methods {
			var query, inPath []string
			for _, p := range operation.Parameters {
				if p.In == "path" {
					inPath = append(inPath, "path:"+p.Name)
				} else {
					query = append(query, p.Name)
				}
			}
			slices.Sort(query)
			described = append(described, method+" "+path+" "+strings.Join(append(query, inPath...), ","))
		}
	}
	require.ElementsMatch(t, have, described)
}

// Every parameter that is described does something: a wrong value of it is a
// mistake, or it changes the filter.
func TestEveryFilterParameterIsRead(t *testing.T) {
	for _, name := range filterParams() {
		var f Filter
		err := f.set(name, "true")
		require.True(t, err != nil || f.String() != Filter{}.String(), name)
	}
	for _, name := range listParams() {
		q := search{count: 1}
		require.True(t, q.set(name, "x") != nil || q.filter.String() != Filter{}.String(), name)
	}
}

// Real answers keep to what the description says of them.
func TestOpenAPIAnswers(t *testing.T) {
	s, err := New(WithSource("k", Braze), WithSource("off", HTTP, Disabled()))
	require.NoError(t, err)
	defer s.Close()
	send := func(method, path, body string) *httptest.ResponseRecorder {
		request := httptest.NewRequest(method, path, strings.NewReader(body))
		request.Host = "localhost:8090"
		request.Header.Set("X-Test-ID", "t-1")
		answer := httptest.NewRecorder()
		s.ServeHTTP(answer, request)
		return answer
	}
	require.Equal(t, 200, send("POST", "/v1/webhook?writeKey=k", `{"events":[{"event_type":"users.behaviors.app.SessionStart","id":"e","time":"abc","user":{"user_id":"u"},"properties":{"brand_new":1}}]}`).Code)
	require.Equal(t, 401, send("POST", "/v1/batch", `{}`).Code)

	api := readAPI(t)
	seen := map[string]bool{}
	for _, c := range []struct{ method, path, body, described, status string }{
		{"GET", "/_mock/events", "", "/_mock/events", "200"},
		{"GET", "/_mock/events?summary=1&order=desc&test=t-1", "", "/_mock/events", "200"},
		{"GET", "/_mock/events?limit=x", "", "/_mock/events", "400"},
		{"GET", "/_mock/events/1", "", "/_mock/events/{id}", "200"},
		{"GET", "/_mock/events/99", "", "/_mock/events/{id}", "404"},
		{"GET", "/_mock/stats", "", "/_mock/stats", "200"},
		{"GET", "/_mock/rates?seconds=5", "", "/_mock/rates", "200"},
		{"GET", "/_mock/sources", "", "/_mock/sources", "200"},
		{"GET", "/_mock/openapi.json", "", "/_mock/openapi.json", "200"},
		{"PUT", "/_mock/faults", `[{"hang":true},{"path":"/v1/*","source":"k","probability":0.5,"requests":3,"method":"GET","test_id":"x","nth":1,"latency":"1s","latency_max":"2s","status":500,"body":"x","retry_after":1,"trickle":"1s"},{"wrong_body":"html","every":2}]`, "/_mock/faults", "200"},
		{"POST", "/_mock/faults", `{"id":"mine","close":"stored"}`, "/_mock/faults", "201"},
		{"POST", "/_mock/faults", `{"close":"never"}`, "/_mock/faults", "400"},
		{"GET", "/_mock/faults", "", "/_mock/faults", "200"},
		{"DELETE", "/_mock/faults/mine", "", "/_mock/faults/{id}", "200"},
		{"DELETE", "/_mock/faults/mine", "", "/_mock/faults/{id}", "404"},
		{"PUT", "/_mock/suppressions", `{"users":["u"]}`, "/_mock/suppressions", "200"},
		{"PUT", "/_mock/suppressions", `{"users":[""]}`, "/_mock/suppressions", "400"},
		{"GET", "/_mock/suppressions", "", "/_mock/suppressions", "200"},
		{"POST", "/_mock/reset?keep=faults", "", "/_mock/reset", "200"},
		{"GET", "/_mock/stats?x=1", "", "/_mock/stats", "400"},
	} {
		answer := send(c.method, c.path, c.body)
		require.Equal(t, c.status, fmt.Sprint(answer.Code), "%s %s: %s", c.method, c.path, answer.Body)
		require.Equal(t, "application/json; charset=utf-8", answer.Header().Get("Content-Type"))
		method := strings.ToLower(c.method)
		content := api.Paths[c.described][method].Responses[c.status].Content
		require.Contains(t, content, "application/json", "%s %s %s", c.method, c.described, c.status)
		requireShape(t, api, content["application/json"].Schema, answer.Body.Bytes())
		seen[method+" "+c.described] = true
	}
	for path, methods := range api.Paths {
		for method := range methods {
			require.True(t, seen[method+" "+path] || path == "/_mock/stream", "%s %s was not asked", method, path)
		}
	}
}

// What the stream sends keeps to the description too.
func TestOpenAPIStream(t *testing.T) {
	api := readAPI(t)
	synctest.Test(t, func(t *testing.T) {
		s, err := New()
		require.NoError(t, err)
		request := httptest.NewRequest(http.MethodPost, "/v1/batch", strings.NewReader(`{"batch":[{"userId":"u","type":"track","event":"E"}]}`))
		request.SetBasicAuth("wkHTTP", "")
		s.ServeHTTP(httptest.NewRecorder(), request)
		answer := httptest.NewRecorder()
		done := make(chan struct{})
		go func() {
			s.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "http://localhost:8090/_mock/stream?after=0", nil))
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
		requireShape(t, api, api.Paths["/_mock/stream"]["get"].Responses["200"].Content["text/event-stream"].Schema, []byte(data))
		require.Contains(t, data, `"event":"E"`)
	})
}

// requireShape holds an answer against a schema that refers to the components.
func requireShape(t *testing.T, api apiDocument, schema json.RawMessage, answer []byte) {
	t.Helper()
	whole := fmt.Sprintf(`{"components":%s,"allOf":[%s]}`, api.Components, schema)
	loader := gojsonschema.NewSchemaLoader()
	compiled, err := loader.Compile(gojsonschema.NewStringLoader(whole))
	require.NoError(t, err)
	result, err := compiled.Validate(gojsonschema.NewBytesLoader(answer))
	require.NoError(t, err, "%s", answer)
	require.True(t, result.Valid(), "%s: %v", answer, result.Errors())
}
