package mockrudder_test

import (
	"context"
	"net/http"
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
func inFakeTime(t *testing.T, run func(t *testing.T, s *mockrudder.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		run(t, mockrudder.StartInMemory(t, append(recordedSources(), mockrudder.WithoutValidation())...))
	})
}

const goodBatch = `{"batch":[{"type":"track","event":"E","userId":"u"}]}`

// A request for each fault: what comes of it, how long that takes, and how many messages
// are stored.
func TestFaultsOnTime(t *testing.T) {
	for _, c := range answerCases(t, "faults") {
		t.Run(c.Name, func(t *testing.T) {
			inFakeTime(t, func(t *testing.T, s *mockrudder.Server) {
				require.NoError(t, s.Fault(*c.Fault))
				c.require(t, s)
				require.Len(t, s.Events(mockrudder.Filter{}), c.Stored)
				require.Equal(t, !strings.Contains(c.Name, "not needed"), s.Faults()[0].Hits == 1)
				require.NoError(t, s.SetFaults())
				start := time.Now()
				require.Equal(t, "200 ok", probe{path: batchPath, key: "wkHTTP", body: goodBatch}.answer(t, s))
				require.Zero(t, time.Since(start))
			})
		})
	}
}

// A request that hangs forever ends when the client leaves, and when the server is closed.
func TestHangForever(t *testing.T) {
	inFakeTime(t, func(t *testing.T, s *mockrudder.Server) {
		require.NoError(t, s.Fault(mockrudder.Fault{Hang: mockrudder.Forever}))
		client := s.Client()
		client.Timeout = time.Hour
		_, err := client.Post("http://rudder.test"+webhookPath, "", strings.NewReader("{}"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		synctest.Wait()
		require.EqualValues(t, 1, s.Stats().Sources["wkBraze"].Requests["closed"], "the server noticed")

		time.AfterFunc(time.Minute, s.Close)
		start := time.Now()
		require.Equal(t, "closed", probe{path: webhookPath, body: "{}"}.answer(t, s))
		require.Equal(t, time.Minute, time.Since(start))
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
	synctest.Test(t, func(t *testing.T) {
		s := server(t)
		low, high := 100*time.Millisecond, 300*time.Millisecond
		require.NoError(t, s.Fault(mockrudder.Fault{Latency: mockrudder.Duration(low), LatencyMax: mockrudder.Duration(high)}))
		shortest, longest := time.Hour, time.Duration(0)
		for range 100 {
			start := time.Now()
			require.Equal(t, 200, batch(s, goodBatch).Code)
			took := time.Since(start)
			shortest, longest = min(shortest, took), max(longest, took)
		}
		require.GreaterOrEqual(t, shortest, low)
		require.LessOrEqual(t, longest, high)
		require.Greater(t, longest-shortest, 150*time.Millisecond, "all over the range")
	})
}

func TestReset(t *testing.T) {
	s := mockrudder.Start(t, mockrudder.WithoutValidation())
	require.NoError(t, s.Fault(mockrudder.Fault{Close: mockrudder.Reset}))
	_, err := s.Client().Post(s.URL+webhookPath, "application/json", strings.NewReader(brazeEvent(`{}`)))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.Zero(t, s.Stats().Stored)
}
