package mapping_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/mapping"
)

func mapped(event string) string {
	return string(mapping.Plain().AppendMessage(nil, []byte(event), "fallback"))
}

// The parts that every message has, between which the others stand.
const (
	context = `{"context":{"library":{"name":"unknown","version":"unknown"},"integration":{"name":"Braze"}`
	track   = `},"integrations":{"Braze":false},"type":"track"`
)

func TestWholeMessage(t *testing.T) {
	event := `{"event_type":"users.messages.email.Open","id":"id-1","time":1700000000,
		"user":{"user_id":"bz1","external_user_id":"ext1","device_id":"dev","timezone":"America/New_York","country":"US"},
		"properties":{"x" : 1,"device_model":"iPhone","os_version":"17","platform":"ios","y":[1, 2],"email_address":"a@b.c",
		"user_agent":"UA","to_phone_number":"+1","ad_id":"AD","ad_tracking_enabled":true,"z":{"platform":"kept"} },"app":"not carried"}`
	want := context + `,"device":{"id":"dev","model":"iPhone","advertisingId":"AD","adTrackingEnabled":true},"os":{"version":"17","name":"ios"},` +
		`"timezone":"America/New_York","userAgent":"UA"` + track +
		`,"event":"users.messages.email.Open","messageId":"id-1","anonymousId":"bz1","userId":"ext1","traits":{"email":"a@b.c","phone":"+1"},` +
		`"timestamp":"2023-11-14T22:13:20.000Z","properties":{"x" : 1,"y":[1, 2],"z":{"platform":"kept"}}}`
	require.Equal(t, want, mapped(event))
}

