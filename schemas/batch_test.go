package schemas_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/openapitest"
	"github.com/currentsbridge/currentsbridge/schemas"
)

func replace(s, old, with string) string { return strings.ReplaceAll(s, old, with) }

func TestDrift(t *testing.T) {
	const known = `"event_type":"users.behaviors.CustomEvent","id":"a","time":1,"user":{"user_id":"u"%U},"properties":{"name":"n","custom_properties":{"free":{"as":"air"}}%P}%E`
	for name, tc := range map[string]struct {
		user, properties, event string
		want                    []string
	}{
		"none":                    {"", "", "", []string{}},
		"top level":               {"", "", `,"workspace":{"x":1}`, []string{"/workspace unknown_field"}},
		"user":                    {`,"alias":"x"`, "", "", []string{"/user/alias unknown_field"}},
		"properties":              {"", `,"b":1,"a":[]`, "", []string{"/properties/a unknown_field", "/properties/b unknown_field"}},
		"null":                    {`,"alias":null`, "", "", []string{"/user/alias unknown_field"}},
		"pointer escapes":         {"", `,"a/b~c":1`, "", []string{"/properties/a~1b~0c unknown_field"}},
		"a field of another type": {"", `,"machine_open":"true"`, "", []string{"/properties/machine_open unknown_field"}},
		"everywhere": {`,"u":1`, `,"p":1`, `,"e":1`, []string{
			"/e unknown_field", "/properties/p unknown_field", "/user/u unknown_field",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			raw := "{" + strings.NewReplacer("%U", tc.user, "%P", tc.properties, "%E", tc.event).Replace(known) + "}"
			verdict := validator().Event([]byte(raw))
			require.True(t, verdict.Valid, verdict.Errors)
			require.Empty(t, verdict.Errors)
			require.Equal(t, tc.want, places(verdict.Drift))
		})
	}
}

func TestFreeObjectsDoNotDrift(t *testing.T) {
	const purchase = `{"event_type":"users.behaviors.Purchase","id":"a","time":1,"user":{"user_id":"u"},
		"properties":{"product_id":"p","currency":"EUR","price":1,"purchase_properties":{"x.y":1,"user":{"z":null}}}}`
	verdict := validator().Event([]byte(purchase))
	require.True(t, verdict.Valid, verdict.Errors)
	require.Empty(t, verdict.Drift)
}

func TestUnknownEventType(t *testing.T) {
	verdict := validator().Event([]byte(`{"event_type":"users.messages.pigeon.Send","id":"a","time":1,"user":{"x":1},"properties":{"y":1},"z":1}`))
	require.True(t, verdict.Valid)
	require.Equal(t, "users.messages.pigeon.Send", verdict.Type)
	require.Equal(t, []string{"/event_type unknown_event_type", "/z unknown_field"}, places(verdict.Drift))
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
}

func TestBatch(t *testing.T) {
	const good = `{"event_type":"users.UserDeleteRequest","id":"a","time":1,"user":{"user_id":"u"}}`
	const noUser = `{"event_type":"users.UserDeleteRequest","id":"a","time":1}`
	const drifted = `{"event_type":"users.UserDeleteRequest","id":"a","time":1,"user":{"user_id":"u","new":1}}`
	const unknown = `{"event_type":"x","id":"a","time":1}`
	for name, tc := range map[string]struct {
		raw           string
		errors, drift []string
	}{
		"good":          {`{"events":[` + good + `]}`, nil, nil},
		"probe":         {`{"events":[]}`, nil, nil},
		"each by place": {`{"events":[` + good + `,` + noUser + `,` + drifted + `,5,` + unknown + `]}`, []string{"/events/1/user required", "/events/3 type"}, []string{"/events/2/user/new unknown_field", "/events/4/event_type unknown_event_type"}},
		"beside events": {`{"events":[],"sent_at":1}`, nil, []string{"/sent_at unknown_field"}},
		"no events":     {`{}`, []string{"/events required"}, nil},
		"null events":   {`{"events":null}`, []string{"/events type"}, nil},
		"one event":     {`{"events":` + good + `}`, []string{"/events type"}, nil},
		"bare array":    {`[` + good + `]`, []string{" type"}, nil},
		"not JSON":      {`{"events":[`, []string{" invalid_json"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			verdict := validator().Batch([]byte(tc.raw))
			require.Equal(t, len(tc.errors) == 0, verdict.Valid)
			require.ElementsMatch(t, tc.errors, places(verdict.Errors))
			require.ElementsMatch(t, tc.drift, places(verdict.Drift))
			require.Empty(t, verdict.Type)
		})
	}
}

func TestBatchKeepsTheOrderOfEvents(t *testing.T) {
	verdict := validator().Batch([]byte(`{"events":[` + strings.Repeat("5,", 11) + `5]}`))
	require.Len(t, verdict.Errors, 12)
	for i, f := range verdict.Errors {
		require.Equal(t, fmt.Sprintf("/events/%d", i), f.Path)
	}
}

// The schema of a whole batch is for those who use another validator; it must
// say what Batch says.
func TestBatchSchemasAgreeWithTheValidator(t *testing.T) {
	braze, rudder := library(t, "braze/batch"), library(t, "rudder/batch")
	var events []any
	for _, e := range load(t).Events {
		for section, fields := range sections(&e) {
			events = append(events, minimal(&e), with(minimal(&e), section, "new", 1))
			for i, f := range fields {
				if f.Required || i == 0 {
					events = append(events, with(minimal(&e), section, f.Name, nil), with(minimal(&e), section, f.Name, object{}))
				}
			}
		}
	}
	events = append(events, 5, nil, []any{}, object{}, object{"event_type": ""}, object{"event_type": "new", "id": "a", "time": 1})
	invalid := 0
	for _, event := range events {
		raw := marshal(t, object{"events": []any{event}})
		want := braze(raw)
		require.Equal(t, want, validator().Batch(raw).Valid, "%s", raw)
		require.Equal(t, want, validator().Event(marshal(t, event)).Valid, "%s", raw)
		if !want {
			invalid++
		}
	}
	require.Greater(t, invalid, 100)
	require.Greater(t, len(events)-invalid, 100)

	for name, tc := range messages() {
		raw := []byte(`{"batch":[` + tc.raw + `]}`)
		require.Equal(t, len(tc.want) == 0, rudder(raw), name)
	}
	for _, raw := range []string{`{}`, `[]`, `null`, `{"batch":5}`, `{"batch":[]}`, `{"events":5}`, `{"events":[]}`} {
		require.Equal(t, braze([]byte(raw)), validator().Batch([]byte(raw)).Valid, raw)
		require.Equal(t, rudder([]byte(raw)), validator().MessageBatch([]byte(raw)).Valid, raw)
	}
}

func library(t *testing.T, name string) func(document []byte) (valid bool) {
	t.Helper()
	raw, ok := schemas.Schema(name)
	require.True(t, ok, name)
	validate := openapitest.Schema(t, raw)
	return func(document []byte) bool { return validate(document) == nil }
}
