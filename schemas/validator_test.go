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
