package mapping_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/drift"
	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

// counted returns what a watch has seen, as type|field=count.
func counted(w *drift.Watch) (list []string) {
	for _, i := range w.List() {
		list = append(list, fmt.Sprintf("%s|%s=%d", i.EventType, i.Field, i.Count))
	}
	return list
}

// bothModes maps events in each mode with a watch, and makes sure that what leaves is
// what leaves without one.
func bothModes(t *testing.T, personal mapping.Personal, events ...string) (seen []string) {
	t.Helper()
	for _, webhook := range []bool{false, true} {
		w := drift.New(drift.Config{})
		m := newMapper(t, mapping.Options{Webhook: webhook, Drift: w, Personal: personal})
		silent := newMapper(t, mapping.Options{Webhook: webhook, Personal: personal})
		for _, event := range events {
			require.Equal(t, string(silent.Append([]byte("["), []byte(event), "f")), string(m.Append([]byte("["), []byte(event), "f")))
		}
		if webhook {
			require.Equal(t, seen, counted(w))
		}
		seen = counted(w)
	}
	return seen
}

func TestDrift(t *testing.T) {
	plain, hashing := mapping.Personal{}, mapping.Personal{Preset: mapping.Hash, Salt: []byte(salt)}
	open := func(user, properties, rest string) string {
		return `{"event_type":"users.messages.email.Open","id":"i","time":1,"user":{"user_id":"u"` + user + `},"properties":{"email_address":"m"` + properties + `}` + rest + `}`
	}
	const typ = "users.messages.email.Open|"
	for _, tt := range casefile.Read(t, "testdata/drift.tsv", 3) {
		t.Run(tt[0], func(t *testing.T) {
			for _, seen := range [][]string{bothModes(t, plain, tt[2]), bothModes(t, hashing, tt[2]), bothModes(t, plain, tt[2], tt[2])} {
				require.Equal(t, tt[1], strings.Join(seen, " "), "the same event again, as when a batch is halved, changes nothing")
			}
		})
	}
	again := []string{typ + "properties.x=2"}
	require.Equal(t, again, bothModes(t, plain, open(``, `,"x":1`, ``), open(``, `,"x":2`, ``)))
	for _, personal := range []mapping.Personal{
		{Fields: actions{"x": mapping.Drop}}, {Preset: mapping.Drop}, {Preset: mapping.Hash, Salt: []byte(salt)}, {Preset: mapping.Drop, Unknown: mapping.Keep},
	} {
		event := open(``, `,"x":"text"`, ``)
		seen := bothModes(t, personal, event, event)
		require.Equal(t, []string{typ + "properties.x=1"}, seen, "once, whatever becomes of it: %v", personal)
	}
}