// TestRules maps small events and looks at what lies behind the fixed parts:
// context is what follows the integration, rest what follows the type.
func TestRules(t *testing.T) {
	tests := []struct{ name, event, context, rest string }{
		{"nothing", `{}`, ``, `,"messageId":"fallback"`},
		{"no object", `[1]`, ``, `,"messageId":"fallback"`},
		{"white space everywhere", "{ \"id\" : \"i\" , \"user\" : { \"user_id\" : \"u\" } , \"properties\" : { } }", ``, `,"messageId":"i","anonymousId":"u"`},
		{"escaped keys", `{"\u0069d":"i","event\u005ftype":"t","\u0075ser":{"user\u005fid":"u"},"properties":{"plat\u0066orm":"ios","\u0061":1}}`,
			`,"os":{"name":"ios"}`, `,"event":"t","messageId":"i","anonymousId":"u","properties":{"\u0061":1}`},
		{"keys are case-sensitive", `{"ID":"i","User":{"user_id":"u"},"properties":{"Platform":"ios"}}`, ``, `,"messageId":"fallback","properties":{"Platform":"ios"}`},

		{"null sets nothing", `{"id":null,"event_type":null,"time":null,"user":{"user_id":null,"external_user_id":null,"device_id":null,"timezone":null},"properties":null}`, ``, `,"messageId":"fallback"`},
		{"empty, 0 and false are copied", `{"id":"i","user":{"user_id":"","external_user_id":0,"device_id":false,"timezone":""}}`, `,"device":{"id":false},"timezone":""`, `,"messageId":"i","anonymousId":"","userId":0`},
		{"values keep type and bytes", `{"id":"\u0061\/","event_type":{"a" : 1},"user":{"user_id":[1, 2],"external_user_id":9007199254740993}}`, ``, `,"event":{"a" : 1},"messageId":"\u0061\/","anonymousId":[1, 2],"userId":9007199254740993`},
		{"event types that RudderStack loses", `{"id":"i","event_type":"constructor"}`, ``, `,"event":"constructor","messageId":"i"`},
		{"user that is no object", `{"id":"i","user":[{"user_id":"u"}]}`, ``, `,"messageId":"i"`},
		{"paths as keys are not read", `{"id":"i","user.user_id":"u","properties.platform":"x","user":{"user_id":"v"}}`, ``, `,"messageId":"i","anonymousId":"v"`},

		{"the last duplicate wins", `{"id":"a","id":"i","event_type":"s","event_type":"t","user":{"user_id":"a"},"user":{"user_id":"b","user_id":"u"}}`, ``, `,"event":"t","messageId":"i","anonymousId":"u"`},
		{"the last duplicate is null", `{"id":"i","event_type":"s","event_type":null,"user":{"user_id":"a","user_id":null}}`, ``, `,"messageId":"i"`},
		{"a later user replaces the whole", `{"id":"i","user":{"user_id":"a","timezone":"t"},"user":{"device_id":"d"}}`, `,"device":{"id":"d"}`, `,"messageId":"i"`},
		{"a later user is no object", `{"id":"i","user":{"user_id":"a"},"user":5}`, ``, `,"messageId":"i"`},
		{"later properties replace the whole", `{"id":"i","properties":{"platform":"ios","a":1},"properties":{"b":2}}`, ``, `,"messageId":"i","properties":{"b":2}`},
		{"later properties are null", `{"id":"i","properties":{"platform":"ios","a":1},"properties":null}`, ``, `,"messageId":"i"`},
		{"later properties are a string", `{"id":"i","properties":{"platform":"ios","a":1},"properties":"s"}`, ``, `,"messageId":"i","properties":"s"`},

		{"device", `{"id":"i","user":{"device_id":"d"},"properties":{"ad_tracking_enabled":false}}`, `,"device":{"id":"d","adTrackingEnabled":false}`, `,"messageId":"i"`},
		{"os name alone", `{"id":"i","properties":{"platform":"ios"}}`, `,"os":{"name":"ios"}`, `,"messageId":"i"`},
		{"user agent", `{"id":"i","properties":{"user_agent":""}}`, `,"userAgent":""`, `,"messageId":"i"`},
		{"email alone", `{"id":"i","properties":{"email_address":"e"}}`, ``, `,"messageId":"i","traits":{"email":"e"}`},
		{"phone alone", `{"id":"i","properties":{"to_phone_number":1}}`, ``, `,"messageId":"i","traits":{"phone":1}`},
		{"mapped keys leave even when null", `{"id":"i","properties":{"platform":null,"email_address":null,"ad_id":null,"a":null}}`, ``, `,"messageId":"i","properties":{"a":null}`},
		{"a mapped duplicate, the last wins", `{"id":"i","properties":{"platform":"a","x":1,"platform":"b"}}`, `,"os":{"name":"b"}`, `,"messageId":"i","properties":{"x":1}`},
		{"a mapped duplicate, the last is null", `{"id":"i","properties":{"platform":"a","platform":null}}`, ``, `,"messageId":"i"`},
		{"mapped values that are objects", `{"id":"i","properties":{"device_model":{"a":[1, 2]}}}`, `,"device":{"model":{"a":[1, 2]}}`, `,"messageId":"i"`},
		{"keys like the mapped ones stay", `{"id":"i","properties":{"platform.x":1,"phone_number":2,"ad_ids":3,"platform ":4}}`, ``, `,"messageId":"i","properties":{"platform.x":1,"phone_number":2,"ad_ids":3,"platform ":4}`},

		{"properties byte for byte", "{\"id\":\"i\",\"properties\":{ \"b\" : 1 ,\n\"a\":2.50, \"7\":\"x\", \"a\":3 } }", ``, ",\"messageId\":\"i\",\"properties\":{ \"b\" : 1 ,\n\"a\":2.50, \"7\":\"x\", \"a\":3 }"},
		{"runs between what moves", `{"id":"i","properties":{ "a":1 , "b" : 2,"platform":"p","c":3 ,"os_version":"v", "d":4, "e":5 }}`, `,"os":{"version":"v","name":"p"}`, `,"messageId":"i","properties":{"a":1 , "b" : 2,"c":3,"d":4, "e":5}`},
		{"unusual keys and values", `{"id":"i","properties":{"a":1,"a.b":2,"c/d":3,"7":"x","big":9007199254740993,"z":"\u0000"}}`, ``, `,"messageId":"i","properties":{"a":1,"a.b":2,"c/d":3,"7":"x","big":9007199254740993,"z":"\u0000"}`},
		{"unsafe keys", `{"id":"i","properties":{"__proto__":{"a":1},"constructor":2}}`, ``, `,"messageId":"i","properties":{"__proto__":{"a":1},"constructor":2}`},
		{"empty properties", `{"id":"i","properties":{ }}`, ``, `,"messageId":"i"`},
		{"properties array", `{"id":"i","properties":[1, 2]}`, ``, `,"messageId":"i","properties":[1, 2]`},
		{"properties false", `{"id":"i","properties":false}`, ``, `,"messageId":"i","properties":false`},
		{"properties empty string", `{"id":"i","properties":""}`, ``, `,"messageId":"i","properties":""`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := mapped(tt.event)
			require.Equal(t, context+tt.context+track+tt.rest+"}", got)
			require.True(t, json.Valid([]byte(got)))
		})
	}
}

