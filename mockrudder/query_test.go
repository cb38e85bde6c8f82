package mockrudder_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/internal/openapitest"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// page is a page of the query API.
type page struct {
	Events    []mockrudder.Event `json:"events"`
	Next      string             `json:"next"`
	Total     int                `json:"total"`
	Satisfied *bool              `json:"satisfied"`
	Instead   []string           `json:"instead"`
}

func (p page) ids() string {
	var ids []string
	for _, e := range p.Events {
		ids = append(ids, e.MessageID)
	}
	return strings.Join(ids, " ")
}

func query(t *testing.T, s *mockrudder.Server, rawQuery string) page {
	answer := probe{method: http.MethodGet, path: "/_mock/events?" + rawQuery}.send(s)
	require.Equal(t, http.StatusOK, answer.Code, answer.Body)
	require.Equal(t, "application/json; charset=utf-8", answer.Header().Get("Content-Type"))
	var p page
	decoder := json.NewDecoder(answer.Body)
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&p))
	return p
}

// Requests and queries of one server, and what its filters find: of a query the ids of the
// messages, the cursor and the total.
func TestQueries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := mockrudder.New(recordedSources()...)
		require.NoError(t, err)
		for _, c := range answerCases(t, "queries") {
			c.require(t, s)
		}
		for _, row := range casefile.Read(t, "testdata/filters.txt", 4) {
			p := query(t, s, row[0])
			require.Equal(t, row[1:], []string{p.ids(), p.Next, fmt.Sprint(p.Total)}, row[0])
		}
		matched := s.Events(mockrudder.Filter{Match: func(e mockrudder.Event) bool {
			return len(s.Events(mockrudder.Filter{})) == 9 && e.MessageID > "m7" // asking the server again is fine
		}})
		require.Len(t, matched, 2)
		s.Reset()
		require.Equal(t, mockrudder.Counts{}, s.Stats().Counts)
		require.Empty(t, query(t, s, "").Events)
	})
}

func TestQueryWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(t)
		store := func(event string) {
			batch(s, `{"batch":[{"userId":"u","type":"track","event":"`+event+`"}]}`)
		}
		ask := func(rawQuery string) (page, time.Duration) {
			start := time.Now()
			p := query(t, s, rawQuery)
			return p, time.Since(start)
		}
		go func() {
			for _, event := range []string{"A", "B", "A", "A"} {
				time.Sleep(time.Second)
				store(event)
			}
		}()
		p, took := ask("event=A&count=2&wait=1m")
		require.Len(t, p.Events, 2)
		require.Equal(t, 3*time.Second, took)

		p, took = ask("event=A&wait=1m")
		require.Len(t, p.Events, 2, "stored messages are enough")
		require.Zero(t, took)

		p, took = ask("event=A&wait=1m&after=" + p.Next)
		require.Len(t, p.Events, 1, "with a cursor only new messages count")
		require.Equal(t, time.Second, took)
		require.Equal(t, 3, p.Total)

		require.True(t, *p.Satisfied)

		cursor := p.Next
		p, took = ask("count=99&wait=5s")
		require.Len(t, p.Events, 4)
		require.Equal(t, 5*time.Second, took)
		require.False(t, *p.Satisfied)
		require.Nil(t, query(t, s, "event=A").Satisfied, "nothing was waited for")
		p, _ = ask("event=C&wait=1s")
		require.Equal(t, `nearest: track "A", messageId `+query(t, s, "order=desc").Events[0].MessageID+`: event is "A", want "C"`, p.Instead[0])

		p, took = ask("wait=1500ms&after=" + cursor)
		require.Empty(t, p.Events)
		require.Equal(t, cursor, p.Next, "so that the next wait continues from here")
		require.Equal(t, 1500*time.Millisecond, took)

		time.AfterFunc(time.Second, s.Close)
		_, took = ask("count=99&wait=5m")
		require.Equal(t, time.Second, took, "closing ends the wait")
	})
}

// A request is answered after its messages are stored and the observer was called.
func TestStoredBeforeTheAnswer(t *testing.T) {
	var (
		s      *mockrudder.Server
		seen   []string
		answer = httptest.NewRecorder()
	)
	s = server(t, mockrudder.WithObserver(func(e mockrudder.Event) {
		seen = append(seen, e.MessageID)
		require.Len(t, s.Events(mockrudder.Filter{}), 2)
		require.Zero(t, answer.Body.Len())
	}))
	s.ServeHTTP(answer, probe{path: batchPath, key: "wkHTTP", body: `{"batch":[{"userId":"u","messageId":"1"},{"userId":"u","messageId":"2"}]}`}.request())
	require.Equal(t, []string{"1", "2"}, seen)
	require.Equal(t, "ok", answer.Body.String())
}

