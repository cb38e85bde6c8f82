package mockrudder_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

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
	t.Helper()
	answer := probe{method: http.MethodGet, path: "/_mock/events?" + rawQuery}.send(s)
	require.Equal(t, http.StatusOK, answer.Code, answer.Body)
	require.Equal(t, "application/json; charset=utf-8", answer.Header().Get("Content-Type"))
	var p page
	decoder := json.NewDecoder(answer.Body)
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&p))
	return p
}

// judged returns a server that validates, with five messages of two sources.
func judged(t *testing.T) *mockrudder.Server {
	t.Helper()
	s, err := mockrudder.New(recordedSources()...)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	require.Equal(t, "200 ok", probe{path: batchPath, key: "wkHTTP", body: `{"batch":[` +
		`{"type":"track","event":"A b","userId":"u1","messageId":"m1"},` +
		`{"type":"track","event":"B","userId":"u2","messageId":"m2"},` +
		`{"type":"identify","userId":"u1","messageId":"m3","traits":5}]}`}.answer(t, s))
	require.Equal(t, "200 ok", probe{path: "/v1/page", key: "wkBraze", body: `{"userId":"u3","messageId":"m4"}`}.answer(t, s))
	require.Equal(t, "200 ok", probe{path: batchPath, key: "wkBraze", body: `{"batch":[{"type":"track","userId":7,"messageId":"m5"}]}`}.answer(t, s))
	return s
}

func TestQueryFilters(t *testing.T) {
	s := judged(t)
	for rawQuery, want := range map[string]string{
		"":                                "m1 m2 m3 m4 m5",
		"type=track":                      "m1 m2 m5",
		"type=page":                       "m4",
		"event=" + url.QueryEscape("A b"): "m1",
		"userId=u1":                       "m1 m3",
		"userId=7":                        "m5",
		"messageId=m2":                    "m2",
		"source=wkBraze":                  "m4 m5",
		"source=wkHTTP&type=track":        "m1 m2",
		"valid=true":                      "m1 m2 m4",
		"valid=false":                     "m3 m5",
		"valid=false&source=wkHTTP":       "m3",
		"type=trac":                       "",
		"valid=&type=&limit=5":            "m1 m2 m3 m4 m5",
	} {
		p := query(t, s, rawQuery)
		require.Equal(t, want, p.ids(), rawQuery)
		require.Equal(t, len(p.Events), p.Total, rawQuery)
	}
}

// Filters by more than the tally counts.
func TestQueryFiltersOfKeptMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := mockrudder.New()
		require.NoError(t, err)
		start := time.Now()
		for i, message := range []string{
			`{"type":"track","event":"E","userId":"u","messageId":"m1","properties":{"plan":"Gold"}}`,
			`{"type":"track","event":"E","anonymousId":"a","messageId":"m2"}`,
			`{"type":"track","userId":"u","messageId":"m3"}`,
		} {
			require.Equal(t, 200, probe{path: batchPath, key: "wkHTTP", body: `{"batch":[` + message + `]}`,
				headers: []string{"X-Test-ID", fmt.Sprint("t", i%2)}}.send(s).Code)
			time.Sleep(time.Minute)
		}
		at := func(minutes int) string {
			return url.QueryEscape(start.Add(time.Duration(minutes) * time.Minute).Format(time.RFC3339Nano))
		}
		for rawQuery, want := range map[string]string{
			"q=Gold":                             "m1",
			"q=gold":                             "",
			"anonymousId=a":                      "m2",
			"test=t0":                            "m1 m3",
			"test=t0&rule=required":              "m3",
			"rule=type":                          "",
			"since=" + at(1):                     "m2 m3",
			"until=" + at(1):                     "m1",
			"since=" + at(1) + "&until=" + at(2): "m2",
			"order=desc":                         "m3 m2 m1",
			"order=desc&limit=2":                 "m3 m2",
			"order=desc&before=2":                "m1",
			"before=3":                           "m1 m2",
			"after=1&before=3":                   "m2",
			"after=1&order=desc":                 "m3 m2",
		} {
			require.Equal(t, want, query(t, s, rawQuery).ids(), rawQuery)
		}
		p := query(t, s, "order=desc&limit=2")
		require.Equal(t, "m1", query(t, s, "order=desc&before="+p.Next).ids(), "next goes on in the same direction")
		require.Equal(t, "t0", p.Events[0].TestID)
		require.Len(t, query(t, s, "since=1999-01-01T00:00:00+01:00").Events, 3, "a + that is not escaped")
		matched := s.Events(mockrudder.Filter{Match: func(e mockrudder.Event) bool {
			return len(s.Events(mockrudder.Filter{})) == 3 && e.MessageID > "m1" // asking the server again is fine
		}})
		require.Len(t, matched, 2)
	})
}

