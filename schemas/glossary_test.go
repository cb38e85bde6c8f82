package schemas_test

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/internal/openapitest"
	"github.com/currentsbridge/currentsbridge/schemas"
)

func load(t testing.TB) *schemas.Glossary {
	g, err := schemas.Load()
	require.NoError(t, err)
	return g
}

func event(t testing.TB, g *schemas.Glossary, name string) *schemas.EventType {
	e, ok := g.Event(name)
	require.True(t, ok, name)
	return e
}

// The counts of schema version 12 and of the samples that are younger.
func TestGlossaryIsComplete(t *testing.T) {
	g := load(t)
	require.NotEmpty(t, g.Source)
	require.Equal(t, "schema version 12 (2026-09-02), 102 current event types", g.Version())
	require.Equal(t, "schema version 12 (2026-09-02)", schemas.Release())
	require.Len(t, g.Current(), 102)
	require.NotContains(t, g.Current(), "users.messages.newsfeedcard.Click")
	_, ok := g.Event("users.messages.email.open")
	require.False(t, ok, "names are exact")
	count := map[string]int{"event types": len(g.Events)}
	for _, e := range g.Events {
		count[e.Family]++
		for what, is := range map[string]bool{"RudderStack names": e.RudderName != "", "since": e.Since != ""} {
			if is {
				count[what]++
			}
		}
		for _, f := range slices.Concat(e.User, e.Properties) {
			require.NotEmpty(t, f.Description, "%s %s", e.Name, f.Name)
			count[f.Type]++
			for what, is := range map[string]bool{"fields": true, "required": f.Required, "personal": f.PII, "fields since": f.Since != ""} {
				if is {
					count[what]++
				}
			}
		}
	}
	require.Equal(t, map[string]int{
		"event types": 105, "agent": 2, "optimizer": 1, "user": 3, "behavior": 13, "message": 86, "RudderStack names": 22, "since": 9,
		"fields": 1946, "required": 193, "personal": 332, "fields since": 24,
		"string": 1849, "boolean": 52, "integer": 29, "number": 8, "object": 2, "array<string>": 6,
	}, count)
}

// A caller that changes its copy must not change another's.
func TestLoadReturnsItsOwnCopy(t *testing.T) {
	a, b := load(t), load(t)
	open, other := event(t, a, "users.messages.email.Open"), event(t, b, "users.messages.email.Open")
	field := func(e *schemas.EventType) *schemas.Field {
		f, ok := schemas.FieldNamed(e.Properties, "machine_open")
		require.True(t, ok)
		return f
	}
	field(open).Type, field(open).Enum[0], open.Note = "changed", "changed", "changed"
	require.Equal(t, []string{"true"}, field(other).Enum)
	require.NotContains(t, []string{field(other).Type, other.Note}, "changed")
}

func TestParseNamesEveryMistake(t *testing.T) {
	const good = `{"source":"s","schema_version":1,"date":"2026-09-02","envelope":{"event_type":{"type":"string","required":true},"id":{"type":"string","required":true},
"time":{"type":"integer","required":true},"user":{"type":"object"},"properties":{"type":"object"}},
"fields":{"a":{"description":"An a","personal":true}},"events":[{"event_type":"t","family":"f","user":{},"properties":{"a":{"type":"string"}}}]}`
	g, err := schemas.Parse([]byte(good))
	require.NoError(t, err)
	a, _ := schemas.FieldNamed(event(t, g, "t").Properties, "a")
	require.Equal(t, &schemas.Field{Name: "a", Type: "string", Personal: true, Description: "An a"}, a)
	require.True(t, a.IsPersonal())

	_, err = schemas.Parse([]byte(casefile.Text(t, "testdata/mistakes.json")))
	for _, want := range casefile.Read(t, "testdata/mistakes.tsv", 1) {
		require.ErrorContains(t, err, want[0])
	}
	for raw, want := range map[string]string{
		"{\n\n!": "line 3: invalid character", "[]": "cannot unmarshal array", `{"colour":1}`: `unknown field "colour"`, good + "{}": "got more behind it", "": "EOF",
		strings.Replace(good, `"fields":{`, `"fields":[],"x":{`, 1): "expected an object",
	} {
		_, err := schemas.Parse([]byte(raw))
		require.ErrorContains(t, err, want, "%.60s", raw)
	}
}

// A glossary that is read at run time steers the validator.
func TestAnotherGlossarySteersTheValidator(t *testing.T) {
	raw, err := load(t).Encode()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "glossary.json")
	require.NoError(t, os.WriteFile(path, bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("users.UserOrphan"), []byte("users.UserJoin")), []byte(`"orphaned_by_id"`), []byte(`"joined_to"`)), 0o600))
	g, err := schemas.LoadFile(path)
	require.NoError(t, err)
	v, err := g.Validator()
	require.NoError(t, err)
	const join = `{"event_type":"users.UserJoin","id":"i","time":1,"user":{"user_id":"u"},"properties":{"joined_to":5,"x":1}}`
	verdict := v.Event([]byte(join))
	require.Equal(t, []string{"/properties/joined_to type"}, places(verdict.Errors))
	require.Equal(t, []string{"/properties/x unknown_field"}, places(verdict.Drift))
	require.True(t, validator().Event([]byte(join)).Valid, "the built-in one does not know the type")

	g, err = schemas.LoadFile("")
	require.NoError(t, err)
	require.Equal(t, load(t), g)
	_, err = schemas.LoadFile(path + ".none")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, os.WriteFile(path, []byte("{}"), 0o600))
	_, err = schemas.LoadFile(path)
	require.ErrorContains(t, err, path)
}

//go:generate go test . -run ^TestFilesAreFresh$ -update

var update = flag.Bool("update", false, "write the schemas that are not what the glossary says, instead of only comparing them")

// The files in braze are what the glossary says, and no others are there.
func TestFilesAreFresh(t *testing.T) {
	want, err := load(t).Files()
	require.NoError(t, err)
	found := func() []string {
		paths, err := filepath.Glob("braze/*.json")
		require.NoError(t, err)
		return paths
	}
	if *update {
		for _, path := range found() {
			require.NoError(t, os.Remove(path))
		}
		for path, text := range want {
			require.NoError(t, os.WriteFile(filepath.FromSlash(path), text, 0o644))
		}
	}
	require.Len(t, found(), len(want), "run make generate")
	for path, text := range want {
		have := casefile.Text(t, filepath.FromSlash(path))
		require.Equal(t, string(text), have, "run make generate: %s", path)
	}
}

// Every schema, also those written by hand, is one by the meta-schema of draft 7,
// and its name is its place.
func TestSchemasAreDraft7(t *testing.T) {
	for _, name := range schemas.Names() {
		raw, ok := schemas.Schema(name)
		require.True(t, ok, name)
		openapitest.Schema(t, raw) // by the meta-schema
		require.Contains(t, string(raw), `"$schema": "http://json-schema.org/draft-07/schema#"`, name)
		require.Contains(t, string(raw), `"$id": "https://github.com/currentsbridge/currentsbridge/schemas/`+name+`.schema.json"`)
	}
}
