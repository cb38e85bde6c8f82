package schemas_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
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
		"malformed UTF-8":         {"", ",\"\xff\":1", "", []string{"/properties/\ufffd unknown_field"}},
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
