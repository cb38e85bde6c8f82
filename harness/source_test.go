package harness_test

import (
	"bytes"
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/bridge/sourceloss"
	"github.com/currentsbridge/currentsbridge/harness/oracle"
	"github.com/currentsbridge/currentsbridge/internal/journey"
	"github.com/currentsbridge/currentsbridge/internal/population"
	"github.com/currentsbridge/currentsbridge/mockrudder/brazesource"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// The bridge's mapping against RudderStack's own Braze source: on every event
// that Braze documents both make the same message. TestWhereMappingAndSourceDiffer
// lists, one by one, what the bridge does otherwise on purpose.

// bothMap returns what the bridge and what RudderStack's source make of an
// event; nil: the bridge dead-letters it, or the source drops it.
func bothMap(t *testing.T, body []byte, event currents.Event) (bridge, source any) {
	t.Helper()
	var err error
	if event.Problem() == "" {
		message := mapping.Plain().AppendMessage(nil, body[event.Start:event.End], "")
		bridge, err = oracle.Decode(message)
		require.NoError(t, err, "%s", message)
	}
	result, err := brazesource.New().Transform(string(body), math.MaxInt)
	if err == nil && len(result.Messages) == 1 {
		source, err = oracle.Decode([]byte(result.Messages[0].JSON))
		require.NoError(t, err, result.Messages[0].JSON)
	}
	return bridge, source
}

func TestMappingAgainstSourceOverTheGlossary(t *testing.T) {
	glossary, err := schemas.Load()
	require.NoError(t, err)
	rounds, err := journey.New(journey.Config{Glossary: glossary, Population: population.New(population.Config{Seed: 11}), Seed: 11})
	require.NoError(t, err)
	const eventsOfAType = 12 // ten show every field
	for i := range uint64(eventsOfAType * len(rounds.Types())) {
		text := rounds.Append(nil, i)
		body, event, ok := scanEvent(t, text)
		require.True(t, ok, "%s", text)
		bridge, source := bothMap(t, body, event)
		if !bytes.Contains(text, []byte(`user_id":"`)) { // it has no user
			require.Nil(t, bridge, "%s", text)
			require.Nil(t, source, "%s", text)
			continue
		}
		require.NotNil(t, bridge, "%s", text)
		require.Empty(t, oracle.Diff(source, bridge, oracle.Float, 5), "%s", text)
	}
}

// dropped
// stands for an event that the bridge dead-letters or the source drops.
const dropped = ""

// differing is an event and what bridge and source make of it.
type differing struct{ name, event, bridge, source string }

const messageStart = `{"context":{"library":{"name":"unknown","version":"unknown"},"integration":{"name":"Braze"}},"integrations":{"Braze":false},"type":"track"`

func messageWith(rest string) string {
	return messageStart + `,"event":"t","messageId":"i","anonymousId":"u"` + rest + `}`
}

func eventAnd(rest string) string {
	return `{"event_type":"t","id":"i","user":{"user_id":"u"}` + rest + `}`
}

func eventWith(properties string) string { return eventAnd(`,"properties":` + properties) }

func TestWhereMappingAndSourceDiffer(t *testing.T) {
	for _, tt := range slices.Concat(differentKeys(), differentValues(), differentEvents()) {
		t.Run(tt.name, func(t *testing.T) {
			body, event, ok := scanEvent(t, []byte(tt.event))
			require.True(t, ok)
			bridge, source := bothMap(t, body, event)
			requireMessage(t, tt.bridge, bridge)
			requireMessage(t, tt.source, source)
			require.False(t, mustAgree([]byte(tt.event), event), "the fuzz test must not expect agreement here")
		})
	}
}

func differentKeys() []differing {
	return []differing{
		{
			"a dot in a key", eventWith(`{"a.b":1}`),
			messageWith(`,"properties":{"a.b":1}`), messageWith(`,"properties":{"a":{"b":1}}`),
		},
		{
			"a dot in a key beside its beginning", eventWith(`{"a.b":2,"a":1}`),
			messageWith(`,"properties":{"a.b":2,"a":1}`), messageWith(`,"properties":{"a":1}`),
		},
		{
			"a dot at the end", eventWith(`{"a.":1}`),
			messageWith(`,"properties":{"a.":1}`), messageWith(`,"properties":{"a":1}`),
		},
		{
			"a slash in a key", eventWith(`{"a/b":1}`),
			messageWith(`,"properties":{"a/b":1}`), messageWith(`,"properties.a/b":1`),
		},
		{
			"a backslash in a key", eventWith(`{"a\\b":1}`),
			messageWith(`,"properties":{"a\\b":1}`), messageWith(`,"properties":{"ab":1}`),
		},
		{
			"a key that is a whole number", eventWith(`{"c":2,"1":"x"}`),
			messageWith(`,"properties":{"c":2,"1":"x"}`), messageWith(`,"properties":[null,"x"]`),
		},
		{
			"a key that JavaScript reads as a whole number", eventWith(`{"0x2":"x"}`),
			messageWith(`,"properties":{"0x2":"x"}`), messageWith(`,"properties":[null,null,"x"]`),
		},
		{
			"an empty key", eventWith(`{"":1,"c":2}`),
			messageWith(`,"properties":{"":1,"c":2}`), messageWith(`,"properties":{"c":2}`),
		},
		{"an unsafe key", eventWith(`{"constructor":1}`), messageWith(`,"properties":{"constructor":1}`), dropped},
		{"an unsafe key as part of a path", eventWith(`{"a.__proto__":1}`), messageWith(`,"properties":{"a.__proto__":1}`), dropped},
	}
}

func differentValues() []differing {
	return []differing{
		{
			"a whole number above 2^53", eventWith(`{"a":9007199254740993}`),
			messageWith(`,"properties":{"a":9007199254740993}`), messageWith(`,"properties":{"a":9007199254740992}`),
		},
		{
			"a number written in another way", eventWith(`{"a":1.0,"b":-0}`),
			messageWith(`,"properties":{"a":1.0,"b":-0}`), messageWith(`,"properties":{"a":1,"b":0}`),
		},
		{
			"a number beyond all bounds", eventWith(`{"a":1e400}`),
			messageWith(`,"properties":{"a":1e400}`), messageWith(`,"properties":{"a":null}`),
		},
		{
			"properties that are a text", eventWith(`"abc"`),
			messageWith(`,"properties":"abc"`), messageWith(`,"properties":[]`),
		},
		{"properties that are true", eventWith(`true`), messageWith(`,"properties":true`), messageWith(``)},
		{"properties that are a number", eventWith(`5`), messageWith(`,"properties":5`), messageWith(``)},
	}
}

func differentEvents() []differing {
	return []differing{
		{"a time that is none", eventAnd(`,"time":"abc"`), messageWith(``), messageWith(`,"timestamp":"Invalid date"`)},
		{"a time out of range", eventAnd(`,"time":8640000000000001`), messageWith(``), messageWith(`,"timestamp":"Invalid date"`)},
		{
			"a time in milliseconds", eventAnd(`,"time":1700000000123`),
			messageWith(`,"timestamp":"2023-11-14T22:13:20.123Z"`), messageWith(`,"timestamp":"55840-11-08T22:15:23.000Z"`),
		},
		{
			"a time that is ISO text", eventAnd(`,"time":"2023-11-14T22:13:20Z"`),
			messageWith(`,"timestamp":"2023-11-14T22:13:20.000Z"`), messageWith(`,"timestamp":"1970-01-01T00:33:43.000Z"`),
		},
		{
			"an id that Braze has redacted", `{"event_type":"t","id":"i","user":{"user_id":"u","external_user_id":"[REDACTED]"}}`,
			messageStart + `,"event":"t","messageId":"i","anonymousId":"u"}`, messageStart + `,"event":"t","messageId":"i","anonymousId":"u","userId":"[REDACTED]"}`,
		},
		{
			"an event_type that JavaScript objects have", `{"event_type":"constructor","id":"i","user":{"user_id":"u"}}`,
			messageStart + `,"event":"constructor","messageId":"i","anonymousId":"u"}`, messageStart + `,"messageId":"i","anonymousId":"u"}`,
		},
		{
			"a numeric id", `{"event_type":"t","id":5,"user":{"user_id":"u"}}`,
			messageStart + `,"event":"t","messageId":"5","anonymousId":"u"}`, messageStart + `,"event":"t","messageId":5,"anonymousId":"u"}`,
		},
		{
			"an id that cannot be used", `{"event_type":"t","id":true,"user":{"user_id":"u"}}`,
			messageStart + `,"event":"t","anonymousId":"u"}`, messageStart + `,"event":"t","messageId":true,"anonymousId":"u"}`,
		},
		{
			"a blank id", `{"event_type":"t","id":" ","user":{"user_id":"u"}}`,
			messageStart + `,"event":"t","anonymousId":"u"}`, messageStart + `,"event":"t","messageId":" ","anonymousId":"u"}`,
		},
		{
			"users that are blank, whom the gateway refuses behind the source", `{"event_type":"t","id":"i","user":{"user_id":" "}}`,
			dropped, messageStart + `,"event":"t","messageId":"i","anonymousId":" "}`,
		},
		{
			"a path that is a key at the top", `{"event_type":"t","id":"i","user.user_id":"literal","user":{"user_id":"u"}}`,
			messageWith(``), messageStart + `,"event":"t","messageId":"i","anonymousId":"literal"}`,
		},
	}
}

func requireMessage(t *testing.T, want string, got any) {
	t.Helper()
	if want == dropped {
		require.Nil(t, got)
		return
	}
	decoded, err := oracle.Decode([]byte(want))
	require.NoError(t, err)
	require.Empty(t, oracle.Diff(decoded, got, oracle.Exact, 5))
}

func FuzzMappingAgainstSource(f *testing.F) {
	seedEvents(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		body, event, ok := scanEvent(t, text)
		if !ok {
			return
		}
		if _, err := oracle.Decode(body); err != nil {
			return // deeper than this test reads
		}
		bridge, source := bothMap(t, body, event)
		if sourceloss.Of(body[event.Start:event.End]).Reason == "" {
			require.NotNil(t, source, "in webhook mode the bridge sends what RudderStack drops: %s", text)
		}
		if mustAgree(text, event) {
			require.Empty(t, oracle.Diff(source, bridge, oracle.Float, 5), "%s", text)
		}
	})
}

