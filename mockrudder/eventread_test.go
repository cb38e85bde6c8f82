package mockrudder

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEventsComeBackFromJSON records what came in by every way and reads it
// again: nothing that an event says may change.
func TestEventsComeBackFromJSON(t *testing.T) {
	var recording bytes.Buffer
	s := StartInMemory(t, WithRecording(&recording))
	post := func(path, body string) {
		req, err := http.NewRequest(http.MethodPost, s.URL+path, strings.NewReader(body))
		require.NoError(t, err)
		req.SetBasicAuth("wkHTTP", "")
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Test-ID", "mine")
		res, err := s.Client().Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusOK, res.StatusCode)
	}
	post("/v1/batch", `{"batch":[{"type":"track","event":"Bought","userId":"u","messageId":"m1","properties":{"n":9007199254740993}},
		{"type":"track","userId":7,"anonymousId":null}]}`)
	post("/v1/identify", `{"anonymousId":"a","traits":{"x":"é\u0000"}}`)
	post("/v1/webhook?writeKey=wkBraze", `{"events":[{"event_type":"users.messages.email.Open","id":"e1","user":{"external_user_id":"u"},"new":1}]}`)

	events := s.Events(Filter{})
	require.Len(t, events, 4)
	lines := json.NewDecoder(&recording)
	for _, want := range events {
		var got Event
		require.NoError(t, lines.Decode(&got))
		require.Equal(t, string(want.Message()), string(got.Message()))
		again, err := json.Marshal(got)
		require.NoError(t, err)
		before, err := json.Marshal(want)
		require.NoError(t, err)
		require.Equal(t, string(before), string(again))
		require.Equal(t, []string{want.Type, want.Name, want.UserID, want.AnonymousID, want.MessageID, want.ID()},
			[]string{got.Type, got.Name, got.UserID, got.AnonymousID, got.MessageID, got.ID()})
	}
}

func TestWhatIsNoEvent(t *testing.T) {
	for text, want := range map[string]string{
		`[]`: "read an event", `{"message":[]}`: "message of an event", `{"id":"x","message":{}}`: `"x" is no number`,
	} {
		var e Event
		require.ErrorContains(t, json.Unmarshal([]byte(text), &e), want)
	}
}
