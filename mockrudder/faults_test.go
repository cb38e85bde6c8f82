package mockrudder_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// inFakeTime runs a test against a server in a bubble of synctest, so that
// hangs and latencies take no time.
func inFakeTime(t *testing.T, run func(t *testing.T, s *mockrudder.Server, client *http.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := mockrudder.StartInMemory(t, append(recordedSources(), mockrudder.WithoutValidation())...)
		run(t, s, s.Client())
	})
}

// ask posts and returns the answer as text, "closed" where there is none, and
// how long it took.
func ask(t *testing.T, client *http.Client, path, key, body string) (string, time.Duration) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://rudder.test"+path, strings.NewReader(body))
	require.NoError(t, err)
	if key != "" {
		request.SetBasicAuth(key, "")
	}
	start := time.Now()
	answer, err := client.Do(request)
	took := time.Since(start)
	if err != nil {
		require.True(t, errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, io.ErrUnexpectedEOF), "%v", err)
		return "closed", took
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return fmt.Sprintf("%d %s", answer.StatusCode, strings.TrimSuffix(string(text), "\n")), took
}

const goodBatch = `{"batch":[{"type":"track","event":"E","userId":"u"}]}`

const (
	downText = `503 JS HTTP connection to source transformer (URL: http://localhost:9090/v2/sources/braze): ` +
		`Post "http://localhost:9090/v2/sources/braze": dial tcp 127.0.0.1:9090: connect: connection refused`
	awayText = "500 dial tcp 127.0.0.1:5432: connect: connection refused"
)

func TestFaultsOnTime(t *testing.T) {
	for name, c := range map[string]struct {
		fault  mockrudder.Fault
		path   string
		body   string
		want   string
		took   time.Duration
		stored int
	}{
		"status":           {mockrudder.Fault{Status: 503, Body: "away\n"}, batchPath, goodBatch, "503 away", 0, 0},
		"status no words":  {mockrudder.Fault{Status: 500}, batchPath, goodBatch, "500 Internal Server Error", 0, 0},
		"latency":          {mockrudder.Fault{Latency: mockrudder.Duration(3 * time.Second)}, batchPath, goodBatch, "200 ok", 3 * time.Second, 1},
		"latency, status":  {mockrudder.Fault{Latency: mockrudder.Duration(time.Second), Status: 429}, batchPath, goodBatch, "429 Too Many Requests", time.Second, 0},
		"hang":             {mockrudder.Fault{Hang: mockrudder.Duration(30 * time.Second)}, batchPath, goodBatch, "closed", 30 * time.Second, 0},
		"close before":     {mockrudder.Fault{Close: mockrudder.Before}, batchPath, goodBatch, "closed", 0, 0},
		"close after":      {mockrudder.Fault{Close: mockrudder.After}, batchPath, goodBatch, "closed", 0, 0},
		"close stored":     {mockrudder.Fault{Close: mockrudder.Stored}, batchPath, goodBatch, "closed", 0, 1},
		"transformer down": {mockrudder.Fault{Transformer: mockrudder.TransformerDown}, webhookPath, brazeEvent(`{}`), downText, time.Second, 0},
		"transformer hang": {mockrudder.Fault{Transformer: mockrudder.TransformerHang}, webhookPath, brazeEvent(`{}`), "closed", 30 * time.Second, 0},
		"transformer is not needed for the batch": {mockrudder.Fault{Transformer: mockrudder.TransformerHang}, batchPath, goodBatch, "200 ok", 0, 1},
		"transformer error":                       {mockrudder.Fault{Transformer: mockrudder.TransformerError}, webhookPath, brazeEvent(`{}`), "500 internal server error in source transformer", 0, 0},
		"database down, batch":                    {mockrudder.Fault{Database: mockrudder.DatabaseDown}, batchPath, goodBatch, awayText, 0, 0},
		"database down, webhook":                  {mockrudder.Fault{Database: mockrudder.DatabaseDown}, webhookPath, brazeEvent(`{}`), awayText, 0, 0},
		"database locked":                         {mockrudder.Fault{Database: mockrudder.DatabaseLocked}, batchPath, goodBatch, "closed", 10 * time.Second, 0},
		"refused before a database":               {mockrudder.Fault{Database: mockrudder.DatabaseLocked}, batchPath, `{"batch":[]}`, "400 empty batch payload", 0, 0},
		"reset":                                   {mockrudder.Fault{Close: mockrudder.Reset}, batchPath, goodBatch, "closed", 0, 0},
		"a page with 200":                         {mockrudder.Fault{Status: 200, WrongBody: mockrudder.JSONError}, batchPath, goodBatch, `200 {"error":"upstream connect error"}`, 0, 0},
		"auth before transformer":                 {mockrudder.Fault{Transformer: mockrudder.TransformerDown}, "/v1/webhook?writeKey=nope", brazeEvent(`{}`), "401 invalid write key", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, func(t *testing.T, s *mockrudder.Server, client *http.Client) {
				require.NoError(t, s.Fault(c.fault))
				got, took := ask(t, client, c.path, "wkHTTP", c.body)
				require.Equal(t, c.want, got)
				require.Equal(t, c.took, took)
				require.Len(t, s.Events(mockrudder.Filter{}), c.stored)
				if !strings.Contains(name, "not needed") {
					require.Equal(t, 1, s.Faults()[0].Hits)
				}
				require.NoError(t, s.SetFaults())
				got, took = ask(t, client, batchPath, "wkHTTP", goodBatch)
				require.Equal(t, "200 ok", got)
				require.Zero(t, took)
			})
		})
	}
}

