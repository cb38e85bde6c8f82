package mapping_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/schemas"
)

const call = `},"integrations":{"Braze":false},"type":`

func newValidator(t *testing.T) *schemas.Validator {
	v, err := schemas.NewValidator()
	require.NoError(t, err)
	return v
}

func requireValid(t *testing.T, v *schemas.Validator, message []byte) {
	t.Helper()
	verdict := v.Message(message)
	require.True(t, verdict.Valid, "%v: %s", verdict.Errors, message)
}

func TestIdentify(t *testing.T) {
	v := newValidator(t)
	m := newMapper(t, mapping.Options{Identify: true, Names: mapping.Names{Map: map[string]string{"*": "named"}}})
	profile := func(p string) string {
		return `{"event_type":"users.profile.Update","id":"i","time":1700000000,"user":{"user_id":"u","external_user_id":"e","timezone":"z"},"properties":` + p + `}`
	}
	const ids = `,"messageId":"i","anonymousId":"u","userId":"e","timestamp":"2023-11-14T22:13:20.000Z"`
	for _, tt := range casefile.Read(t, "testdata/identify.tsv", 4) {
		t.Run(tt[0], func(t *testing.T) {
			got := m.Append(nil, []byte(profile(tt[3])), "")
			want := context + tt[1] + `,"timezone":"z"` + call + `"identify"` + ids
			if tt[2] != "" {
				want += `,"traits":` + tt[2]
			}
			require.Equal(t, want+"}", string(got))
			requireValid(t, v, got)
		})
	}
	require.Equal(t, context+`,"timezone":"z"`+call+`"identify"`+ids+`,"properties":"text"}`, string(m.Append(nil, []byte(profile(`"text"`)), "")))
	require.Contains(t, string(m.Append(nil, []byte(`{"event_type":"users.profile.Updat\u0065"}`), "f")), `"type":"identify","messageId":"f"}`)
	for _, other := range []string{`"users.profile.Updated"`, `["users.profile.Update"]`, `null`} {
		require.Contains(t, string(m.Append(nil, []byte(`{"event_type":`+other+`}`), "")), `"type":"track"`)
	}
	require.Equal(t, mapped(profile(`{"email_address":"m"}`)), string(mapping.Plain().Append(nil, []byte(profile(`{"email_address":"m"}`)), "")), "off by default")
	require.Contains(t, mapped(profile(`{}`)), `"type":"track","event":"users.profile.Update"`)
}

func TestAlias(t *testing.T) {
	v := newValidator(t)
	m := newMapper(t, mapping.Options{Alias: true})
	orphan := func(user, properties string) string {
		return `{"event_type":"users.UserOrphan","id":"i","time":1700000000,"user":` + user + `,"properties":` + properties + `}`
	}
	const rest = `,"timestamp":"2023-11-14T22:13:20.000Z","properties":{"app_id":"a","orphaned_by_id":"o"}}`
	for user, want := range map[string]string{
		`{"user_id":"u","external_user_id":"e"}`:       `"previousId":"e","messageId":"i","anonymousId":"u","userId":"o"`,
		`{"user_id":"u"}`:                              `"previousId":"u","messageId":"i","anonymousId":"u","userId":"o"`,
		`{"user_id":"u","external_user_id":" "}`:       `"previousId":"u","messageId":"i","anonymousId":"u","userId":"o"`,
		`{"external_user_id":7}`:                       `"previousId":7,"messageId":"i","userId":"o"`,
		`{"user_id":"\u0075","external_user_id":null}`: `"previousId":"\u0075","messageId":"i","anonymousId":"\u0075","userId":"o"`,
	} {
		got := m.Append(nil, []byte(orphan(user, `{"app_id":"a","orphaned_by_id":"o"}`)), "")
		require.Equal(t, context+call+`"alias",`+want+rest, string(got))
		requireValid(t, v, got)
	}
	got := string(m.Append(nil, []byte(orphan(`{"user_id":"u","device_id":"d"}`, `{"orphaned\u005fby_id":1,"orphaned_by_id":"o","email_address":"m"}`)), ""))
	require.Equal(t, context+`,"device":{"id":"d"}`+call+`"alias","previousId":"u","messageId":"i","anonymousId":"u","userId":"o","traits":{"email":"m"}`+
		`,"timestamp":"2023-11-14T22:13:20.000Z","properties":{"orphaned\u005fby_id":1,"orphaned_by_id":"o"}}`, got)
	for _, event := range []string{ // where something is missing it stays a track call
		orphan(`{"user_id":"u"}`, `{}`), orphan(`{"user_id":"u"}`, `null`), orphan(`{"user_id":"u"}`, `{"orphaned_by_id":" "}`),
		orphan(`{"user_id":"u"}`, `{"orphaned_by_id":null}`), orphan(`{"user_id":"u"}`, `{"orphaned_by_id":"o","orphaned_by_id":{}}`),
		orphan(`{"user_id":"","external_user_id":0}`, `{"orphaned_by_id":"o"}`), orphan(`null`, `{"orphaned_by_id":"o"}`),
		strings.Replace(orphan(`{"user_id":"u"}`, `{"orphaned_by_id":"o"}`), "Orphan", "Orphans", 1),
	} {
		require.Equal(t, mapped(event), string(m.Append(nil, []byte(event), "fallback")))
	}
}

// TestHashedCalls: the rules for personal data come first.
func TestHashedCalls(t *testing.T) {
	m := newMapper(t, mapping.Options{Identify: true, Alias: true, Personal: mapping.Personal{
		Preset: mapping.Hash, Salt: []byte(salt), Fields: actions{"user.user_id": mapping.Hash, "orphaned_by_id": mapping.Hash, "country": mapping.Drop},
	}})
	got := m.Append(nil, []byte(`{"event_type":"users.profile.Update","id":"i","user":{"user_id":"u"},"properties":{"email_address":"m","country":"DE","gender":"F","x":1}}`), "")
	require.Equal(t, context+call+`"identify","messageId":"i","anonymousId":`+hashed("u")+`,"traits":{"email":`+hashed("m")+`,"gender":`+hashed("F")+`,"x":1}}`, string(got))
	got = m.Append(nil, []byte(`{"event_type":"users.UserOrphan","id":"i","user":{"user_id":"u"},"properties":{"orphaned_by_id":"o"}}`), "")
	require.Equal(t, context+call+`"alias","previousId":`+hashed("u")+`,"messageId":"i","anonymousId":`+hashed("u")+`,"userId":`+hashed("o")+`,"properties":{"orphaned_by_id":`+hashed("o")+`}}`, string(got))
}
