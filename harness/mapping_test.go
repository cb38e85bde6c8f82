package harness_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/harness/oracle"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// The bridge's mapping and the oracle were written from the same facts, apart
// from each other: one byte to byte, the other over decoded JSON. On every
// event that is JSON at all they must agree about its fate and its message.

// seedEvents adds every event of fixtures/events and fixtures/requests to a fuzz
// test, and some shapes that meet in one event.
func seedEvents(f *testing.F) {
	for _, pattern := range []string{"../fixtures/requests/*.json", "../fixtures/events/*.json"} {
		paths, err := filepath.Glob(pattern)
		require.NoError(f, err)
		for _, path := range paths {
			text := casefile.Text(f, path)
			var request struct {
				JSON struct{ Events []json.RawMessage } `json:"json"`
			}
			if json.Unmarshal([]byte(text), &request) != nil || request.JSON.Events == nil {
				f.Add([]byte(text))
				continue
			}
			for _, event := range request.JSON.Events {
				f.Add([]byte(event))
			}
		}
	}
	f.Add([]byte(`{"event_type":"t","user.user_id":"lit","user":{"user_id":"u"},"id":-1.5e3}`))
	f.Add([]byte(`{"event_type":"t","user":{"user_id":"u"},"properties":{"a.constructor":1,"b/c":{"x":"\u0000"}}}`))
	f.Add([]byte(`{"event_type":"t","user":{"user_id":"\ud800"},"time":[["17"],5],"properties":{"platform":{"a":[1.0,null]}}}`))
}

// scanEvent finds the one event in a body made of text.
func scanEvent(text []byte) (body []byte, event currents.Event, ok bool) {
	body = append(append([]byte(`{"events":[`), text...), `]}`...)
	var batch currents.Batch
	if err := batch.Scan(body); err != nil || len(batch.Events) != 1 {
		return nil, currents.Event{}, false
	}
	return body, batch.Events[0], true
}

func FuzzMappingAgainstOracle(f *testing.F) {
	seedEvents(f)
	mapper := mapping.Plain()
	f.Fuzz(func(t *testing.T, text []byte) {
		body, event, ok := scanEvent(text)
		if !ok {
			return
		}
		want, err := oracle.Expect(body[event.Start:event.End], oracle.Rules{})
		if err != nil {
			return // deeper than the oracle reads
		}
		require.Equal(t, want.Reason, string(event.Problem()))
		if want.Fate != oracle.Deliver {
			return
		}
		message := mapper.AppendMessage(nil, body[event.Start:event.End], "")
		got, err := oracle.Decode(message)
		require.NoError(t, err, "%s", message)
		require.Empty(t, oracle.Diff(want.Arrives, got, oracle.Exact, 5), "%s", message)
		id, usable := currents.AppendID(nil, event.ID)
		require.Equal(t, want.ID != "", usable)
		if usable {
			require.Equal(t, want.ID, string(bytes.ToValidUTF8(id, []byte("\uFFFD"))))
		}
	})
}

//go:generate go test . -run ^TestMessageFixtures$ -update

var update = flag.Bool("update", false, "write fixtures/messages instead of only comparing them")

// TestMessageFixtures holds fixtures/messages, the RudderStack message of each
// event in fixtures/events, against the bridge's mapping and the schema;
// FuzzMappingAgainstOracle begins with the same events. With -update it writes them as
// the bridge makes them.
func TestMessageFixtures(t *testing.T) {
	events, err := filepath.Glob("../fixtures/events/*.json")
	require.NoError(t, err)
	validator, err := schemas.NewValidator()
	require.NoError(t, err)
	mapper := mapping.Plain()
	want := map[string]string{}
	for _, path := range events {
		name := filepath.Base(path)
		if name == "agentconsole.ToolInvocation.json" {
			continue // only this type has no user
		}
		var event, message bytes.Buffer
		require.NoError(t, json.Compact(&event, []byte(casefile.Text(t, path))))
		require.NoError(t, json.Indent(&message, mapper.AppendMessage(nil, event.Bytes(), ""), "", "  "))
		message.WriteByte('\n')
		verdict := validator.Message(message.Bytes())
		require.True(t, verdict.Valid, "%s: %v", name, verdict.Errors)
		want[name] = message.String()
	}
	require.Len(t, want, len(events)-1)
	casefile.RequireFiles(t, "../fixtures/messages", want, *update)
}
