package schemas_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

type messageCase struct {
	raw  string
	want []string
}

// messages are RudderStack messages, and what is wrong with each.
func messages() map[string]messageCase {
	cases := map[string]messageCase{
		"as the bridge sends it": {`{"context":{"integration":{"name":"Braze"},"library":{"name":"unknown"},"device":{"id":"d"}},"integrations":{"Braze":false},"type":"track","event":"users.messages.email.Open","messageId":"m","anonymousId":"a","userId":"u","traits":{"email":"e"},"timestamp":"2026-01-31T09:30:00.000Z","properties":{"a.b":9007199254740993,"c/d":"\u0000"}}`, nil},
		"identify":               {`{"type":"identify","userId":"u","traits":{"email":"e"}}`, nil},
		"page":                   {`{"type":"page","anonymousId":"a","name":"Home"}`, nil},
		"screen":                 {`{"type":"screen","userId":"u"}`, nil},
		"group":                  {`{"type":"group","userId":"u","groupId":"g"}`, nil},
		"alias":                  {`{"type":"alias","userId":"u","previousId":"p"}`, nil},

		"no type":           {`{"userId":"u"}`, []string{"/type required"}},
		"null type":         {`{"type":null,"userId":"u"}`, []string{"/type type"}},
		"type a number":     {`{"type":1e999,"userId":"u"}`, []string{"/type type"}},
		"unknown type":      {`{"type":"banana","userId":"u"}`, []string{"/type enum"}},
		"type is exact":     {`{"type":"Track","event":"E","userId":"u"}`, []string{"/type enum"}},
		"a batch":           {`{"type":"batch","userId":"u"}`, []string{"/type enum"}},
		"not an object":     {`5`, []string{" type"}},
		"no event":          {`{"type":"track","userId":"u"}`, []string{"/event required"}},
		"empty event":       {`{"type":"track","event":"","userId":"u"}`, []string{"/event minLength"}},
		"event a number":    {`{"type":"track","event":5,"userId":"u"}`, []string{"/event type"}},
		"no group id":       {`{"type":"group","userId":"u"}`, []string{"/groupId required"}},
		"blank group id":    {`{"type":"group","userId":"u","groupId":" "}`, []string{"/groupId pattern"}},
		"alias without ids": {`{"type":"alias"}`, []string{"/previousId required", "/userId required"}},
		"alias blank":       {`{"type":"alias","userId":"","previousId":null}`, []string{"/previousId type", "/userId pattern"}},

		"numeric id":      {`{"type":"identify","userId":5}`, nil},
		"id of any kind":  {`{"type":"identify","userId":{}}`, nil},
		"huge id":         {`{"type":"identify","userId":1e999}`, nil},
		"one blank id":    {`{"type":"identify","userId":" ","anonymousId":"a"}`, nil},
		"the other blank": {`{"type":"identify","userId":"u","anonymousId":null}`, nil},
		"no identity":     {`{"type":"identify"}`, []string{" anyOf"}},
		"null ids":        {`{"type":"identify","userId":null,"anonymousId":null}`, []string{" anyOf"}},
		"blank ids":       {`{"type":"page","userId":" \t","anonymousId":""}`, []string{" anyOf"}},
		"blank abroad":    {`{"type":"page","userId":"\u00a0\u2003\u3000\u0085\u000b"}`, []string{" anyOf"}},
		"nothing at all":  {`{"type":"track"}`, []string{" anyOf", "/event required"}},

		"empty parts":  {`{"type":"identify","userId":"u","context":{},"traits":{},"properties":{},"integrations":{}}`, nil},
		"null parts":   {`{"type":"identify","userId":"u","context":null,"traits":null,"properties":null,"integrations":null,"messageId":null,"timestamp":null}`, nil},
		"message id":   {`{"type":"identify","userId":"u","messageId":77}`, []string{"/messageId type"}},
		"deep context": {`{"type":"identify","userId":"u","context":{"device":"d","traits":[]}}`, []string{"/context/device type", "/context/traits type"}},
	}
	for _, part := range []string{"context", "traits", "properties", "integrations"} {
		for _, bad := range []string{`[]`, `"x"`, `5`, `true`} {
			cases[part+" "+bad] = messageCase{`{"type":"identify","userId":"u","` + part + `":` + bad + `}`, []string{"/" + part + " type"}}
		}
	}
	addTimes(cases)
	return cases
}

// addTimes adds a message for each way to write a time, in each field for one.
func addTimes(cases map[string]messageCase) {
	for _, field := range []string{"timestamp", "originalTimestamp", "sentAt", "receivedAt"} {
		for value, rule := range map[string]string{
			`"2026-01-31T09:30:00Z"`:           "",
			`"2026-01-31T09:30:00.123456789Z"`: "",
			`"2026-01-31T09:30:00.000+05:30"`:  "",
			`"0001-01-01T00:00:00Z"`:           "",
			`"2026-01-31"`:                     "format",
			`"09:30:00"`:                       "format",
			`"2026-01-31T09:30:00"`:            "format",
			`"2026-01-31 09:30:00Z"`:           "format",
			`"2026-02-30T09:30:00Z"`:           "format",
			`"2026-01-31T25:30:00Z"`:           "format",
			`"Invalid date"`:                   "format",
			`"+055840-11-26T09:46:40.000Z"`:    "format",
			`""`:                               "format",
			`1700000000`:                       "type",
		} {
			tc := messageCase{raw: `{"type":"identify","userId":"u","` + field + `":` + value + `}`}
			if rule != "" {
				tc.want = []string{"/" + field + " " + rule}
			}
			cases[field+" "+value] = tc
		}
	}
}

func TestMessage(t *testing.T) {
	for name, tc := range messages() {
		t.Run(name, func(t *testing.T) {
			verdict := validator().Message([]byte(tc.raw))
			require.Equal(t, len(tc.want) == 0, verdict.Valid)
			require.ElementsMatch(t, tc.want, places(verdict.Errors))
			require.Empty(t, verdict.Drift)
			for _, f := range verdict.Errors {
				require.Regexp(t, `^expected .*, got .`, f.Detail)
				require.NotContains(t, f.Detail, "[^", "a pattern is described in words")
			}
		})
	}
}

func TestMessageType(t *testing.T) {
	require.Equal(t, "page", validator().Message([]byte(`{"type":"page"}`)).Type)
	require.Equal(t, "banana", validator().Message([]byte(`{"type":"banana"}`)).Type)
	require.Empty(t, validator().Message([]byte(`{"type":5}`)).Type)
	require.Equal(t, []string{" invalid_json"}, places(validator().Message([]byte(`{`)).Errors))
}
