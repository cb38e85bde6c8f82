package mapping_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/currents/currentstest"
	"github.com/currentsbridge/currentsbridge/bridge/drift"
	"github.com/currentsbridge/currentsbridge/bridge/mapping"
)

// seeds are events of all shapes.
func seeds() []string {
	_, events := currentstest.EmailOpens(1)
	return []string{
		string(events[0]), `{}`, `{"id":"`, `{"id":-`, `{"time":"`, `{"time":[`, `{"properties":{"a`, `{"user":{"user_id":"a\`, `[1]`, ``, `{`,
		`{"event_type":"t","id":1,"time":"1700000000","user":{"user_id":"u","device_id":null},"properties":{"a.b":1,"platform":"x","c":[1,{}],"plat\u0066orm":null}}`,
		`{"id":" ","time":[[1e21]],"properties":[1,2],"properties":{"ad_id":{"a":"\u0000"}, "7":9007199254740993 , "email_address":[]}}`,
		`{"user":{"user_id":1},"user":"x","time":-0.5,"properties":"text","event_type":{"a":[]}}`,
		"{ \"properties\" : { \"os_version\" : 1 , \"x\" : 2 ,\n\"user_agent\":3,\"y\":\"\xff\" } }",
		`{"properties":{` + strings.Repeat(`"a":1,"platform":2,`, 12) + `"b":3}}`,
	}
}

// moved are the properties that must not stay, and where they go.
func movedTo() map[string][]string {
	return map[string][]string{
		"device_model": {"context", "device", "model"}, "os_version": {"context", "os", "version"}, "platform": {"context", "os", "name"},
		"email_address": {"traits", "email"}, "to_phone_number": {"traits", "phone"}, "user_agent": {"context", "userAgent"},
		"ad_id": {"context", "device", "advertisingId"}, "ad_tracking_enabled": {"context", "device", "adTrackingEnabled"},
	}
}

// FuzzAppendMessage maps any event and looks at the message with encoding/json:
// every value is where it belongs, byte for byte, and nothing else is there. A
// watch for drift changes nothing of it.
func FuzzAppendMessage(f *testing.F) {
	for _, seed := range seeds() {
		f.Add([]byte(seed))
	}
	mapper, watched := mapping.Plain(), newMapper(f, mapping.Options{Drift: drift.New(drift.Config{})})
	watchedWebhook := newMapper(f, mapping.Options{Drift: drift.New(drift.Config{}), Webhook: true})
	f.Fuzz(func(t *testing.T, event []byte) {
		message := mapper.AppendMessage(nil, event, "fall\"back")
		require.Equal(t, string(message), string(watched.Append(nil, event, "fall\"back")))
		require.Equal(t, string(event), string(watchedWebhook.Append(nil, event, "")))
		if len(event) == 0 || event[0] != '{' || event[len(event)-1] != '}' || !json.Valid(event) {
			return // that it did not panic is enough
		}
		require.True(t, json.Valid(message), "%s", message)
		require.LessOrEqual(t, len(message), len(event)+6*len(`fall"back`)+512)
		in, out := decode(t, event), decode(t, message)
		user, properties := decode(t, in["user"]), decode(t, in["properties"])

		want := map[string]string{
			"event": raw(in["event_type"]), "anonymousId": raw(user["user_id"]), "userId": raw(user["external_user_id"]),
			"context.device.id": raw(user["device_id"]), "context.timezone": raw(user["timezone"]),
			"type": `"track"`, "integrations.Braze": "false",
			"context.library.name": `"unknown"`, "context.library.version": `"unknown"`, "context.integration.name": `"Braze"`,
		}
		for key, path := range movedTo() {
			want[strings.Join(path, ".")] = raw(properties[key])
		}
		for path, value := range want {
			require.Equal(t, value, raw(at(t, out, path)), path)
		}
		checkProperties(t, in["properties"], out["properties"])
		checkOrder(t, message)
		if id, ok := currents.AppendText(nil, in["id"]); ok && strings.TrimSpace(string(id)) != "" {
			require.Equal(t, string(in["id"]), string(out["messageId"]))
		}
		require.NotEmpty(t, out["messageId"])
	})
}

// object is a JSON object of a test.
type object = map[string]json.RawMessage

// decode returns the members of an object, the last of duplicates; nil for
// anything else.
func decode(t *testing.T, text json.RawMessage) (members object) {
	if len(text) > 0 && text[0] == '{' {
		require.NoError(t, json.Unmarshal(text, &members))
	}
	return members
}

// exact decodes JSON without rounding its numbers.
func exact(t *testing.T, raw []byte) (v any) {
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	require.NoError(t, d.Decode(&v), "%s", raw)
	require.False(t, d.More(), "%s", raw)
	return v
}

// raw is a value as text; null counts as absent.
func raw(value json.RawMessage) string {
	if string(value) == "null" {
		return ""
	}
	return string(value)
}

func at(t *testing.T, o object, path string) json.RawMessage {
	key, rest, more := strings.Cut(path, ".")
	if !more {
		return o[key]
	}
	return at(t, decode(t, o[key]), rest)
}

// checkProperties: what stays is there in its order, duplicates included, and
// byte for byte.
func checkProperties(t *testing.T, in, out json.RawMessage) {
	if len(in) == 0 || in[0] != '{' {
		require.Equal(t, raw(in), raw(out))
		return
	}
	var stay, got []string
	cut := false
	for f := currents.Fields(in); f.Next(); {
		if _, moves := movedTo()[string(f.AppendKey(nil))]; moves {
			cut = true
			continue
		}
		start, end := f.Span()
		stay = append(stay, string(in[start:end]))
	}
	for f := currents.Fields(out); f.Next(); {
		start, end := f.Span()
		got = append(got, string(out[start:end]))
	}
	require.Equal(t, stay, got)
	if len(stay) > 0 && !cut {
		require.Equal(t, string(in), string(out), "untouched properties leave whole")
	}
	require.Equal(t, len(stay) > 0, len(out) > 0)
}

func checkOrder(t *testing.T, message []byte) {
	order := []string{"context", "integrations", "type", "event", "messageId", "anonymousId", "userId", "traits", "timestamp", "properties"}
	last := -1
	for f := currents.Fields(message); f.Next(); {
		place := slices.Index(order, string(f.Key()))
		require.Greater(t, place, last, "%s", message)
		last = place
	}
}

// plainText reports whether texts and all that JSON says in them is UTF-8.
func plainText(event []byte, texts ...string) bool {
	for _, text := range append(texts, string(event)) {
		if strings.ToValidUTF8(text, "") != text {
			return false
		}
	}
	lower := strings.ToLower(string(event))
	return !strings.Contains(lower, `\ud`) && !strings.Contains(lower, `\ufffd`)
}

func textOf(t *testing.T, value json.RawMessage) string {
	var text string
	if len(value) > 0 && value[0] == '"' {
		require.NoError(t, json.Unmarshal(value, &text))
		return text
	}
	return string(value)
}
