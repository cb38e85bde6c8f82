package schemas_test

import (
	"strings"
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

func TestDetails(t *testing.T) {
	const event = `{"event_type":"users.messages.email.Open","id":"","time":"now","user":{"user_id":null},` +
		`"properties":{"email":"e","is_amp":"an answer that is much too long to be quoted in full here"}}`
	verdict := validator().Event([]byte(event))
	require.Equal(t, []schemas.Finding{
		{Path: "/id", Rule: "minLength", Detail: `expected text that is not empty, got string ""`},
		{Path: "/properties/email_address", Rule: "required", Detail: "expected a value, got none"},
		{Path: "/properties/is_amp", Rule: "type", Detail: `expected boolean or null, got string "an answer that is much too long to be quoted in "…`},
		{Path: "/time", Rule: "type", Detail: `expected integer, got string "now"`},
		{Path: "/user/user_id", Rule: "type", Detail: "expected string, got null"},
	}, verdict.Errors)
	require.Equal(t, []schemas.Finding{{Path: "/properties/email", Rule: schemas.RuleUnknownField,
		Detail: `expected a field that the glossary knows in the properties of users.messages.email.Open, got string "e"`}}, verdict.Drift)
}

func TestTypeOfADocument(t *testing.T) {
	require.Equal(t, "page", validator().Message([]byte(`{"type":"page"}`)).Type)
	require.Equal(t, "banana", validator().Message([]byte(`{"type":"banana"}`)).Type)
	require.Empty(t, validator().Message([]byte(`{"type":5}`)).Type)
	require.Empty(t, validator().Event([]byte(`"x"`)).Type)
	verdict := validator().Event([]byte(`{"event_type":"users.messages.pigeon.Send","id":"a","time":1}`))
	require.Equal(t, "users.messages.pigeon.Send", verdict.Type)
	require.Contains(t, verdict.Drift[0].Detail, "users.messages.pigeon.Send")
}

// TestVerdicts: what the schemas demand of some types' fields, of the envelope, of
// integers, as draft 7 has them, and of RudderStack's messages; what is drift; and what
// is no event at all. The schemas of all types are made by the same rules.
func TestVerdicts(t *testing.T) {
	rows := append(casefile.Read(t, "testdata/verdicts.tsv", 6),
		[]string{"event", "empty", " invalid_json", "", "expected a JSON document, got none", ""},
		[]string{"event", "malformed UTF-8", "", "/event_type unknown_event_type, /u\ufffd unknown_field", "", "{\"event_type\":\"new\",\"id\":\"a\",\"time\":1,\"u\xff\":1}"})
	for range 4 { // at once, as a Validator may be used
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for _, tt := range rows {
				verdict := validate(tt)
				require.Equal(t, tt[2], strings.Join(places(verdict.Errors), ", "), "%s: %s", tt[1], tt[5])
				require.Equal(t, tt[2] == "", verdict.Valid)
				require.Equal(t, tt[3], strings.Join(places(verdict.Drift), ", "), tt[1])
				for i, f := range verdict.Errors {
					require.Regexp(t, "^expected .*, got .", f.Detail)
					require.NotContains(t, f.Detail, "[^", "a pattern is described in words")
					require.True(t, i > 0 || strings.Contains(f.Detail, tt[4]), f.Detail)
				}
			}
		})
	}
}

// validate validates the document of a row.
func validate(row []string) schemas.Verdict {
	if row[0] == "event" {
		return validator().Event([]byte(row[5]))
	}
	return validator().Message([]byte(row[5]))
}

func TestDeepNesting(t *testing.T) {
	const event = `{"event_type":"new","id":"a","time":1,"properties":%P}`
	for depth, want := range map[int]string{9_999: "/properties type", 10_000: " invalid_json", 1_000_000: " invalid_json"} {
		deep := strings.Repeat("[", depth) + strings.Repeat("]", depth)
		require.Equal(t, []string{want}, places(validator().Event([]byte(strings.Replace(event, "%P", deep, 1))).Errors))
	}
}
