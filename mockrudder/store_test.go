package mockrudder

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func numbered(from, to int) []Event {
	var events []Event
	for i := from; i < to; i++ {
		events = append(events, Event{Source: "k", Type: "track", Name: fmt.Sprint("e", i%3), UserID: fmt.Sprint("u", i), MessageID: fmt.Sprint(i), Judged: true, Valid: i%2 == 0})
	}
	return events
}

func ids(events []Event) (all []string) {
	for _, e := range events {
		all = append(all, e.MessageID)
	}
	return all
}

func TestStoreKeepsTheNewest(t *testing.T) {
	s := newStore(5, 1<<30)
	for i := range 23 {
		s.add(numbered(i, i+1))
		require.LessOrEqual(t, len(s.events), 5)
	}
	require.Equal(t, []string{"18", "19", "20", "21", "22"}, ids(s.page(search{limit: 100})))
	require.Equal(t, []string{"21", "22"}, ids(s.page(search{after: 21, limit: 100})), "messages are numbered from 1")
	require.Equal(t, []string{"18"}, ids(s.page(search{after: 3, limit: 1})), "a cursor of a removed message starts at the oldest")
	require.Empty(t, s.page(search{after: 99, limit: 100}))

	require.EqualValues(t, 23, s.total(Filter{}), "counts are exact, kept or not")
	require.EqualValues(t, 12, s.total(Filter{OnlyValid: true}))
	require.EqualValues(t, 11, s.total(Filter{OnlyInvalid: true}))
	require.EqualValues(t, 8, s.total(Filter{Event: "e0"}))
	require.EqualValues(t, 4, s.total(Filter{Event: "e0", OnlyValid: true}))
	require.EqualValues(t, 0, s.total(Filter{OnlyValid: true, OnlyInvalid: true}))
	require.EqualValues(t, 1, s.total(Filter{UserID: "u22"}))
	require.EqualValues(t, 0, s.total(Filter{UserID: "u1"}), "not kept")
}

func TestStoreKeepsNoMoreBytes(t *testing.T) {
	s := newStore(1000, 10_000)
	for i := range 100 {
		events := numbered(i, i+1)
		events[0].share = 2000
		s.add(events)
		require.LessOrEqual(t, s.bytes, 10_000)
	}
	require.Len(t, s.page(search{limit: 100}), 4)
	judged := numbered(0, 1)
	for range 50 {
		judged[0].Drift = append(judged[0].Drift, Finding{Path: "/properties/unknown", Detail: "not in the glossary"})
	}
	s.add(judged)
	require.Less(t, len(s.page(search{limit: 100})), 4, "findings count too")
	require.LessOrEqual(t, s.bytes, 10_000)
	huge := numbered(0, 1)
	huge[0].share = 1 << 20
	s.add(huge)
	require.Len(t, s.page(search{limit: 100}), 1, "the newest stays whatever its size")
	require.EqualValues(t, 102, s.total(Filter{}))
	s.reset()
	require.Zero(t, s.bytes)
}

// A sender of ever new event names does not fill the memory, nor does one of long names.
func TestTallyIsBounded(t *testing.T) {
	s := newStore(10, 1<<30)
	long := strings.Repeat("x", maxName)
	s.add([]Event{{Source: "k", Type: "track", Name: long + "1"}, {Source: "k", Type: "track", Name: long + "2"}})
	require.Len(t, s.tally.kinds, 1)
	require.EqualValues(t, 1, s.total(Filter{Event: long + "1"}), "counted among the kept")
	for i := range maxNames + 500 {
		s.add([]Event{{Source: "k", Type: "track", Name: fmt.Sprint(i)}})
	}
	require.LessOrEqual(t, len(s.tally.kinds), maxNames+1)
	require.EqualValues(t, maxNames+502, s.total(Filter{Source: "k"}))
	require.EqualValues(t, 1, s.total(Filter{Event: fmt.Sprint(maxNames + 499)}), "counted among the kept")
}

// A wait counts messages that are no longer kept, and restarts with a reset.
func TestStoreWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(5, 1<<30)
		done := make(chan uint64, 1)
		go func() {
			seen, err := s.wait(t.Context(), Filter{}, 0, 31)
			if err == nil {
				done <- seen
			}
		}()
		synctest.Wait()
		s.add(numbered(0, 30))
		s.reset()
		s.add(numbered(0, 1))
		synctest.Wait()
		require.Empty(t, done)
		s.add(numbered(0, 30))
		require.EqualValues(t, 31, <-done)
	})
}

// Events of every kind of request are the same when they are read from a recording.
func TestEventsFromJSON(t *testing.T) {
	var recording bytes.Buffer
	s, err := New(WithRecording(&recording))
	require.NoError(t, err)
	post := func(path, body string) { require.Equal(t, http.StatusOK, send(s, "POST", path, body).Code) }
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

func TestEventsFromMalformedJSON(t *testing.T) {
	for text, want := range map[string]string{
		`[]`: "read an event", `{"message":[]}`: "message of an event", `{"id":"x","message":{}}`: `"x" is no number`,
	} {
		var e Event
		require.ErrorContains(t, json.Unmarshal([]byte(text), &e), want)
	}
}
