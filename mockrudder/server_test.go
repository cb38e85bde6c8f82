package mockrudder_test

import (
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// Many clients at once, with bodies that no buffer holds.
func TestStartInMemoryIsConcurrent(t *testing.T) {
	rudder := mockrudder.StartInMemory(t, mockrudder.WithoutValidation())
	body := `{"batch":[{"userId":"u","event":"` + strings.Repeat("x", 1<<20) + `"}]}`
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 3 {
				got, _ := probe{path: batchPath, key: "wkHTTP", body: body}.ask(t, rudder)
				assert.Equal(t, "200 ok", got)
			}
		})
	}
	group.Wait()
	require.EqualValues(t, 24, rudder.Count(mockrudder.Filter{}))
}

// After the test connecting fails at once.
func TestStartCleansUp(t *testing.T) {
	for want, start := range map[error]func(mockrudder.TB, ...mockrudder.Option) *mockrudder.Server{
		syscall.ECONNREFUSED: mockrudder.Start, net.ErrClosed: mockrudder.StartInMemory,
	} {
		watched := &fakeT{}
		rudder := start(watched)
		answer, err := rudder.Client().Get(rudder.URL + "/health")
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		for _, cleanup := range watched.cleanups {
			cleanup()
		}
		require.Empty(t, watched.errors)
		_, err = rudder.Client().Get(rudder.URL + "/health")
		require.ErrorIs(t, err, want)
	}
	require.Same(t, http.DefaultTransport, server(t).Transport())
	watched := &fakeT{}
	require.Nil(t, mockrudder.Start(watched, mockrudder.WithKeep(0)))
	require.Len(t, watched.fatals, 1)
}

// heap is the heap in use, in MiB. The second collection empties the pools.
func heap() float64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc) / (1 << 20)
}

// Messages that are no longer kept take no memory, though all ids and event names differ,
// and their counts do not keep their bodies.
func TestMemoryIsFlat(t *testing.T) {
	s := server(t, mockrudder.WithKeep(2_000))
	sent, padding, before := 0, strings.Repeat(" ", 1<<20), heap()
	heapAfter := func(n int) float64 {
		var body strings.Builder
		for ; sent < n; sent += 500 {
			body.Reset()
			body.WriteString(`{"batch":[`)
			for i := range 500 {
				if i > 0 {
					body.WriteByte(',')
				}
				fmt.Fprintf(&body, `{"type":"track","event":"e%d","userId":"u%d","messageId":"m%d"}`, sent+i, sent+i, sent+i)
			}
			body.WriteString(`]}` + padding)
			require.Equal(t, 200, batch(s, body.String()).Code)
		}
		return heap()
	}
	first, last := heapAfter(12_000), heapAfter(36_000)
	require.Less(t, first-before, 15.0, "MiB, of 24 bodies of more than one each, of which four are kept")
	require.Less(t, last-first, 5.0, "MiB, of the 24,000 messages after the first ones")
	require.EqualValues(t, 36_000, s.Stats().Stored)
	require.Equal(t, 2_000, s.Stats().Kept)
}

// A megabyte of gzip that is a gigabyte uncompressed costs no more than a request
// of the largest size.
func TestCompressedBomb(t *testing.T) {
	part := gzipped(t, strings.Repeat(" ", 1<<20))
	bomb := strings.Repeat(part, 1024) // members of gzip, one behind the other
	require.Less(t, len(bomb), 2<<20)
	s := server(t)
	require.NoError(t, s.Fault(mockrudder.Fault{Status: 403, Contains: "nowhere in it"}))
	for _, p := range []probe{{path: batchPath, key: "wkHTTP"}, {path: webhookPath}} {
		p.body, p.headers = bomb, []string{"Content-Encoding", "gzip"}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		require.Equal(t, "413 request size exceeds max limit", p.answer(t, s))
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(100<<20), p.path)
	}
}
