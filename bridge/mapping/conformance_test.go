package mapping_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/fixtures"
)

// Where the mapping must not do as RudderStack does, and what it does instead:
// an edit of the recorded message.
func keepsProperties(event, message object) {
	for key := range message {
		if strings.HasPrefix(key, "properties.") {
			delete(message, key)
		}
	}
	message["properties"] = event["properties"]
}

func noTimestamp(_, message object) { delete(message, "timestamp") }

// timestampIs is for a time that RudderStack reads as seconds, whatever it is.
func timestampIs(want string) func(event, message object) {
	return func(_, message object) { message["timestamp"] = json.RawMessage(`"` + want + `"`) }
}

func keepsType(event, message object) { message["event"] = event["event_type"] }

func idAsText(event, message object) {
	message["messageId"] = json.RawMessage(`"` + string(event["id"]) + `"`)
}

func readsNestedUser(event, message object) {
	var user object
	if json.Unmarshal(event["user"], &user) == nil {
		message["anonymousId"] = user["user_id"]
	}
}

func differences() map[string]func(event, message object) {
	edits := map[string]func(event, message object){
		"literal dotted + nested (precedence)": readsNestedUser,
		"time: string garbage":                 noTimestamp,
		"time: true":                           noTimestamp,
		"time: object":                         noTimestamp,
		"time: string ISO":                     timestampIs("2024-01-02T03:04:05.000Z"),
		"time: year 10000":                     timestampIs("1978-01-11T21:31:40.800Z"), // milliseconds
		"time: max date":                       timestampIs("2243-10-17T00:00:00.000Z"),
		"time: beyond max date":                timestampIs("2243-10-17T00:00:00.001Z"),
		"id: numeric":                          idAsText,
		"event_type: constructor":              keepsType,
		"event_type: toString":                 keepsType,
		"event_type: __proto__":                keepsType,
		"map: to numeric":                      keepsType,
	}
	for _, name := range []string{
		"key with dot a.b", "key a.b first then a scalar", "key trailing dot", "empty key", "key with slash",
		"key with slash and dot (url)", "key with backslash", "key with backslash dot", "key integer-like only",
		"key integer-like after others", "key a.0", "key hex 0x10", "key 2.0 style version", "properties string",
		"properties true", "huge ints/floats", "big ints", "dotted ignored key a: platform.x",
		"dotted literal email: user.email_address", "slash key with null value (top-level null removed)",
		"dotted key with null value", "keys a then a.b with a null",
	} {
		edits["prop: "+name] = keepsProperties
	}
	return edits
}

// TestRecordedCases holds the mapping against what RudderStack's own Braze
// source made of the same bodies, and where it must differ says how.
func TestRecordedCases(t *testing.T) {
	edits := differences()
	mapper := mapping.Plain()
	cases, err := fixtures.BrazeSourceCases()
	require.NoError(t, err)
	compared := 0
	for _, c := range cases {
		var batch currents.Batch
		if batch.Scan([]byte(c.Body)) != nil || len(c.Want.Messages) == 0 || len(batch.Events) != len(c.Want.Messages) {
			continue // refused as a whole, or an event that the bridge dead-letters
		}
		compared++
		t.Run(c.Name, func(t *testing.T) {
			for i, e := range batch.Events {
				event := []byte(c.Body)[e.Start:e.End]
				want := c.Want.Messages[i]
				if edit := edits[c.Name]; edit != nil {
					want = edited(t, edit, event, want)
				}
				got := mapper.AppendMessage(nil, event, "")
				require.Equal(t, exact(t, want), exact(t, got))
			}
		})
		delete(edits, c.Name)
	}
	require.Empty(t, edits, "cases that were not recorded")
	require.GreaterOrEqual(t, compared, 92)
}

func edited(t *testing.T, edit func(event, message object), event, want []byte) []byte {
	var e, m object
	require.NoError(t, json.Unmarshal(event, &e))
	require.NoError(t, json.Unmarshal(want, &m))
	edit(e, m)
	raw, err := json.Marshal(m)
	require.NoError(t, err)
	return raw
}
