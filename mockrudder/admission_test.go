package mockrudder_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// messages makes a batch body of these message ids.
func messages(ids ...string) string {
	text := ""
	for i, id := range ids {
		if i > 0 {
			text += ","
		}
		text += fmt.Sprintf(`{"userId":"u","messageId":"%s"}`, id)
	}
	return `{"batch":[` + text + `]}`
}

func storedIDs(s *mockrudder.Server) (ids []string) {
	for _, e := range s.Events(mockrudder.Filter{}) {
		ids = append(ids, e.MessageID)
	}
	return ids
}

func TestDedup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(t, mockrudder.WithDedup(time.Hour, 0))
		send := func(key string, ids ...string) {
			require.Equal(t, "200 ok", probe{path: batchPath, key: key, body: messages(ids...)}.answer(t, s))
		}
		send("wkHTTP", "a", "b", "a")
		require.Equal(t, []string{"a", "b"}, storedIDs(s), "within a request")
		time.Sleep(59 * time.Minute)
		send("wkBraze", " a ", "c")
		require.Equal(t, []string{"a", "b", "c"}, storedIDs(s), "whatever the source, and trimmed")
		require.EqualValues(t, 2, s.Stats().Duplicates)
		require.EqualValues(t, 3, s.Stats().Stored)
		time.Sleep(time.Minute)
		send("wkHTTP", "a", "c")
		require.Equal(t, []string{"a", "b", "c", "a"}, storedIDs(s), "the window begins with the first one, and ends")
		s.Reset()
		send("wkHTTP", "a")
		require.Equal(t, []string{"a"}, storedIDs(s), "a reset forgets the ids")
		require.Zero(t, s.Stats().Duplicates)
	})
}

func TestDedupRemembersSoMany(t *testing.T) {
	s := server(t, mockrudder.WithDedup(time.Hour, 2))
	for _, id := range []string{"a", "b", "a", "c", "b", "a"} {
		probe{path: batchPath, key: "wkHTTP", body: messages(id)}.send(s)
	}
	require.Equal(t, []string{"a", "b", "c", "a"}, storedIDs(s), "c pushed a out, and b was still known")
}

// Without the option a message that is sent twice is there twice.
func TestNoDedup(t *testing.T) {
	s := server(t)
	probe{path: batchPath, key: "wkHTTP", body: messages("a", "a")}.send(s)
	require.Equal(t, []string{"a", "a"}, storedIDs(s))
}

func TestSuppression(t *testing.T) {
	s := server(t, mockrudder.WithSuppressedUsers("gone"))
	body := `{"batch":[{"userId":"gone","messageId":"1"},{"userId":"here","messageId":"2"},{"anonymousId":"gone","messageId":"3"}]}`
	require.Equal(t, "200 ok", probe{path: batchPath, key: "wkHTTP", body: body}.answer(t, s))
	require.Equal(t, []string{"2", "3"}, storedIDs(s))
	require.EqualValues(t, 1, s.Stats().Suppressed)
	require.Equal(t, "200 ok", probe{path: "/v1/track", key: "wkHTTP", body: `{"userId":"gone"}`}.answer(t, s))
	require.Len(t, storedIDs(s), 2)

	require.Equal(t, `200 {"users":["gone"]}`, probe{method: "GET", path: "/_mock/suppressions"}.answer(t, s))
	require.Equal(t, `200 {"users":["a","here"]}`, probe{method: "PUT", path: "/_mock/suppressions", body: `{"users":["here","a"]}`}.answer(t, s))
	s.Reset()
	probe{path: batchPath, key: "wkHTTP", body: body}.send(s)
	require.Equal(t, []string{"1", "3"}, storedIDs(s), "a reset leaves them suppressed")
	for _, body := range []string{``, `{}`, `{"users":[""]}`, `{"user":[]}`, `[]`, `{"users":["x"]} {}`} {
		require.Equal(t, 400, probe{method: "PUT", path: "/_mock/suppressions", body: body}.send(s).Code, body)
	}
	require.Equal(t, 200, probe{method: "PUT", path: "/_mock/suppressions", body: `{"users":[]}`}.send(s).Code)
	require.Equal(t, `200 {"users":[]}`, probe{method: "GET", path: "/_mock/suppressions"}.answer(t, s))
}

// What is kept out is kept from the observer and the recording too, and the
// checks of a request come first.
func TestKeptOutIsNowhere(t *testing.T) {
	var seen []string
	var lines lineWriter
	s := server(t, mockrudder.WithSuppressedUsers("gone"), mockrudder.WithRecording(&lines),
		mockrudder.WithObserver(func(e mockrudder.Event) { seen = append(seen, e.UserID) }))
	probe{path: batchPath, key: "wkHTTP", body: `{"batch":[{"userId":"gone"},{"userId":"here"}]}`}.send(s)
	require.Equal(t, []string{"here"}, seen)
	require.Len(t, lines.all, 1)
	require.Equal(t, "400 request neither has anonymousId nor userId",
		probe{path: batchPath, key: "wkHTTP", body: `{"batch":[{"userId":"gone"},{}]}`}.answer(t, s))
}

// lineWriter keeps what is written, and fails from a number of writes on.
type lineWriter struct {
	all    []string
	failAt int
}

func (l *lineWriter) Write(p []byte) (int, error) {
	if l.failAt > 0 && len(l.all) >= l.failAt {
		return 0, errDiskFull
	}
	l.all = append(l.all, string(p))
	return len(p), nil
}

var errDiskFull = errors.New("the disk is full")

func TestRecording(t *testing.T) {
	lines := lineWriter{failAt: 2}
	s := server(t, mockrudder.WithRecording(&lines), mockrudder.WithKeep(1))
	send := func() {
		require.Equal(t, "200 ok", probe{path: batchPath, key: "wkHTTP", body: messages("a", "b")}.answer(t, s))
	}
	send()
	require.Len(t, lines.all, 1, "a write for a request")
	var first, second struct {
		ID      string
		Raw     string
		Message struct{ MessageID string }
	}
	decoder := json.NewDecoder(strings.NewReader(lines.all[0]))
	require.NoError(t, decoder.Decode(&first))
	require.NoError(t, decoder.Decode(&second))
	require.Equal(t, "1", first.ID)
	require.Equal(t, `{"userId":"u","messageId":"a"}`, first.Raw)
	require.Equal(t, "b", second.Message.MessageID, "also what is no longer kept")
	send()
	require.NoError(t, s.RecordingError())
	send()
	require.ErrorIs(t, s.RecordingError(), errDiskFull)
	lines.failAt = 0
	send()
	require.Len(t, lines.all, 2, "no gap: nothing comes after an error")
	require.EqualValues(t, 8, s.Stats().Stored)
	require.NoError(t, server(t).RecordingError())
}