// A request that hangs without end lets go when the client leaves, and when the
// server is closed.
func TestHangForever(t *testing.T) {
	inFakeTime(t, func(t *testing.T, s *mockrudder.Server, client *http.Client) {
		require.NoError(t, s.Fault(mockrudder.Fault{Hang: mockrudder.Forever}))
		client.Timeout = time.Hour
		_, err := client.Post("http://rudder.test"+webhookPath, "", strings.NewReader("{}"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		synctest.Wait()
		require.EqualValues(t, 1, s.Stats().Sources["wkBraze"].Requests["closed"], "it noticed")

		client.Timeout = 0
		time.AfterFunc(time.Minute, s.Close)
		got, took := ask(t, client, webhookPath, "", "{}")
		require.Equal(t, "closed", got)
		require.Equal(t, time.Minute, took)
	})
}

func TestFaultsAreLimited(t *testing.T) {
	send := func(s *mockrudder.Server, path, key string) int {
		return probe{path: path, key: key, body: goodBatch}.send(s).Code
	}
	t.Run("path", func(t *testing.T) {
		s := server(t)
		require.NoError(t, s.Fault(mockrudder.Fault{Status: 503, Path: batchPath}))
		require.Equal(t, 503, send(s, batchPath, "wkHTTP"))
		require.Equal(t, 200, send(s, "/v1/import", "wkHTTP"))
		require.NoError(t, s.SetFaults(mockrudder.Fault{Status: 503, Path: "/v1/im*"}))
		require.Equal(t, 200, send(s, batchPath, "wkHTTP"))
		require.Equal(t, 503, send(s, "/v1/import", "wkHTTP"))
	})
	t.Run("source", func(t *testing.T) {
		s := server(t)
		require.NoError(t, s.Fault(mockrudder.Fault{Status: 503, Source: "wkBraze"}))
		require.Equal(t, 200, send(s, batchPath, "wkHTTP"))
		require.Equal(t, 503, send(s, batchPath, "wkBraze"))
		require.Equal(t, 503, send(s, webhookPath, ""))
	})
	t.Run("number", func(t *testing.T) {
		s := server(t)
		require.NoError(t, s.Fault(mockrudder.Fault{Status: 503, Requests: 2}))
		require.NoError(t, s.Fault(mockrudder.Fault{Status: 429, Requests: 1}))
		for _, want := range []int{503, 503, 429, 200, 200} {
			require.Equal(t, want, send(s, batchPath, "wkHTTP"))
		}
		require.Equal(t, 2, s.Faults()[0].Hits)
		require.Equal(t, 1, s.Faults()[1].Hits)
	})
	t.Run("probability", func(t *testing.T) {
		hits := func(seed uint64) (pattern string) {
			s := server(t, mockrudder.WithSeed(seed))
			require.NoError(t, s.Fault(mockrudder.Fault{Status: 503, Probability: 0.25}))
			for range 400 {
				pattern += fmt.Sprint(send(s, batchPath, "wkHTTP") / 503)
			}
			require.Equal(t, strings.Count(pattern, "1"), s.Faults()[0].Hits)
			return pattern
		}
		first := hits(7)
		require.InDelta(t, 100, strings.Count(first, "1"), 40)
		require.Equal(t, first, hits(7), "same seed, same strikes")
		require.NotEqual(t, first, hits(8))
	})
	t.Run("body", func(t *testing.T) {
		bad := strings.Replace(goodBatch, `"E"`, `"poison"`, 1)
		for _, fault := range []mockrudder.Fault{{Contains: "poison"}, {MinBytes: len(bad)}} {
			fault.Status = 403
			s := server(t)
			require.NoError(t, s.Fault(fault))
			for body, want := range map[string]int{goodBatch: 200, bad: 403} {
				require.Equal(t, want, probe{path: batchPath, key: "wkHTTP", body: body}.send(s).Code)
				require.Equal(t, want, probe{path: batchPath, key: "wkHTTP", body: packed(t, body), headers: []string{"Content-Encoding", "gzip"}}.send(s).Code)
			}
			require.EqualValues(t, 2, s.Stats().Stored)
		}
	})
	t.Run("events", func(t *testing.T) {
		s := server(t)
		require.NoError(t, s.Fault(mockrudder.Fault{Status: 500, MinEvents: 2}))
		two := `{"events":[{"event_type":"t","user":{"user_id":"u"}},{"event_type":"t","user":{"user_id":"u"}}]}`
		require.Equal(t, 500, probe{path: webhookPath, body: two}.send(s).Code)
		require.Equal(t, 200, probe{path: webhookPath, body: brazeEvent(`{"events":[1,2,3]}`)}.send(s).Code)
		require.Equal(t, 500, probe{path: batchPath, key: "wkHTTP", body: `{"batch":[{"userId":"u"},{"userId":"u"}]}`}.send(s).Code)
		require.Equal(t, 200, probe{path: "/v1/track", key: "wkHTTP", body: `{"userId":"u"}`}.send(s).Code)
	})
	t.Run("control", func(t *testing.T) {
		s := server(t)
		remove := s.Control(func(r *http.Request, body string) (mockrudder.Fault, bool) {
			return mockrudder.Fault{Status: 418}, r.URL.Path == batchPath && strings.Count(body, "u") > 2
		})
		require.Equal(t, 200, send(s, batchPath, "wkHTTP"))
		require.Equal(t, 418, probe{path: batchPath, key: "wkHTTP", body: `{"batch":[{"userId":"uuu"}]}`}.send(s).Code)
		s.Reset()
		require.Equal(t, 418, probe{path: batchPath, key: "wkHTTP", body: `{"batch":[{"userId":"uuu"}]}`}.send(s).Code)
		remove()
		require.Equal(t, 200, probe{path: batchPath, key: "wkHTTP", body: `{"batch":[{"userId":"uuu"}]}`}.send(s).Code)
	})
	t.Run("never the query API", func(t *testing.T) {
		s := server(t)
		require.NoError(t, s.Fault(mockrudder.Fault{Status: 503}))
		require.Equal(t, 200, probe{method: "GET", path: "/_mock/stats"}.send(s).Code)
	})
}

// strikes sends requests and returns those that a fault of status 503 struck.
func strikes(t *testing.T, n int, list ...mockrudder.Fault) (struck []int) {
	t.Helper()
	s := server(t)
	require.NoError(t, s.SetFaults(list...))
	for i := range n {
		if (probe{path: batchPath, key: "wkHTTP", body: goodBatch}).send(s).Code == 503 {
			struck = append(struck, i+1)
		}
	}
	return struck
}

func TestFaultsByTurn(t *testing.T) {
	require.Equal(t, []int{1}, strikes(t, 5, mockrudder.Fault{Status: 503, Nth: 1}))
	require.Equal(t, []int{3}, strikes(t, 9, mockrudder.Fault{Status: 503, Nth: 3}))
	require.Equal(t, []int{3, 6, 9}, strikes(t, 10, mockrudder.Fault{Status: 503, Every: 3}))
	require.Equal(t, []int{2, 4}, strikes(t, 9, mockrudder.Fault{Status: 503, Every: 2, Requests: 2}))
	require.Equal(t, []int{2, 3, 4}, strikes(t, 9, mockrudder.Fault{Status: 503, Nth: 3}, mockrudder.Fault{Status: 503, Every: 2, Requests: 2}),
		"each counts all requests, whatever struck them")
	require.Empty(t, strikes(t, 3, mockrudder.Fault{Status: 503, Nth: 1, Path: "/v1/track"}))

	s := server(t)
	require.NoError(t, s.Fault(mockrudder.Fault{Status: 503, Nth: 2, TestID: "mine", Method: http.MethodPost}))
	for _, c := range []struct {
		id   string
		want int
	}{{"mine", 200}, {"", 200}, {"other", 200}, {"mine", 503}, {"mine", 200}} {
		require.Equal(t, c.want, probe{path: batchPath, key: "wkHTTP", body: goodBatch, headers: []string{"X-Test-ID", c.id}}.send(s).Code)
	}
	require.NoError(t, s.SetFaults(mockrudder.Fault{Status: 503, Method: http.MethodGet}))
	require.Equal(t, 200, probe{path: batchPath, key: "wkHTTP", body: goodBatch}.send(s).Code)
	require.Equal(t, 503, probe{path: "/health", method: http.MethodGet}.send(s).Code)
}

func TestLatencyRange(t *testing.T) {
	inFakeTime(t, func(t *testing.T, s *mockrudder.Server, client *http.Client) {
		low, high := 100*time.Millisecond, 300*time.Millisecond
		require.NoError(t, s.Fault(mockrudder.Fault{Latency: mockrudder.Duration(low), LatencyMax: mockrudder.Duration(high)}))
		shortest, longest := time.Hour, time.Duration(0)
		for range 100 {
			got, took := ask(t, client, batchPath, "wkHTTP", goodBatch)
			require.Equal(t, "200 ok", got)
			shortest, longest = min(shortest, took), max(longest, took)
		}
		require.GreaterOrEqual(t, shortest, low)
		require.LessOrEqual(t, longest, high)
		require.Greater(t, longest-shortest, 150*time.Millisecond, "all over the range")
	})
}

// What is done to an answer: the status stays, the body does not come as it should.
func TestSpoiledAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		fault  mockrudder.Fault
		status int
		body   string // as far as it came
		kind   string
		cut    bool
		took   time.Duration
		stored int
	}{
		"middle of ok":       {mockrudder.Fault{Close: mockrudder.Middle}, 200, "o", "text/plain; charset=utf-8", true, 0, 1},
		"middle of a status": {mockrudder.Fault{Close: mockrudder.Middle, Status: 503, Body: "123456789"}, 503, "12345", "text/plain; charset=utf-8", true, 0, 0},
		"trickle":            {mockrudder.Fault{Trickle: mockrudder.Duration(10 * time.Second)}, 200, "ok", "text/plain; charset=utf-8", false, 10 * time.Second, 1},
		"trickle, then cut":  {mockrudder.Fault{Trickle: mockrudder.Duration(10 * time.Second), Close: mockrudder.Middle}, 200, "o", "text/plain; charset=utf-8", true, 10 * time.Second, 1},
		"garbage":            {mockrudder.Fault{WrongBody: mockrudder.Garbage}, 200, "\x00\xff\xfe\x80 not text \x00\xc3\x28", "application/octet-stream", false, 0, 1},
		"json error":         {mockrudder.Fault{WrongBody: mockrudder.JSONError, Status: 502}, 502, `{"error":"upstream connect error"}`, "application/json", false, 0, 0},
		"nothing":            {mockrudder.Fault{WrongBody: mockrudder.NoBody}, 200, "", "text/plain; charset=utf-8", false, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, func(t *testing.T, s *mockrudder.Server, client *http.Client) {
				require.NoError(t, s.Fault(c.fault))
				request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+batchPath, strings.NewReader(goodBatch))
				require.NoError(t, err)
				request.SetBasicAuth("wkHTTP", "")
				start := time.Now()
				answer, err := client.Do(request)
				require.NoError(t, err)
				text, err := io.ReadAll(answer.Body)
				require.NoError(t, answer.Body.Close())
				if c.cut {
					require.ErrorIs(t, err, io.ErrUnexpectedEOF)
				} else {
					require.NoError(t, err)
				}
				require.Equal(t, c.status, answer.StatusCode)
				require.Equal(t, c.body, string(text))
				require.Equal(t, c.kind, answer.Header.Get("Content-Type"))
				require.Equal(t, "Origin", answer.Header.Get("Vary"))
				require.Equal(t, c.took, time.Since(start))
				require.Len(t, s.Events(mockrudder.Filter{}), c.stored)
			})
		})
	}
	s := server(t)
	require.NoError(t, s.Fault(mockrudder.Fault{WrongBody: mockrudder.HTMLPage, Status: 502}))
	answer := probe{path: batchPath, key: "wkHTTP", body: goodBatch}.send(s)
	require.Equal(t, 502, answer.Code)
	require.Contains(t, answer.Body.String(), "<h1>502 Bad Gateway</h1>")
}