func TestOneEventAndSummaries(t *testing.T) {
	s := judged(t)
	get := func(path string) (answer map[string]any) {
		got := probe{method: http.MethodGet, path: path}.send(s)
		require.Equal(t, 200, got.Code)
		require.NoError(t, json.Unmarshal(got.Body.Bytes(), &answer))
		return answer
	}
	first := get("/_mock/events?summary=1&limit=1")["events"].([]any)[0].(map[string]any)
	delete(first, "received_at")
	require.Equal(t, map[string]any{"id": "1", "source": "wkHTTP", "type": "track", "event": "A b", "userId": "u1", "anonymousId": "",
		"messageId": "m1", "valid": true, "errors": 0.0, "drift": 0.0, "bytes": 61.0, "test_id": ""}, first)
	one := get("/_mock/events/3")
	require.Equal(t, "3", one["id"])
	require.Equal(t, false, one["valid"])
	for _, id := range []string{"0", "6", "x", "-1"} {
		require.Equal(t, 404, probe{method: http.MethodGet, path: "/_mock/events/" + id}.send(s).Code, id)
	}
}

func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := mockrudder.New()
		require.NoError(t, err)
		rates := func() string {
			var answer struct {
				Seconds []struct{ At, Stored, Valid, Invalid, Requests, Refused int64 }
			}
			got := probe{method: http.MethodGet, path: "/_mock/rates?seconds=4"}.send(s)
			require.NoError(t, json.Unmarshal(got.Body.Bytes(), &answer))
			require.Equal(t, time.Now().Unix(), answer.Seconds[3].At)
			text := ""
			for _, r := range answer.Seconds {
				text += fmt.Sprintf("%d/%d/%d %d-%d, ", r.Stored, r.Valid, r.Invalid, r.Requests, r.Refused)
			}
			return text
		}
		send := func(body string) { batch(s, body) }
		send(goodBatch)
		send("{}")
		time.Sleep(time.Second)
		send(`{"batch":[{"userId":"u"},{"userId":"u","type":"track","event":"E"}]}`)
		time.Sleep(time.Second)
		require.Equal(t, "0/0/0 0-0, 1/1/0 2-1, 2/1/1 1-0, 0/0/0 0-0, ", rates())
		time.Sleep(10 * time.Minute)
		require.Equal(t, strings.Repeat("0/0/0 0-0, ", 4), rates(), "the ring was overwritten")
	})
}

func TestQueryShape(t *testing.T) {
	s := judged(t)
	p := query(t, s, "messageId=m3")
	e := p.Events[0]
	require.Equal(t, `{"type":"identify","userId":"u1","messageId":"m3","traits":5}`, e.Raw)
	require.Equal(t, "wkHTTP", e.Source)
	require.WithinDuration(t, time.Now(), e.ReceivedAt, time.Minute)
	require.False(t, e.Valid)
	require.Len(t, e.Errors, 1)
	require.Equal(t, "/traits", e.Errors[0].Path)
	require.Equal(t, "type", e.Errors[0].Rule)
	require.Equal(t, "message", e.Errors[0].In)
	require.NotEmpty(t, e.Errors[0].Detail)
	require.Contains(t, string(e.Message()), `"rudderId"`)

	answer := probe{method: http.MethodGet, path: "/_mock/events?messageId=m1"}.send(s)
	require.Contains(t, answer.Body.String(), `"valid":true,"errors":[]`)
	answer = probe{method: http.MethodGet, path: "/_mock/events?messageId=none"}.send(s)
	require.Equal(t, `{"events":[],"next":"","total":0}`, strings.TrimSpace(answer.Body.String()))

	unjudged := server(t)
	probe{path: batchPath, key: "wkHTTP", body: goodBatch}.send(unjudged)
	require.False(t, query(t, unjudged, "").Events[0].Judged)
	require.Empty(t, query(t, unjudged, "valid=true").Events)
}

func TestQueryPages(t *testing.T) {
	s := server(t)
	for i := range 10 {
		kind := []string{"a", "b"}[i%2]
		batch(s, fmt.Sprintf(`{"batch":[{"userId":"u","type":"%s","messageId":"m%d"}]}`, kind, i))
	}
	var ids []string
	after := ""
	for {
		p := query(t, s, "type=a&limit=2&after="+after)
		require.Equal(t, 5, p.Total)
		if len(p.Events) == 0 {
			require.Empty(t, p.Next)
			break
		}
		ids, after = append(ids, p.ids()), p.Next
	}
	require.Equal(t, []string{"m0 m2", "m4 m6", "m8"}, ids)
	require.Len(t, query(t, s, "limit=0").Events, 0)
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

		p, took = ask("wait=1.5&after=" + cursor)
		require.Empty(t, p.Events)
		require.Equal(t, cursor, p.Next, "so that the next wait continues from here")
		require.Equal(t, 1500*time.Millisecond, took)

		time.AfterFunc(time.Second, s.Close)
		_, took = ask("count=99&wait=5m")
		require.Equal(t, time.Second, took, "closing ends the wait")
	})
}