func TestMessageID(t *testing.T) {
	for id, want := range map[string]string{
		`"a"`: `"a"`, `" a "`: `" a "`, `"\u0061\"\\"`: `"\u0061\"\\"`, `12345`: `"12345"`, `-1.50e3`: `"-1.50e3"`, `9007199254740993`: `"9007199254740993"`,
		`""`: `"fallback"`, `" \t\u00a0"`: `"fallback"`, `0`: `"fallback"`, `-0.0`: `"fallback"`, `null`: `"fallback"`, `true`: `"fallback"`, `false`: `"fallback"`, `{"a":1}`: `"fallback"`, `["a"]`: `"fallback"`,
	} {
		require.Equal(t, context+track+`,"messageId":`+want+`}`, mapped(`{"id":`+id+`}`), id)
	}
}

func TestFallbackID(t *testing.T) {
	mapper := mapping.Plain()
	for _, fallback := range []string{"a", "rec/7-3", "quote\" backslash\\ control\x00\x1f\n é😀"} {
		var message struct {
			MessageID string `json:"messageId"`
		}
		require.NoError(t, json.Unmarshal(mapper.AppendMessage(nil, []byte(`{}`), fallback), &message))
		require.Equal(t, fallback, message.MessageID)
	}
	require.Equal(t, context+track+`}`, string(mapper.AppendMessage(nil, []byte(`{"id":""}`), "")))
}

// TestManyDuplicates has more runs between what moves than are noted.
func TestManyDuplicates(t *testing.T) {
	for n := range 40 {
		var in, out []string
		for i := range n {
			in = append(in, fmt.Sprintf(`"k%d" : %d`, i, i), fmt.Sprintf(`"plat\u0066orm":%d`, i))
			out = append(out, fmt.Sprintf(`"k%d" : %d`, i, i))
		}
		want := context + track + `,"messageId":"fallback"}`
		if n > 0 {
			want = context + fmt.Sprintf(`,"os":{"name":%d}`, n-1) + track + `,"messageId":"fallback","properties":{` + strings.Join(out, ",") + `}}`
		}
		require.Equal(t, want, mapped(`{"properties":{ `+strings.Join(in, " , ")+` }}`))
	}
}

// TestDeepNesting: reading each level again would take hours here.
func TestDeepNesting(t *testing.T) {
	const depth = 1 << 19
	open, closed := strings.Repeat("[", depth), strings.Repeat("]", depth)
	event := `{"id":"i","time":` + open + `1700000000` + closed + `,"user":{"user_id":` + open + closed + `},"properties":{"platform":` + open + closed + `,"a":` + open + closed + `}}`
	want := context + `,"os":{"name":` + open + closed + `}` + track + `,"messageId":"i","anonymousId":` + open + closed +
		`,"timestamp":"2023-11-14T22:13:20.000Z","properties":{"a":` + open + closed + `}}`
	require.True(t, mapped(event) == want) // without a listing of megabytes
}