// lineWriter keeps each write, and fails from a number of writes on.
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
		require.Equal(t, "200 ok", probe{path: batchPath, key: "wkHTTP", body: `{"batch":[{"userId":"u","messageId":"a"},{"userId":"u","messageId":"b"}]}`}.answer(t, s))
	}
	send()
	require.Len(t, lines.all, 1, "a write for a request")
	var first, second mockrudder.Event
	decoder := json.NewDecoder(strings.NewReader(lines.all[0]))
	require.NoError(t, decoder.Decode(&first))
	require.NoError(t, decoder.Decode(&second))
	require.Equal(t, "1", first.ID())
	require.Equal(t, `{"userId":"u","messageId":"a"}`, first.Raw)
	require.False(t, first.Judged)
	require.Contains(t, lines.all[0], `"valid":null`)
	require.Empty(t, query(t, s, "valid=true").Events)
	require.Equal(t, "b", second.MessageID, "also messages that are no longer kept")
	send()
	require.NoError(t, s.RecordingError())
	send()
	require.ErrorIs(t, s.RecordingError(), errDiskFull)
	lines.failAt = 0
	send()
	require.Len(t, lines.all, 2, "no gap: nothing after an error")
	require.EqualValues(t, 8, s.Stats().Stored)
	require.NoError(t, server(t).RecordingError())
}

// openAPI is the description of the query API.
func openAPI(t *testing.T) openapitest.Document {
	return openapitest.Read(t, probe{method: http.MethodGet, path: "/_mock/openapi.json"}.send(server(t)).Body.Bytes())
}

// Responses match the description.
func TestOpenAPIAnswers(t *testing.T) {
	s, err := mockrudder.New(mockrudder.WithSource("k", mockrudder.Braze), mockrudder.WithSource("off", mockrudder.HTTP, mockrudder.Disabled()))
	require.NoError(t, err)
	require.Equal(t, 200, probe{path: "/v1/webhook?writeKey=k", body: `{"events":[{"event_type":"users.behaviors.app.SessionStart","id":"e","time":"abc","user":{"user_id":"u"},"properties":{"brand_new":1}}]}`, headers: []string{"X-Test-ID", "t-1"}}.send(s).Code)
	require.Equal(t, 401, probe{path: batchPath, body: `{}`}.send(s).Code)
	ask := func(c openapitest.Call) *httptest.ResponseRecorder {
		return probe{method: c.Method, path: c.Path, body: c.Body}.send(s)
	}
	openAPI(t).RequireAnswers(t, ask, "/_mock/stream", "testdata/calls.txt")
}

// The page loads nothing from elsewhere, and a browser asks for each file again.
func TestPage(t *testing.T) {
	s := server(t)
	get := func(method, path, etag string) *httptest.ResponseRecorder {
		return probe{method: method, path: path, headers: []string{"If-None-Match", etag}}.send(s)
	}
	for path, kind := range map[string]string{
		"/_mock/":                "text/html; charset=utf-8",
		"/_mock/assets/main.js":  "text/javascript; charset=utf-8",
		"/_mock/assets/base.css": "text/css; charset=utf-8",
		"/_mock/assets/icon.svg": "image/svg+xml",
	} {
		answer := get(http.MethodGet, path, "")
		require.Equal(t, http.StatusOK, answer.Code, path)
		require.Equal(t, path == "/_mock/", strings.Contains(answer.Body.String(), "<title>mockrudder</title>"))
		require.Equal(t, kind, answer.Header().Get("Content-Type"))
		require.Equal(t, "no-cache", answer.Header().Get("Cache-Control"))
		require.Contains(t, answer.Header().Get("Content-Security-Policy"), "default-src 'none'; script-src 'self';")
		require.NotContains(t, answer.Header().Get("Content-Security-Policy"), "unsafe")
		require.Equal(t, http.StatusNotModified, get(http.MethodGet, path, answer.Header().Get("ETag")).Code)
		require.Zero(t, get(http.MethodHead, path, "").Body.Len())
	}
	for _, path := range []string{"/_mock/assets/", "/_mock/assets/index.html", "/_mock/assets/..%2fapi.go", "/_mock/other"} {
		require.Equal(t, http.StatusNotFound, get(http.MethodGet, path, "").Code, path)
	}
}

// Events of every kind of request are the same when they are read from a recording.
func TestEventsFromJSON(t *testing.T) {
	var recording bytes.Buffer
	s, err := mockrudder.New(mockrudder.WithRecording(&recording))
	require.NoError(t, err)
	post := func(path, body string) {
		require.Equal(t, http.StatusOK, probe{path: path, key: "wkHTTP", body: body}.send(s).Code)
	}
	post("/v1/batch", `{"batch":[{"type":"track","event":"Bought","userId":"u","messageId":"m1","properties":{"n":9007199254740993}},
		{"type":"track","userId":7,"anonymousId":null}]}`)
	post("/v1/identify", `{"anonymousId":"a","traits":{"x":"é\u0000"}}`)
	post("/v1/webhook?writeKey=wkBraze", `{"events":[{"event_type":"users.messages.email.Open","id":"e1","user":{"external_user_id":"u"},"new":1}]}`)

	events := s.Events(mockrudder.Filter{})
	require.Len(t, events, 4)
	lines := json.NewDecoder(&recording)
	for _, want := range events {
		var got mockrudder.Event
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
		`[]`: "read an event", `{"message":[]}`: "message of an event", `{"id":"x","message":{}}`: "read an event",
	} {
		var e mockrudder.Event
		require.ErrorContains(t, json.Unmarshal([]byte(text), &e), want)
	}
}