// Faults are added and ended one by one.
func TestOneFault(t *testing.T) {
	s := server(t)
	require.Equal(t, `201 {"id":"1","status":503,"hits":0}`, probe{path: "/_mock/faults", body: `{"status":503}`}.answer(t, s))
	require.Equal(t, `201 {"id":"2","hang":"1s","hits":0}`, probe{path: "/_mock/faults", body: `{"hang":"1s"}`}.answer(t, s))
	require.Contains(t, probe{path: "/_mock/faults", body: `[]`}.answer(t, s), `400 {"error":"want one fault, not 0"}`)
	require.Equal(t, 503, probe{path: batchPath}.send(s).Code)
	require.Equal(t, `200 {"faults":[{"id":"2","hang":"1s","hits":0}]}`, probe{method: "DELETE", path: "/_mock/faults/1"}.answer(t, s))
	require.Equal(t, `404 {"error":"no fault \"1\""}`, probe{method: "DELETE", path: "/_mock/faults/1"}.answer(t, s))
	require.True(t, s.RemoveFault("2"))
	require.Equal(t, 401, probe{path: batchPath}.send(s).Code)
}

func TestFaultHeaders(t *testing.T) {
	s := server(t)
	require.NoError(t, s.Fault(mockrudder.Fault{Status: 429, RetryAfter: 7, Body: "slow down"}))
	answer := probe{path: batchPath, key: "wkHTTP", body: goodBatch}.send(s)
	require.Equal(t, "7", answer.Header().Get("Retry-After"))
	require.Equal(t, "slow down\n", answer.Body.String())
	require.Equal(t, "Origin", answer.Header().Get("Vary"))
}

