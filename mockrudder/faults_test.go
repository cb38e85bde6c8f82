package mockrudder_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
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

// ask posts and returns the answer as text, "closed" where there is none, and how long
// it took.
func ask(t *testing.T, client *http.Client, path, key, body string) (string, time.Duration) {
	t.Helper()
	got, _, took := askAll(t, client, path, key, body)
	return got, took
}

// askAll is ask with the headers. Behind a body that is cut off the text says so.
func askAll(t *testing.T, client *http.Client, path, key, body string) (got string, header http.Header, took time.Duration) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://rudder.test"+path, strings.NewReader(body))
	require.NoError(t, err)
	if key != "" {
		request.SetBasicAuth(key, "")
	}
	start := time.Now()
	answer, err := client.Do(request)
	if err != nil {
		require.True(t, errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, io.ErrUnexpectedEOF), "%v", err)
		return "closed", nil, time.Since(start)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	got = fmt.Sprintf("%d %s", answer.StatusCode, strings.TrimSuffix(string(text), "\n"))
	if err != nil {
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		got += " (cut)"
	}
	return got, answer.Header, time.Since(start)
}

const goodBatch = `{"batch":[{"type":"track","event":"E","userId":"u"}]}`

// testdata/faults.jsonl has a request for each fault: what comes of it, how long that
// takes, and how many messages are stored.
func TestFaultsOnTime(t *testing.T) {
	text, err := os.ReadFile("testdata/faults.jsonl")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		var c struct {
			Name, Path, Body, Want, Kind string

			Fault  mockrudder.Fault
			Took   mockrudder.Duration
			Stored int
		}
		require.NoError(t, json.Unmarshal([]byte(line), &c))
		t.Run(c.Name, func(t *testing.T) {
			inFakeTime(t, func(t *testing.T, s *mockrudder.Server, client *http.Client) {
				require.NoError(t, s.Fault(c.Fault))
				got, header, took := askAll(t, client, c.Path, "wkHTTP", c.Body)
				require.Equal(t, c.Want, strings.ToValidUTF8(got, "\ufffd"))
				require.EqualValues(t, c.Took, took)
				require.Len(t, s.Events(mockrudder.Filter{}), c.Stored)
				if got != "closed" {
					require.Equal(t, c.Kind, header.Get("Content-Type"))
					require.Equal(t, "Origin", header.Get("Vary"))
				}
				if !strings.Contains(c.Name, "not needed") {
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

// A request that hangs forever ends when the client leaves, and when the server is closed.
func TestHangForever(t *testing.T) {
	inFakeTime(t, func(t *testing.T, s *mockrudder.Server, client *http.Client) {
		require.NoError(t, s.Fault(mockrudder.Fault{Hang: mockrudder.Forever}))
		client.Timeout = time.Hour
		_, err := client.Post("http://rudder.test"+webhookPath, "", strings.NewReader("{}"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		synctest.Wait()
		require.EqualValues(t, 1, s.Stats().Sources["wkBraze"].Requests["closed"], "the server noticed")

		client.Timeout = 0
		time.AfterFunc(time.Minute, s.Close)
		got, took := ask(t, client, webhookPath, "", "{}")
		require.Equal(t, "closed", got)
		require.Equal(t, time.Minute, took)
	})
}

// hits says of each request, with a character, whether a fault hit it: x, or
// - where it was answered as usual.
func hits(s *mockrudder.Server, requests ...probe) (pattern string) {
	for _, p := range requests {
		pattern += map[bool]string{true: "x", false: "-"}[p.send(s).Code >= 300]
	}
	return pattern
}

func TestFaultsAreLimited(t *testing.T) {
	batch := probe{path: batchPath, key: "wkHTTP", body: goodBatch}
	brazeKey, imported, webhook, poisoned, mine, other := batch, batch, batch, batch, batch, batch
	brazeKey.key, imported.path, webhook.path, webhook.body = "wkBraze", "/v1/import", webhookPath, brazeEvent(`{}`)
	poisoned.body = strings.Replace(goodBatch, `"E"`, `"poison"`, 1)
	mine.headers, other.headers = []string{"X-Test-ID", "mine"}, []string{"X-Test-ID", "other"}
	compressed := func(p probe) probe {
		p.body, p.headers = gzipped(t, p.body), []string{"Content-Encoding", "gzip"}
		return p
	}
	ten := slices.Repeat([]probe{batch}, 10)
	for _, c := range []struct {
		faults   []mockrudder.Fault
		requests []probe
		want     string
	}{
		{[]mockrudder.Fault{{Path: batchPath}}, []probe{batch, imported}, "x-"},
		{[]mockrudder.Fault{{Path: "/v1/im*"}}, []probe{batch, imported}, "-x"},
		{[]mockrudder.Fault{{Source: "wkBraze"}}, []probe{batch, brazeKey, webhook}, "-xx"},
		{[]mockrudder.Fault{{Method: http.MethodGet}}, []probe{batch, {method: http.MethodGet, path: "/health"}}, "-x"},
		{[]mockrudder.Fault{{Contains: "poison"}}, []probe{batch, poisoned, compressed(batch), compressed(poisoned)}, "-x-x"},
		{[]mockrudder.Fault{{TestID: "mine", Nth: 2}}, []probe{mine, batch, other, mine, mine}, "---x-"},
		{[]mockrudder.Fault{{}}, []probe{{method: http.MethodGet, path: "/_mock/stats"}}, "-"},
		{[]mockrudder.Fault{{Requests: 2}, {Requests: 1}}, ten, "xxx-------"},
		{[]mockrudder.Fault{{Nth: 1}}, ten, "x---------"},
		{[]mockrudder.Fault{{Nth: 3}}, ten, "--x-------"},
		{[]mockrudder.Fault{{Every: 3}}, ten, "--x--x--x-"},
		{[]mockrudder.Fault{{Every: 2, Requests: 2}}, ten, "-x-x------"},
		{[]mockrudder.Fault{{Nth: 3}, {Every: 2, Requests: 2}}, ten, "-xxx------"}, // each counts all requests, whatever hit them
		{[]mockrudder.Fault{{Nth: 1, Path: "/v1/track"}}, ten, "----------"},
	} {
		s := server(t)
		for i := range c.faults {
			c.faults[i].Status = http.StatusServiceUnavailable
		}
		require.NoError(t, s.SetFaults(c.faults...))
		require.Equal(t, c.want, hits(s, c.requests...), "%+v", c.faults)
		sum := 0
		for _, fault := range s.Faults() {
			sum += fault.Hits
		}
		require.Equal(t, strings.Count(c.want, "x"), sum)
	}
}

func TestFaultsByChance(t *testing.T) {
	pattern := func(seed uint64) string {
		s := server(t, mockrudder.WithSeed(seed))
		require.NoError(t, s.Fault(mockrudder.Fault{Status: 503, Probability: 0.25}))
		return hits(s, slices.Repeat([]probe{{path: batchPath, key: "wkHTTP", body: goodBatch}}, 400)...)
	}
	first := pattern(7)
	require.InDelta(t, 100, strings.Count(first, "x"), 40)
	require.Equal(t, first, pattern(7), "same seed, same hits")
	require.NotEqual(t, first, pattern(8))
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

func TestFaultsOfResponses(t *testing.T) {
	s := server(t)
	require.NoError(t, s.SetFaults(mockrudder.Fault{WrongBody: mockrudder.Garbage, Requests: 1},
		mockrudder.Fault{WrongBody: mockrudder.HTMLPage, Status: 502, Requests: 1},
		mockrudder.Fault{Status: 429, RetryAfter: 7, Body: "slow down"}))
	require.Equal(t, "\x00\xff\xfe\x80 not text \x00\xc3\x28", batch(s, goodBatch).Body.String())
	answer := batch(s, goodBatch)
	require.Equal(t, 502, answer.Code)
	require.Contains(t, answer.Body.String(), "<h1>502 Bad Gateway</h1>")
	answer = batch(s, goodBatch)
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

	require.Contains(t, put(`nonsense`), `400 {"error":"faults: `)
	require.Contains(t, put(`[{"status":500},{}]`), `fault 2: a fault needs one of `)
	require.Equal(t, `200 {"faults":[{"id":"3","transformer":"down","hits":0}]}`, get(), "an error changes nothing")

	require.Equal(t, 200, probe{path: "/_mock/reset?keep=faults"}.send(s).Code)
	require.Len(t, s.Faults(), 1)
	require.Equal(t, 400, probe{path: "/_mock/reset?keep=x"}.send(s).Code)
	require.Equal(t, 200, probe{path: "/_mock/reset"}.send(s).Code)
	require.Empty(t, s.Faults())
	require.Equal(t, `200 {"faults":[]}`, put(`[]`))
}

func TestReset(t *testing.T) {
	s := mockrudder.Start(t, mockrudder.WithoutValidation())
	require.NoError(t, s.Fault(mockrudder.Fault{Close: mockrudder.Reset}))
	_, err := s.Client().Post(s.URL+webhookPath, "application/json", strings.NewReader(brazeEvent(`{}`)))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.Zero(t, s.Stats().Stored)
}
