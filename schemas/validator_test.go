package schemas_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/schemas"
)

func validator() *schemas.Validator { return must(schemas.NewValidator()) }

// places are the paths and rules of findings, as "path rule".
func places(found []schemas.Finding) []string {
	out := []string{}
	for _, f := range found {
		out = append(out, f.Path+" "+f.Rule)
	}
	return out
}

// TestEvents: what the schemas demand of some types' fields, of the envelope, and of
// integers, as draft 7 has them. The schemas of all types are made by the same rules.
func TestEvents(t *testing.T) {
	for _, tt := range casefile.Read(t, "testdata/events.tsv", 3) {
		verdict := validator().Event([]byte(tt[2]))
		require.Equal(t, tt[1], strings.Join(places(verdict.Errors), ", "), "%s: %s", tt[0], tt[2])
		require.Equal(t, tt[1] == "", verdict.Valid)
		require.Empty(t, verdict.Drift)
		for _, f := range verdict.Errors {
			require.Regexp(t, "^expected .*, got ", f.Detail)
		}
	}
}

func TestDocumentsThatAreNotEvents(t *testing.T) {
	documents := append(casefile.Read(t, "testdata/documents.tsv", 4), []string{"empty", "invalid_json", "expected a JSON document, got none", ""})
	for _, tt := range documents {
		verdict := validator().Event([]byte(tt[3]))
		require.False(t, verdict.Valid, tt[0])
		require.Equal(t, []string{" " + tt[1]}, places(verdict.Errors), tt[0])
		require.Contains(t, verdict.Errors[0].Detail, tt[2], tt[0])
		require.Empty(t, verdict.Type)
	}
}

func TestDetails(t *testing.T) {
	const event = `{"event_type":"users.messages.email.Open","id":"","time":"now","user":{"user_id":null},"properties":{"is_amp":"an answer that is much too long to be quoted in full here"}}`
	require.Equal(t, []schemas.Finding{
		{Path: "/id", Rule: "minLength", Detail: `expected text that is not empty, got string ""`},
		{Path: "/properties/email_address", Rule: "required", Detail: "expected a value, got none"},
		{Path: "/properties/is_amp", Rule: "type", Detail: `expected boolean or null, got string "an answer that is much too long to be quoted in "…`},
		{Path: "/time", Rule: "type", Detail: `expected integer, got string "now"`},
		{Path: "/user/user_id", Rule: "type", Detail: "expected string, got null"},
	}, validator().Event([]byte(event)).Errors)
}

func TestMessage(t *testing.T) {
	for _, tt := range casefile.Read(t, "testdata/messages.tsv", 3) {
		verdict := validator().Message([]byte(tt[2]))
		require.Equal(t, tt[1] == "", verdict.Valid, tt[0])
		require.Equal(t, tt[1], strings.Join(places(verdict.Errors), ", "), tt[0])
		require.Empty(t, verdict.Drift)
		for _, f := range verdict.Errors {
			require.Regexp(t, `^expected .*, got .`, f.Detail)
			require.NotContains(t, f.Detail, "[^", "a pattern is described in words")
		}
	}
}

func TestMessageType(t *testing.T) {
	require.Equal(t, "page", validator().Message([]byte(`{"type":"page"}`)).Type)
	require.Equal(t, "banana", validator().Message([]byte(`{"type":"banana"}`)).Type)
	require.Empty(t, validator().Message([]byte(`{"type":5}`)).Type)
	require.Equal(t, []string{" invalid_json"}, places(validator().Message([]byte(`{`)).Errors))
}

func replace(s, old, with string) string { return strings.ReplaceAll(s, old, with) }

func TestDrift(t *testing.T) {
	malformed := []string{"malformed UTF-8", "/u\ufffd unknown_field", "{\"event_type\":\"users.UserOrphan\",\"id\":\"a\",\"time\":1,\"user\":{\"user_id\":\"u\"},\"u\xff\":1,\"properties\":{\"orphaned_by_id\":\"o\"}}"}
	for _, tt := range append(casefile.Read(t, "testdata/drift.tsv", 3), malformed) {
		verdict := validator().Event([]byte(tt[2]))
		require.Empty(t, verdict.Errors, tt[0])
		require.True(t, verdict.Valid)
		require.Equal(t, tt[1], strings.Join(places(verdict.Drift), ", "), tt[0])
	}
}

func TestUnknownEventType(t *testing.T) {
	verdict := validator().Event([]byte(`{"event_type":"users.messages.pigeon.Send","id":"a","time":1}`))
	require.Equal(t, "users.messages.pigeon.Send", verdict.Type)
	require.Contains(t, verdict.Drift[0].Detail, "users.messages.pigeon.Send")

	verdict = validator().Event([]byte(`{"event_type":"users.messages.pigeon.Send","user":"u"}`))
	require.Equal(t, []string{"/id required", "/time required", "/user type"}, places(verdict.Errors), "the envelope holds for every type")

	for raw, want := range map[string]string{`""`: "minLength", `null`: "type", `5`: "type", `{}`: "type", `1e999`: "type"} {
		verdict = validator().Event([]byte(`{"id":"a","time":1,"event_type":` + raw + `}`))
		require.Equal(t, []string{"/event_type " + want}, places(verdict.Errors), raw)
		require.Empty(t, verdict.Drift, raw)
	}
}

// A field under a wrong name is missing, and the wrong name is drift.
func TestInvalidEventsDriftToo(t *testing.T) {
	verdict := validator().Event([]byte(`{"event_type":"users.messages.email.Open","id":"a","time":1,"user":{"user_id":"u"},"properties":{"email":"e"}}`))
	require.Equal(t, []string{"/properties/email_address required"}, places(verdict.Errors))
	require.Equal(t, []string{"/properties/email unknown_field"}, places(verdict.Drift))
	require.Equal(t, `expected a field that the glossary knows in the properties of users.messages.email.Open, got string "e"`, verdict.Drift[0].Detail)
}

func TestConcurrentUse(t *testing.T) {
	rows := casefile.Read(t, "testdata/messages.tsv", 3)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range rows {
				tt := rows[(i+worker*17)%len(rows)]
				if got := strings.Join(places(validator().Message([]byte(tt[2])).Errors), ", "); got != tt[1] {
					t.Errorf("%s: %s, not %s", tt[0], got, tt[1])
				}
			}
		})
	}
	wg.Wait()
}

func TestDeepNesting(t *testing.T) {
	const event = `{"event_type":"new","id":"a","time":1,"properties":%P}`
	for depth, want := range map[int]string{9_999: "/properties type", 10_000: " invalid_json", 1_000_000: " invalid_json"} {
		deep := strings.Repeat("[", depth) + strings.Repeat("]", depth)
		require.Equal(t, []string{want}, places(validator().Event([]byte(replace(event, "%P", deep))).Errors))
	}
}
