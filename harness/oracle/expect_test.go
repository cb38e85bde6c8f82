package oracle_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/harness/oracle"
)

func TestFate(t *testing.T) {
	webhook := oracle.Rules{Webhook: true}
	tests := []struct {
		event  string
		rules  oracle.Rules
		fate   oracle.Fate
		reason string
	}{
		{`5`, oracle.Rules{}, oracle.Dead, "not_an_object"},
		{`null`, oracle.Rules{}, oracle.Dead, "not_an_object"},
		{`{"user":{"user_id":"u"}}`, oracle.Rules{}, oracle.Dead, "no_event_type"},
		{`{"event_type":0,"user":{"user_id":"u"}}`, oracle.Rules{}, oracle.Dead, "no_event_type"},
		{`{"event_type":"t"}`, oracle.Rules{}, oracle.Dead, "no_identity"},
		{`{"event_type":"t","user":[{"user_id":"u"}]}`, oracle.Rules{}, oracle.Dead, "no_identity"},
		{`{"event_type":"t","user":{"user_id":" \t","external_user_id":"\u00a0"}}`, oracle.Rules{}, oracle.Dead, "no_identity"},
		{`{"event_type":"t","user":{"user_id":-0.0,"external_user_id":false}}`, oracle.Rules{}, oracle.Dead, "no_identity"},
		{`{"event_type":"t","user":{"user_id":true}}`, oracle.Rules{}, oracle.Deliver, ""},
		{`{"event_type":{},"user":{"external_user_id":[]}}`, oracle.Rules{}, oracle.Deliver, ""},
		{`{"event_type":"t","user":{"user_id":"u"}}`, oracle.Rules{MissingExternalUserID: oracle.Dead}, oracle.Dead, "no_external_user_id"},
		{`{"event_type":"t","user":{"user_id":"u"}}`, oracle.Rules{MissingExternalUserID: oracle.Filtered}, oracle.Filtered, ""},
		{`{"event_type":"t","user":{"user_id":"u"},"properties":{"a.constructor":1}}`, webhook, oracle.Dead, "unsafe_key"},
		{`{"event_type":"t","user":{"user_id":"u"},"properties":{"a/constructor":1}}`, webhook, oracle.Deliver, ""},
		{`{"event_type":"t","user":{"user_id":"u"},"properties":{"a":{"constructor":1}}}`, webhook, oracle.Deliver, ""},
		{`{"event_type":"t","user":{"user_id":"u"},"properties":{"a":[{"b":"\u0000"}]}}`, webhook, oracle.Dead, "nul"},
		{`{"event_type":"t","user":{"user_id":"u"},"properties":{"constructor":"\u0000"}}`, oracle.Rules{}, oracle.Deliver, ""},
	}
	for _, tt := range tests {
		got, err := oracle.Expect([]byte(tt.event), tt.rules)
		require.NoError(t, err, tt.event)
		require.Equal(t, tt.fate, got.Fate, tt.event)
		require.Equal(t, tt.reason, got.Reason, tt.event)
		require.Equal(t, tt.fate == oracle.Deliver, got.Arrives != nil, tt.event)
	}
	_, err := oracle.Expect([]byte(`{"a":1} 2`), oracle.Rules{})
	require.ErrorIs(t, err, oracle.ErrNotJSON)
}

func TestTimestamp(t *testing.T) {
	tests := []struct {
		time, want string
		differs    bool // from RudderStack's source
	}{
		{`1700000000`, "2023-11-14T22:13:20.000Z", false},
		{`"1700000000.9"`, "2023-11-14T22:13:20.000Z", false},
		{`" 1700000000 "`, "2023-11-14T22:13:20.000Z", false},
		{`1700000000.789`, "2023-11-14T22:13:20.000Z", false},
		{`[1700000000]`, "2023-11-14T22:13:20.000Z", false},
		{`[[17e8,2],null]`, "2023-11-14T22:13:20.000Z", false},
		{`0.5`, "1970-01-01T00:00:00.000Z", false},
		{`-0.5`, "1970-01-01T00:00:00.000Z", false},
		{`1e-7`, "1970-01-01T00:00:01.000Z", false},
		{`1e21`, "1970-01-01T00:00:01.000Z", false},
		{`"0"`, "1970-01-01T00:00:00.000Z", false},
		{`"+5"`, "1970-01-01T00:00:05.000Z", false},
		{`-1`, "1969-12-31T23:59:59.000Z", false},
		{`253402300799`, "9999-12-31T23:59:59.000Z", false},
		{`-62198755200`, "-0001-01-01T00:00:00.000Z", false},
		{`253402300800`, "1978-01-11T21:31:40.800Z", true},
		{`1700000000123`, "2023-11-14T22:13:20.123Z", true},
		{`"1700000000123"`, "2023-11-14T22:13:20.123Z", true},
		{`8640000000001`, "2243-10-17T00:00:00.001Z", true},
		{`8640000000000001`, "", true},
		{`"2024-01-02T03:04:05Z"`, "2024-01-02T03:04:05.000Z", true},
		{`"2023-11-14 23:13:20.5+01:00"`, "2023-11-14T22:13:20.500Z", true},
		{`"2023-99-14"`, "", true},
		{`1e20`, "", true},
		{`1e400`, "", true},
		{`"abc"`, "", true},
		{`"+-5"`, "", true},
		{`[]`, "", true},
		{`true`, "", true},
		{`{"a":1}`, "", true},
		{`0`, "", false},
		{`-0.0`, "", false},
		{`1e-400`, "", false},
		{`""`, "", false},
		{`null`, "", false},
		{`false`, "", false},
	}
	for _, tt := range tests {
		v, err := oracle.Decode([]byte(tt.time))
		require.NoError(t, err)
		got, differs := oracle.Timestamp(v)
		require.Equal(t, tt.want, got, tt.time)
		require.Equal(t, tt.differs, differs, tt.time)
	}
}