func TestFaultsOverHTTP(t *testing.T) {
	s := server(t)
	put := func(body string) string { return probe{method: "PUT", path: "/_mock/faults", body: body}.answer(t, s) }
	get := func() string { return probe{method: "GET", path: "/_mock/faults"}.answer(t, s) }

	full := `{"id":"f","path":"/v1/batch","source":"wkHTTP","probability":0.5,"requests":3,"latency":"250ms","status":503,"body":"x","retry_after":1,"hits":0}`
	require.Equal(t, `200 {"faults":[`+full+`]}`, put(`{"faults":[`+full+`]}`))
	require.Equal(t, `200 {"faults":[`+full+`]}`, get())
	require.Equal(t, `200 {"faults":[{"id":"1","hang":true,"hits":0},{"id":"2","latency":"2s","close":"stored","hits":0}]}`,
		put(`[{"hang":true},{"latency":2000,"close":"stored"}]`))
	require.Equal(t, `200 {"faults":[{"id":"3","transformer":"down","hits":0}]}`, put(` {"transformer":"down"}`))

	for body, want := range map[string]string{
		`{"status":99}`:                                   "status must be between 200 and 599, not 99",
		`{"statos":500}`:                                  `unknown field`,
		`[{"status":500},{}]`:                             "fault 2: a fault needs one of status, latency, hang, close, trickle, wrong_body, stale, transformer and database",
		`{"status":500,"probability":2}`:                  "probability must be between 0 and 1",
		`{"close":"later"}`:                               `close must be one of [before after stored middle reset], not "later"`,
		`{"latency":"soon"}`:                              `is no duration such as 250ms`,
		`{"latency":true}`:                                `latency must be a duration that ends`,
		`{"transformer":"x"}`:                             `transformer must be one of [down hang error]`,
		`{"retry_after":1,"hang":"1s"}`:                   `body and retry_after need a status`,
		`{"status":500,"requests":-1}`:                    `requests must not be negative`,
		`{"status":500,"retry_after":-1}`:                 `retry_after must not be negative`,
		`{"status":500,"nth":-1}`:                         `nth must not be negative`,
		`{"status":500,"nth":1,"every":2}`:                `nth and every exclude each other`,
		`{"latency":"2s","latency_max":"1s"}`:             `latency_max must not be less`,
		`{"trickle":true}`:                                `trickle and stale must be durations that end`,
		`{"wrong_body":"x"}`:                              `wrong_body must be one of [garbage html json empty]`,
		`{"status":500,"body":"x","wrong_body":"html"}`:   `body and wrong_body exclude each other`,
		`[{"id":"a","hang":"1s"},{"id":"a","hang":"1s"}]`: `fault 2: there is a fault "a" already`,
		`nonsense`:    `faults: `,
		``:            `[] is for no faults`,
		`[] x`:        `faults: `,
		`[] []`:       `there is more behind the JSON`,
		`{"hang":{}}`: `is no duration`,
	} {
		answer := put(body)
		require.True(t, strings.HasPrefix(answer, "400 "), answer)
		var problem struct{ Error string }
		require.NoError(t, json.Unmarshal([]byte(answer[4:]), &problem))
		require.Contains(t, problem.Error, want)
	}
	require.Equal(t, `200 {"faults":[{"id":"3","transformer":"down","hits":0}]}`, get(), "what is refused changes nothing")

	require.Equal(t, 200, probe{path: "/_mock/reset?keep=faults"}.send(s).Code)
	require.Len(t, s.Faults(), 1)
	require.Equal(t, 400, probe{path: "/_mock/reset?keep=x"}.send(s).Code)
	require.Equal(t, 200, probe{path: "/_mock/reset"}.send(s).Code)
	require.Empty(t, s.Faults())
	require.Equal(t, `200 {"faults":[]}`, put(`[]`))
}

