package mapping_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/fixtures"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

// edited makes of what RudderStack's source made of an event what the mapping must make
// of it: nothing moves inside of properties, ids and event types stay, and times are read
// as people mean them.
func edited(t *testing.T, difference []string, event, want []byte) []byte {
	e, m := decode(t, event), decode(t, want)
	switch difference[0] {
	case "properties":
		maps.DeleteFunc(m, func(key string, _ json.RawMessage) bool { return strings.HasPrefix(key, "properties.") })
		m["properties"] = e["properties"]
	case "timestamp":
		delete(m, "timestamp")
		if difference[1] != "" {
			m["timestamp"] = json.RawMessage(`"` + difference[1] + `"`)
		}
	case "event type":
		m["event"] = e["event_type"]
	case "id as text":
		m["messageId"] = json.RawMessage(`"` + string(e["id"]) + `"`)
	case "nested user":
		m["anonymousId"] = decode(t, e["user"])["user_id"]
	default:
		t.Fatal("unknown difference", difference)
	}
	raw, err := json.Marshal(m)
	require.NoError(t, err)
	return raw
}

// TestRecordedCases holds the mapping against what RudderStack's own Braze
// source made of the same bodies, and where it must differ says how.
func TestRecordedCases(t *testing.T) {
	edits := map[string][]string{}
	for _, row := range casefile.Read(t, "testdata/differences.tsv", 3) {
		edits[row[2]] = row
	}
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
