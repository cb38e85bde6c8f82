package schemas_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

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