// A TCP reset is no orderly end.
func TestReset(t *testing.T) {
	s := mockrudder.Start(t, mockrudder.WithoutValidation())
	require.NoError(t, s.Fault(mockrudder.Fault{Close: mockrudder.Reset}))
	_, err := s.Client().Post(s.URL+webhookPath, "application/json", strings.NewReader(brazeEvent(`{}`)))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.Zero(t, s.Stats().Stored)
}

// A 400 that answers nothing comes when the next request of the connection does,
// or when the connection has been idle for long enough.
func TestStaleAnswer(t *testing.T) {
	const request = "POST /v1/batch HTTP/1.1\r\nHost: x\r\nAuthorization: Basic d2tIVFRQOg==\r\nContent-Length: 53\r\n\r\n" + goodBatch
	for _, again := range []bool{true, false} {
		s := mockrudder.Start(t, mockrudder.WithoutValidation())
		require.NoError(t, s.Fault(mockrudder.Fault{Stale: mockrudder.Duration(map[bool]time.Duration{true: time.Minute, false: time.Millisecond}[again])}))
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		require.NoError(t, err)
		defer conn.Close()
		reader := bufio.NewReader(conn)
		_, err = io.WriteString(conn, request)
		require.NoError(t, err)
		answer, err := http.ReadResponse(reader, nil)
		require.NoError(t, err)
		require.Equal(t, 200, answer.StatusCode)
		require.Equal(t, "Origin", answer.Header.Get("Vary"))
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.Equal(t, "ok", string(text))
		if again {
			_, err = io.WriteString(conn, request)
			require.NoError(t, err)
		}
		answer, err = http.ReadResponse(reader, nil)
		require.NoError(t, err)
		require.Equal(t, 400, answer.StatusCode)
		require.EqualValues(t, 1, s.Stats().Stored, "the second request was not looked at")
	}
}