func TestStats(t *testing.T) {
	s := judged(t)
	for _, p := range []probe{
		{path: webhookPath, body: "{}"},
		{path: "/v1/webhook?writeKey=nope", body: "{}"},
		{path: batchPath, key: "wkOffHTTP"},
		{path: webhookPath, method: http.MethodGet},
		{path: "/pixel/v1/track?writeKey=wkHTTP&userId=u&event=E", method: http.MethodGet},
	} {
		p.send(s)
	}
	answer := probe{method: http.MethodGet, path: "/_mock/stats"}.send(s)
	var stats mockrudder.Stats
	require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &stats))
	require.Equal(t, s.Stats(), stats)
	require.Equal(t, mockrudder.Counts{Stored: 6, Valid: 4, Invalid: 2}, stats.Counts)
	require.Equal(t, 6, stats.Kept)
	require.Len(t, stats.Sources, 6, "every source, and one for no good key")
	require.Equal(t, map[string]uint64{"200": 3, "400": 1}, stats.Sources["wkBraze"].Requests)
	require.Equal(t, map[string]uint64{"401": 1, "404": 1}, stats.Sources[""].Requests)
	http := stats.Sources["wkHTTP"]
	require.Equal(t, mockrudder.Counts{Stored: 4, Valid: 3, Invalid: 1}, http.Counts)
	require.EqualValues(t, 3, http.ByType["track"].Stored)
	require.EqualValues(t, 1, http.ByEvent["A b"].Stored)

	s.Reset()
	require.Equal(t, mockrudder.Counts{}, s.Stats().Counts)
	require.Empty(t, query(t, s, "").Events)
}

// A request is answered after its messages are stored and the observer was called.
func TestStoredBeforeTheAnswer(t *testing.T) {
	var seen []string
	s := server(t, mockrudder.WithObserver(func(e mockrudder.Event) { seen = append(seen, e.MessageID) }))
	request := httptest.NewRequest(http.MethodPost, batchPath, strings.NewReader(`{"batch":[{"userId":"u","messageId":"1"},{"userId":"u","messageId":"2"}]}`))
	request.SetBasicAuth("wkHTTP", "")
	s.ServeHTTP(watcher{httptest.NewRecorder(), func() {
		require.Equal(t, []string{"1", "2"}, seen)
		require.Len(t, s.Events(mockrudder.Filter{}), 2)
	}}, request)
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

// watcher calls look before the response is written.
type watcher struct {
	*httptest.ResponseRecorder
	look func()
}

func (w watcher) WriteHeader(status int) {
	w.look()
	w.ResponseRecorder.WriteHeader(status)
}

// The query API refuses unknown host names and pages of other sites; the gateway allows
// every name, as RudderStack does.
func TestQueryAPIChecksHostAndOrigin(t *testing.T) {
	s := server(t, mockrudder.WithAllowedHosts("rudder.staging.example.com"))
	ask := func(method, path, host, origin string) (int, string) {
		request := httptest.NewRequest(method, path, strings.NewReader(`{"batch":[{"userId":"u","type":"track","event":"E"}]}`))
		request.Host = host
		request.SetBasicAuth("wkHTTP", "")
		if origin != "" {
			request.Header.Set("Origin", origin)
		}
		answer := httptest.NewRecorder()
		s.ServeHTTP(answer, request)
		return answer.Code, answer.Body.String()
	}
	code, text := ask("POST", batchPath, "evil.example.com", "http://evil.example.com")
	require.Equal(t, 200, code, text)
	for _, path := range []string{"/_mock/", "/_mock/assets/main.js", "/_mock/events", "/_mock/stream", "/_mock/nothing"} {
		code, text = ask("GET", path, "evil.example.com:8090", "")
		require.Equal(t, 403, code, path)
		require.Contains(t, text, "--allow-host")
	}
	for host, origin := range map[string]string{"evil.example.com": "http://evil.example.com", "localhost": "http://evil.example.com"} {
		code, _ = ask("POST", "/_mock/reset", host, origin)
		require.Equal(t, 403, code, host)
	}
	require.EqualValues(t, 1, s.Count(mockrudder.Filter{}), "nothing was reset")
	for _, host := range []string{"localhost:8090", "[::1]:8090", "mockrudder:8090", "rudder.staging.example.com"} {
		code, text = ask("GET", "/_mock/events", host, "")
		require.Equal(t, 200, code, "%s: %s", host, text)
		code, _ = ask("POST", "/_mock/reset", host, "http://"+host)
		require.Equal(t, 200, code, host)
	}

	_, err := mockrudder.New(mockrudder.WithAllowedHosts("a.b:80"))
	require.ErrorContains(t, err, "--allow-host")
}
