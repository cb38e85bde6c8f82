package mockrudder_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// sse is one server-sent event, or a comment.
type sse struct {
	event, id, comment, data string
	batch                    struct {
		Events []struct {
			ID        string
			Event     string
			MessageID string `json:"messageId"`
		}
		Skipped int
		Stats   mockrudder.Stats
	}
}

func (e sse) names() string {
	var names []string
	for _, s := range e.batch.Events {
		names = append(names, s.Event)
	}
	return strings.Join(names, " ")
}

// listen opens a stream and returns a function that waits for its next event.
func listen(t *testing.T, rudder *mockrudder.Server, query, lastID string) (next func() sse, leave func()) {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://rudder.test/_mock/stream"+query, nil)
	require.NoError(t, err)
	if lastID != "" {
		request.Header.Set("Last-Event-ID", lastID)
	}
	answer, err := rudder.Client().Do(request)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.Equal(t, "text/event-stream", answer.Header.Get("Content-Type"))
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	return func() (e sse) {
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "event":
				e.event = value
			case "id":
				e.id = value
			case "data":
				require.NoError(t, json.Unmarshal([]byte(value), &e.batch))
				e.data = value
			case "":
				if lines.Text() != "" {
					e.comment = value
					continue
				}
				return e
			}
		}
		e.event = "end"
		return e
	}, func() { _ = answer.Body.Close() }
}

// track posts a batch of messages with these event names.
func track(s *mockrudder.Server, events ...string) {
	var list []string
	for _, event := range events {
		list = append(list, fmt.Sprintf(`{"userId":"u","type":"track","event":"%s"}`, event))
	}
	batch(s, `{"batch":[`+strings.Join(list, ",")+`]}`)
}

func TestStreamSendsNewMessages(t *testing.T) {
	api := openAPI(t)
	inFakeTime(t, func(t *testing.T, s *mockrudder.Server) {
		track(s, "before")
		next, leave := listen(t, s, "", "")
		defer leave()
		first := next()
		require.Equal(t, "message", first.event)
		require.Empty(t, first.batch.Events, "older messages are not sent")
		require.EqualValues(t, 1, first.batch.Stats.Stored, "but they are counted")

		start := time.Now()
		track(s, "A")
		track(s, "B")
		got := next()
		require.Equal(t, "A B", got.names(), "one batch")
		api.RequireShape(t, http.MethodGet, "/_mock/stream", "200", "text/event-stream", []byte(got.data))
		require.Equal(t, "3", got.id)
		require.LessOrEqual(t, time.Since(start), 250*time.Millisecond)
		require.EqualValues(t, 3, got.batch.Stats.Stored)

		probe{path: batchPath, body: "{}"}.send(s)
		got = next()
		require.Empty(t, got.batch.Events)
		require.EqualValues(t, 1, got.batch.Stats.Requests["401"], "a refusal is sent too")

		start = time.Now()
		require.Equal(t, "still here", next().comment)
		require.InDelta(t, 15, time.Since(start).Seconds(), 0.5)

		time.AfterFunc(time.Second, s.Close)
		require.Equal(t, "end", next().event, "it ends with the server")
	})
}

// Clients get a reset too that were away when it happened, or know another server.
func TestStreamSendsResets(t *testing.T) {
	inFakeTime(t, func(t *testing.T, s *mockrudder.Server) {
		track(s, "A", "B")
		next, leave := listen(t, s, "", "")
		require.Equal(t, "message", next().event)
		s.Reset()
		track(s, "C")
		got := next()
		require.Equal(t, "reset", got.event)
		require.Equal(t, "2", got.id)
		got = next()
		require.Equal(t, "C", got.names())
		require.EqualValues(t, 1, got.batch.Stats.Stored)
		leave()

		for cursor, want := range map[string]string{"1": "reset C", "2": "reset C", "3": "message ", "77": "reset C"} {
			next, leave := listen(t, s, "", cursor)
			got := next()
			kind := got.event
			if kind == "reset" {
				got = next()
			}
			require.Equal(t, want, kind+" "+got.names(), "Last-Event-ID %s", cursor)
			leave()
		}
	})
}

func TestStreamCursorsAndFilters(t *testing.T) {
	inFakeTime(t, func(t *testing.T, s *mockrudder.Server) {
		track(s, "A", "B", "A", "C")
		for query, want := range map[string]string{
			"?after=1": "B A C", "?after=0&event=A": "A A", "?after=4": "", "?event=A": "", "?after=0&q=C": "C",
		} {
			next, leave := listen(t, s, query, "")
			require.Equal(t, want, next().names(), query)
			leave()
		}
		next, leave := listen(t, s, "?after=0", "3")
		require.Equal(t, "C", next().names(), "Last-Event-ID wins")

		many := make([]string, 450)
		for i := range many {
			many[i] = fmt.Sprint(i)
		}
		track(s, many...)
		got := next()
		require.Len(t, got.batch.Events, 200)
		require.Equal(t, 250, got.batch.Skipped)
		require.Equal(t, "449", got.batch.Events[199].Event, "the newest are shown")
		leave()

		for _, path := range []string{"/_mock/stream?limit=3", "/_mock/stream?after=x", "/_mock/stream?valid=x"} {
			require.Equal(t, 400, probe{method: "GET", path: path}.send(s).Code, path)
		}
	})
}

func TestStreamDropsClientsThatDoNotRead(t *testing.T) {
	inFakeTime(t, func(t *testing.T, s *mockrudder.Server) {
		next, _ := listen(t, s, "", "")
		require.Equal(t, "message", next().event)
		start := time.Now()
		for time.Since(start) < 15*time.Second { // longer than the write deadline, and more than any buffer holds
			track(s, make([]string, 200)...)
			time.Sleep(250 * time.Millisecond)
		}
		synctest.Wait()
		for range 1000 {
			if next().event == "end" {
				return
			}
		}
		t.Fatal("the stream went on")
	})
}
