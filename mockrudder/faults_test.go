package mockrudder_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// inFakeTime runs a test against a server in a bubble of synctest, so that
// hangs and latencies take no time.
func inFakeTime(t *testing.T, run func(t *testing.T, s *mockrudder.Server)) {
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

// A body that is cut off is refused, also where a fault has looked into it before.
func TestFaultsDoNotCompleteABody(t *testing.T) {
	s := mockrudder.Start(t, mockrudder.WithSource("wkHTTP", mockrudder.HTTP))
	for _, fault := range []mockrudder.Fault{{Status: 503, Contains: "none of it"}, {Latency: 1}} {
		require.NoError(t, s.SetFaults(fault))
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		require.NoError(t, err)
		defer conn.Close()
		fmt.Fprintf(conn, "POST /v1/batch HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic d2tIVFRQOg==\r\nContent-Length: 1000\r\n\r\n"+goodBatch)
		require.NoError(t, conn.(*net.TCPConn).CloseWrite())
		_, _ = io.Copy(io.Discard, conn) // a response is allowed
		require.Empty(t, s.Events(mockrudder.Filter{}))
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
	poisoned, compressed := strings.Replace(goodBatch, `"E"`, `"poison"`, 1), []string{"Content-Encoding", "gzip"}
	requests := map[string]probe{
		"batch":       {path: batchPath, key: "wkHTTP", body: goodBatch},
		"braze-key":   {path: batchPath, key: "wkBraze", body: goodBatch},
		"import":      {path: "/v1/import", key: "wkHTTP", body: goodBatch},
		"webhook":     {path: webhookPath, body: brazeEvent(`{}`)},
		"poison":      {path: batchPath, key: "wkHTTP", body: poisoned},
		"gzip":        {path: batchPath, key: "wkHTTP", body: gzipped(t, goodBatch), headers: compressed},
		"gzip-poison": {path: batchPath, key: "wkHTTP", body: gzipped(t, poisoned), headers: compressed},
		"mine":        {path: batchPath, key: "wkHTTP", body: goodBatch, headers: []string{"X-Test-ID", "mine"}},
		"other":       {path: batchPath, key: "wkHTTP", body: goodBatch, headers: []string{"X-Test-ID", "other"}},
		"health":      {method: http.MethodGet, path: "/health"},
		"stats":       {method: http.MethodGet, path: "/_mock/stats"},
	}
	for _, row := range casefile.Read(t, "testdata/fault-limits.txt", 3) {
		s := server(t)
		faults, err := mockrudder.ParseFaults([]byte(row[0]))
		require.NoError(t, err)
		require.NoError(t, s.SetFaults(faults...))
		pattern, sum := "", 0
		for name := range strings.FieldsSeq(row[1]) {
			pattern += hits(s, requests[name])
		}
		require.Equal(t, row[2], pattern, row[0])
		for _, fault := range s.Faults() {
			sum += fault.Hits
		}
		require.Equal(t, strings.Count(row[2], "x"), sum)
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