var (
	// pathlike keys are not taken as they are by RudderStack's source: a path
	// with several segments, a whole number, nothing at all, or unsafe.
	pathlike = regexp.MustCompile(`[./\\]|^\s*$|^[\s\p{Z}\x{feff}]*[-+0-9]|^(__proto__|constructor|prototype)$`)
	// inherited are names that every JavaScript object has.
	inherited = regexp.MustCompile(`^(__.*__|constructor|hasOwnProperty|isPrototypeOf|propertyIsEnumerable|toLocaleString|toString|valueOf)$`)
)

// mustAgree says whether an event has none of the shapes that
// TestWhereMappingAndSourceDiffer lists, up to how a number is written.
func mustAgree(text []byte, event currents.Event) bool {
	var v map[string]any
	decoded, err := oracle.Decode(text)
	if err != nil || !utf8.Valid(text) || strings.Contains(string(text), "\ufffd") {
		return false
	}
	v, ok := decoded.(map[string]any)
	if !ok {
		return true // neither takes it
	}
	for key := range v {
		if strings.ContainsAny(key, `.\`) {
			return false
		}
	}
	switch name := v["event_type"].(type) {
	case string:
		if inherited.MatchString(name) {
			return false
		}
	case []any:
		return false // as text it may be one of those names
	}
	_, differs := oracle.Timestamp(v["time"])
	user, _ := v["user"].(map[string]any)
	return !differs && !strings.Contains(string(text), "[REDACTED]") && plainID(v["id"]) && !blank(user["user_id"]) && !blank(user["external_user_id"]) &&
		plainProperties(v["properties"]) && plainNumbers(v)
}

func plainID(id any) bool {
	text, isText := id.(string)
	return id == nil || isText && strings.TrimSpace(text) != ""
}

func blank(id any) bool {
	text, isText := id.(string)
	return isText && text != "" && strings.TrimSpace(text) == ""
}

func plainProperties(v any) bool {
	switch p := v.(type) {
	case nil, []any:
		return true
	case map[string]any:
		for key := range p {
			if pathlike.MatchString(key) {
				return false
			}
		}
		return true
	}
	return false
}

// plainNumbers says whether every number fits a float64, and is no whole number
// that a float64 rounds.
func plainNumbers(v any) bool {
	switch v := v.(type) {
	case json.Number:
		f, err := v.Float64()
		return err == nil && math.Abs(f) <= 1<<53 && v.String() == shortest(f)
	case []any:
		for _, item := range v {
			if !plainNumbers(item) {
				return false
			}
		}
	case map[string]any:
		for _, item := range v {
			if !plainNumbers(item) {
				return false
			}
		}
	}
	return true
}

// shortest is how JavaScript writes a number of ordinary size.
func shortest(f float64) string {
	text, err := json.Marshal(f)
	if err != nil {
		return ""
	}
	return string(text)
}
