package schemas_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/schemas"
)

func validator() *schemas.Validator { return must(schemas.NewValidator()) }

type object = map[string]any

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	return raw
}

// places are the paths and rules of findings, as "path rule".
func places(found []schemas.Finding) []string {
	out := []string{}
	for _, f := range found {
		out = append(out, f.Path+" "+f.Rule)
	}
	return out
}

func right(typ string) any {
	return map[string]any{
		"string": "text", "integer": 7, "number": 1.5, "boolean": true,
		"object": object{"any": object{"thing": 1}}, "array<string>": []any{"text"},
	}[typ]
}

func wrong(typ string) []any {
	return map[string][]any{
		"string":        {5, true, []any{"x"}, object{}},
		"integer":       {"7", 1.5, false, []any{}},
		"number":        {"1.5", true, object{}},
		"boolean":       {"true", 0, []any{}},
		"object":        {"{}", 5, []any{}},
		"array<string>": {"x", object{}, 5},
	}[typ]
}

// minimal makes an event with nothing but what is required.
func minimal(e *schemas.EventType) object {
	event := object{"event_type": e.Name, "id": "an-id", "time": 1700000000}
	for section, fields := range sections(e) {
		for _, f := range fields {
			if !f.Required {
				continue
			}
			if event[section] == nil {
				event[section] = object{}
			}
			event[section].(object)[f.Name] = right(f.Type)
		}
	}
	return event
}

func sections(e *schemas.EventType) map[string][]schemas.Field {
	return map[string][]schemas.Field{"user": e.User, "properties": e.Properties}
}

// set sets one field of an event, or takes it away where the value is gone.
func set(event object, section, name string, value any) object {
	inner, ok := event[section].(object)
	if !ok {
		inner = object{}
		event[section] = inner
	}
	if inner[name] = value; value == gone {
		delete(inner, name)
	}
	return event
}

const gone = "\x00 gone"

func TestEveryType(t *testing.T) {
	for _, e := range load(t).Events {
		complete, nulls := minimal(&e), minimal(&e)
		for section, fields := range sections(&e) {
			for _, f := range fields {
				set(complete, section, f.Name, right(f.Type))
				if !f.Required {
					set(nulls, section, f.Name, nil)
				}
			}
		}
		for _, event := range []object{minimal(&e), complete, nulls} {
			require.Equal(t, schemas.Verdict{Type: e.Name, Valid: true}, validator().Event(marshal(t, event)))
		}
	}
}

func TestEveryFieldOfEveryType(t *testing.T) {
	for _, e := range load(t).Events {
		for section, fields := range sections(&e) {
			for _, f := range fields {
				path := "/" + section + "/" + f.Name
				exactly := func(want string, value any) {
					t.Helper()
					verdict := validator().Event(marshal(t, set(minimal(&e), section, f.Name, value)))
					require.False(t, verdict.Valid, path)
					require.Equal(t, []string{want}, places(verdict.Errors), e.Name)
					require.Regexp(t, "expected .*, got ", verdict.Errors[0].Detail)
					require.Empty(t, verdict.Drift)
				}
				if f.Required {
					exactly(path+" required", gone)
					exactly(path+" type", nil)
				}
				for _, bad := range wrong(f.Type) {
					exactly(path+" type", bad)
				}
				if f.Type == "array<string>" {
					exactly(path+"/1 type", []any{"a", 5})
				}
			}
		}
	}
}

func TestEnvelopeOfEveryType(t *testing.T) {
	for _, e := range load(t).Events {
		for name, bads := range map[string][]any{
			"id":         {nil, 5, object{}},
			"time":       {nil, "1700000000", 1.5},
			"user":       {"u", []any{}, 5},
			"properties": {"p", []any{}, 5},
		} {
			for _, bad := range bads {
				event := minimal(&e)
				event[name] = bad
				require.Equal(t, []string{"/" + name + " type"}, places(validator().Event(marshal(t, event)).Errors), "%s %v", e.Name, bad)
			}
		}
		for _, name := range []string{"event_type", "id", "time"} {
			event := minimal(&e)
			delete(event, name)
			require.Equal(t, []string{"/" + name + " required"}, places(validator().Event(marshal(t, event)).Errors), e.Name)
		}
		empty := minimal(&e)
		empty["id"] = ""
		require.Equal(t, []string{"/id minLength"}, places(validator().Event(marshal(t, empty)).Errors), e.Name)
	}
}

// user and properties are required where something in them is, and only there.
func TestUserAndPropertiesMayBeMissing(t *testing.T) {
	for _, e := range load(t).Events {
		for section, fields := range sections(&e) {
			event := minimal(&e)
			delete(event, section)
			want := []string{}
			if slices.ContainsFunc(fields, func(f schemas.Field) bool { return f.Required }) {
				want = append(want, "/"+section+" required")
			}
			require.Equal(t, want, places(validator().Event(marshal(t, event)).Errors), e.Name)
		}
	}
}

func TestMediaItemsMayBeNull(t *testing.T) {
	g := load(t)
	e := event(t, g, "users.messages.whatsapp.InboundReceive")
	media := set(minimal(e), "properties", "media_urls", []any{"https://a.example", nil})
	require.True(t, validator().Event(marshal(t, media)).Valid)

	e = event(t, g, "users.messages.sms.ShortLinkClick")
	reasons := set(minimal(e), "properties", "suspected_bot_click_reason", []any{"fast", nil})
	require.Equal(t, []string{"/properties/suspected_bot_click_reason/1 type"}, places(validator().Event(marshal(t, reasons)).Errors))
}

func TestNumbers(t *testing.T) {
	const body = `{"event_type":"users.messages.webhook.Failure","id":"a","time":%T,"user":{"user_id":"u"},"properties":{"webhook_duration":%T}}`
	const whole = "1700000000 -5 1.0 17e8 9007199254740993 123456789012345678901234567890 1e999999999 0.5e999999999 1.25e2 120e-1" // as draft 7 has it
	const broken = "1.5 1e-999999999 1.25e1 120e-2"
	for _, number := range strings.Fields(whole + " " + broken) {
		valid := slices.Contains(strings.Fields(whole), number)
		raw := []byte(replace(body, "%T", number))
		verdict := validator().Event(raw)
		require.Equal(t, valid, verdict.Valid, number)
		if !valid {
			require.Equal(t, []string{"/properties/webhook_duration type", "/time type"}, places(verdict.Errors), number)
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
