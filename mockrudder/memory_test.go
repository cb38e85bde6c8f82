package mockrudder_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// A million messages, each with ids and an event name of its own, take no more
// memory than two hundred thousand.
func TestMemoryIsFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("a million messages take some seconds")
	}
	s := server(t)
	sent := 0
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
			body.WriteString(`]}`)
			require.Equal(t, 200, probe{path: batchPath, key: "wkHTTP", body: body.String()}.send(s).Code)
		}
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return float64(stats.HeapAlloc) / (1 << 20)
	}
	first, last := heapAfter(200_000), heapAfter(1_000_000)
	t.Logf("heap: %.1f MiB after 200,000 messages, %.1f MiB after 1,000,000", first, last)
	require.Less(t, last, 1.1*first+2)
	require.EqualValues(t, 1_000_000, s.Stats().Stored)
	require.Equal(t, mockrudder.DefaultKeep, s.Stats().Kept)
}

// What is remembered of a message that is no longer kept does not hold on to
// the body that it came in.
func TestCountsHoldNoBodies(t *testing.T) {
	s := server(t, mockrudder.WithKeep(1), mockrudder.WithDedup(time.Hour, 0))
	padding := strings.Repeat(" ", 1<<20)
	for i := range 150 {
		body := fmt.Sprintf(`{"batch":[{"type":"track","event":"e%d","userId":"u","messageId":"m%d"}]}%s`, i, i, padding)
		require.Equal(t, 200, probe{path: batchPath, key: "wkHTTP", body: body}.send(s).Code)
	}
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	require.Less(t, stats.HeapAlloc, uint64(60<<20))
	require.EqualValues(t, 150, s.Stats().Stored)
}
