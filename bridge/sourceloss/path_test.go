package sourceloss_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/sourceloss"
)

// throwingMembers are an event's members, and whether they make the source throw.
type throwingMembers struct {
	name, members string
	want          bool
}

func throwing() []throwingMembers {
	deep := strings.Repeat("[", 200) + strings.Repeat("]", 200)
	return []throwingMembers{
		{"length alone", `"properties":{"length":"x"}`, false},
		{"an index alone", `"properties":{"1":"x","a":2}`, false},
		{"an array's length is text", `"properties":{"1":"x","length":"y"}`, true},
		{"in the other order", `"properties":{"length":1.5,"1":"x"}`, true},
		{"an object", `"properties":{"-1":"x","length":{}}`, true},
		{"an array", `"properties":{"0x10":"x","length":[1]}`, true},
		{"too large", `"properties":{"1":"x","length":4294967296}`, true},
		{"negative", `"properties":{"1":"x","length":-1}`, true},
		{"infinite", `"properties":{"1":"x","length":1e400}`, true},
		{"too large as text", `"properties":{"1":"x","length":"0x100000000"}`, true},
		{"written with escapes", `"properties":{"\u0031":"x","len\u0067th":"y"}`, true},
		{"lengths that are", `"properties":{"1":"x","length":4294967295}`, false},
		{"numbers as text", `"properties":{"1":"x","length":" 0xff "}`, false},
		{"null is 0", `"properties":{"1":"x","length":null}`, false},
		{"true is 1", `"properties":{"1":"x","length":true}`, false},
		{"blank is 0", `"properties":{"1":"x","length":" "}`, false},
		{"an index further down", `"properties":{"a.0":1,"a.length":"x"}`, true},
		{"an array in place of properties", `"properties":{"":[1],"length":"x"}`, true},
		{"an array in place of its parent", `"properties":{"a.":[1],"a.length":"x"}`, true},
		{"a length to walk into", `"properties":{"1":1,"length.a":"x"}`, true},
		{"a length to walk through", `"properties":{"a":[1],"a.length.b":"x"}`, true},
		{"a length without arrays", `"properties":{"a.length":"x","length.b":1}`, false},
		{"a slash makes it one key", `"properties":{"1":1,"length/a":"x","a/b.length":1}`, false},
		{"a whole path beside it", `"properties.length":"x","properties":{"1":1,"length":2}`, true},
		{"a whole path, after it", `"properties":{"1":1,"length":2},"properties.length":"x"`, true},
		{"only the last properties count", `"properties":{"1":1,"length":"x"},"properties":{"length":"x"}`, false},
		{"index and length in two properties", `"properties":{"1":1},"properties":{"length":"x"}`, false},

		{"an object's function", `"properties":{"toString.name":1}`, true},
		{"a function's length", `"properties":{"a.valueOf.length":1}`, true},
		{"further down", `"properties":{"hasOwnProperty.a.caller":1}`, true},
		{"a function's own thing", `"properties":{"toString.a":1,"toString":2,"name":3,"caller":4,"name.toString":5}`, false},
		{"an array's function", `"properties":{"a":[1],"a.push.name":1}`, true},
		{"an array's function, by an index", `"properties":{"0":1,"map.arguments":1}`, true},
		{"a function of no array", `"properties":{"a":1,"a.push.name":1}`, false},
		{"arrays of an earlier properties", `"properties":{"a":[1]},"properties":{"a.push.name":1}`, false},
		{"an event type without text", `"event_type":{"toString":1}`, true},
		{"the same, escaped", `"event_type":{"a":1,"toStrin\u0067":null}`, true},
		{"inside arrays", `"event_type":[1,["a,]",{"toString":1}]]`, true},
		{"inside an object it does not matter", `"event_type":{"a":{"toString":1}}`, false},
		{"as a value it does not matter", `"event_type":["toString",{"a":"toString"}]`, false},
		{"only the last event type counts", `"event_type":{"toString":1},"event_type":"t"`, false},
		{"arrays too deep to look into", `"event_type":` + deep, true},
		{"arrays not so deep", `"event_type":[[[[[["toString"]]]]]]`, false},
		{"a time without text", `"time":{"toString":1}`, true},
		{"a time inside arrays", `"time":[[],{"toString":1}]`, true},
		{"unusual times with text", `"time":[null,{"a":1}]`, false},
		{"only the last time counts", `"time":{"toString":1},"time":5`, false},
	}
}

// TestEventsThatMakeJavaScriptThrow: the source drops them silently, so they
// must not be sent to it.
func TestEventsThatMakeJavaScriptThrow(t *testing.T) {
	for _, tt := range throwing() {
		require.Equal(t, tt.want, of(tt.members).Reason == sourceloss.UnsafeKey, tt.name)
	}
}
