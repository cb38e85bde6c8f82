// Package openapitest compares the fakes' control APIs with their OpenAPI descriptions,
// and validates documents by JSON Schemas.
package openapitest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

// Document is the part of a description that these tests need.
type Document struct {
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

// Read reads a description.
func Read(t testing.TB, text []byte) (d Document) {
	require.NoError(t, json.Unmarshal(text, &d))
	return d
}

// Route is a route of the program.
type Route struct {
	Method, Path string   // with {id} for a parameter
	Params       []string // of the query
}

// RequireRoutes checks that the description has exactly these routes and parameters.
func (d Document) RequireRoutes(t testing.TB, routes []Route) {
	line := func(method, path string, params []string, id bool) string {
		return fmt.Sprintf("%s %s %s id:%t", strings.ToLower(method), path, strings.Join(slices.Sorted(slices.Values(params)), ","), id)
	}
	var have, described []string
	for _, r := range routes {
		have = append(have, line(r.Method, r.Path, r.Params, strings.Contains(r.Path, "{id}")))
	}
	for path, methods := range d.Paths {
		for method, operation := range methods {
			var query []string
			id := false
			for _, p := range operation.Parameters {
				if p.In == "path" {
					id = id || p.Name == "id"
				} else {
					query = append(query, p.Name)
				}
			}
			described = append(described, line(method, path, query, id))
		}
	}
	require.ElementsMatch(t, have, described)
}

// Call is a request and the expected status: a row of a file of cases.
type Call struct {
	Method, Path, Body string
	Described          string // the path in the description
	Status             string
}

// RequireAnswers makes the calls of a file of cases, whose columns are the fields of Call,
// with send and checks the responses by the description. There must be a call of every
// described operation but that of the path stream.
func (d Document) RequireAnswers(t testing.TB, send func(Call) *httptest.ResponseRecorder, stream, path string) {
	seen := map[string]bool{}
	for _, f := range casefile.Read(t, path, 5) {
		c := Call{Method: f[0], Path: f[1], Body: f[2], Described: f[3], Status: f[4]}
		answer := send(c)
		require.Equal(t, c.Status, strconv.Itoa(answer.Code), "%s %s: %s", c.Method, c.Path, answer.Body)
		require.Equal(t, "application/json; charset=utf-8", answer.Header().Get("Content-Type"))
		d.RequireShape(t, c.Method, c.Described, c.Status, "application/json", answer.Body.Bytes())
		seen[strings.ToLower(c.Method)+" "+c.Described] = true
	}
	for path, methods := range d.Paths {
		for method := range methods {
			require.True(t, seen[method+" "+path] || path == stream, "%s %s was not called", method, path)
		}
	}
}

// RequireShape checks the body of a response by the description.
func (d Document) RequireShape(t testing.TB, method, path, status, media string, answer []byte) {
	content := d.Paths[path][strings.ToLower(method)].Responses[status].Content
	require.Contains(t, content, media, "%s %s %s", method, path, status)
	whole := fmt.Sprintf(`{"components":%s,"allOf":[%s]}`, d.Components, content[media].Schema)
	require.NoError(t, Schema(t, []byte(whole))(answer), "%s", answer)
}

// Schema compiles a JSON Schema, of draft 7 unless it names another, with another library
// than the validator of events, and returns a function that validates a document.
func Schema(t testing.TB, schema []byte) (validate func(document []byte) error) {
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	c.AssertFormat()
	require.NoError(t, c.AddResource("mem:///schema", parsed))
	compiled, err := c.Compile("mem:///schema")
	require.NoError(t, err, "%s", schema)
	return func(document []byte) error {
		parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
		if err != nil {
			return err
		}
		return compiled.Validate(parsed)
	}
}