func TestSumTellsApartWhatDiffers(t *testing.T) {
	same := [][2]string{
		{`{"a":1,"b":[true,null]}`, ` { "b" : [ true , null ] , "a" : 1 } `},
		{`"\u0041\n"`, `"A\u000a"`},
		{`{"a":1,"a":2}`, `{"a":2}`},
	}
	for _, pair := range same {
		require.Equal(t, oracle.SumOf(decoded(t, pair[0])), oracle.SumOf(decoded(t, pair[1])), pair)
		require.Empty(t, oracle.Diff(decoded(t, pair[0]), decoded(t, pair[1]), oracle.Exact, 1), pair)
	}
	different := [][2]string{
		{`1`, `1.0`}, {`1`, `"1"`}, {`9007199254740993`, `9007199254740992`}, {`null`, `false`},
		{`{"a":null}`, `{}`}, {`[1,[2]]`, `[[1],2]`}, {`["ab","c"]`, `["a","bc"]`}, {`""`, `"\u0000"`},
		{`{"a":{"b":1}}`, `{"a.b":1}`}, {`[]`, `{}`},
	}
	for _, pair := range different {
		require.NotEqual(t, oracle.SumOf(decoded(t, pair[0])), oracle.SumOf(decoded(t, pair[1])), pair)
		require.NotEmpty(t, oracle.Diff(decoded(t, pair[0]), decoded(t, pair[1]), oracle.Exact, 1), pair)
	}
	require.Empty(t, oracle.Diff(decoded(t, `[1.0,1e5,9007199254740993,-0]`), decoded(t, `[1,100000,9007199254740992,0]`), oracle.Float, 5))
	require.NotEmpty(t, oracle.Diff(decoded(t, `1.5`), decoded(t, `1.25`), oracle.Float, 5))
}

func decoded(t *testing.T, text string) any {
	t.Helper()
	v, err := oracle.Decode([]byte(text))
	require.NoError(t, err)
	return v
}

func TestDiffNamesThePlace(t *testing.T) {
	want, got := decoded(t, `{"a":{"b/c":1,"d":[1,2]},"gone":true}`), decoded(t, `{"a":{"b/c":1.0,"d":[1,3]},"new":null}`)
	require.Equal(t, []string{
		"/a/b~1c: want 1, got 1.0",
		"/a/d/1: want 2, got 3",
		"/gone: want true, got nothing",
		"/new: want nothing, got null",
	}, oracle.Diff(want, got, oracle.Exact, 10))
	require.Len(t, oracle.Diff(want, got, oracle.Exact, 2), 2)
	require.Empty(t, oracle.Diff(want, want, oracle.Exact, 2))
}

func ExampleExpect() {
	event := `{"event_type":"users.messages.email.Open","id":"e1","time":1700000000,
	  "user":{"external_user_id":"ada"},"properties":{"email_address":"ada@example.com","link":"x"}}`
	want, err := oracle.Expect([]byte(event), oracle.Rules{})
	if err != nil {
		fmt.Println(err)
		return
	}
	properties, _ := json.Marshal(want.Arrives["properties"])
	traits, _ := json.Marshal(want.Arrives["traits"])
	fmt.Println(want.ID, want.Arrives["timestamp"], string(traits), string(properties))
	// Output: e1 2023-11-14T22:13:20.000Z {"email":"ada@example.com"} {"link":"x"}
}
