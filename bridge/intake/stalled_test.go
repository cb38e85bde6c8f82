package intake

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
)

// metric returns the sum of a counter or gauge over connector a's series, or
// over all where there is no such label.
func (b *bench) metric(t *testing.T, name string) string {
	t.Helper()
	families, err := b.registry.Gather()
	require.NoError(t, err)
	sum := 0.0
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			if !otherConnector(m) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return fmt.Sprint(sum)
}

func otherConnector(m *dto.Metric) bool {
	for _, label := range m.GetLabel() {
		if label.GetName() == "connector" && label.GetValue() != "a" {
			return true
		}
	}
	return false
}

// TestStalledClients holds 200 connections in the middle of a body: most have
// announced the largest body there is and sent little, some have sent a lot.
func TestStalledClients(t *testing.T) {
	b := start(t, Config{})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	head := "POST /currents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\nContent-Length: 16777216\r\n\r\n"
	packed := "POST /currents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n" + zipped(oneEvent)[:20] + "\r\n"
	for i := range 200 {
		switch {
		case i%10 == 0:
			b.raw(t, packed)
		case i%10 == 1:
			b.raw(t, head+strings.Repeat(" ", 100_000))
		default:
			b.raw(t, head+`{"events":[`)
		}
	}
	require.Eventually(t, func() bool { return b.metric(t, "bridge_requests_reading") == "200" }, 10*time.Second, time.Millisecond)
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(24<<20), "memory that 200 stalled clients take")

	start := time.Now()
	for range 20 {
		require.Equal(t, 200, b.do(t, request{body: oneEvent, header: with("secret")}).status)
	}
	require.Less(t, time.Since(start), 5*time.Second)
}

// TestMemoryForBodiesIsBounded has clients that really send: when all memory for
// large bodies is taken the next one is refused, and usual ones still pass.
func TestMemoryForBodiesIsBounded(t *testing.T) {
	b := start(t, Config{MaxBody: 8 << 20, MaxBuffered: 8 << 20, Connectors: []Connector{{Name: "a", Tokens: []string{"secret"}}}})
	large := b.table.Load().connectors[0].room.large
	head := "POST /currents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\nContent-Length: 8388608\r\n\r\n"
	for range 3 {
		b.raw(t, head+strings.Repeat(" ", 900_000)) // 1 MiB each
	}
	require.Eventually(t, func() bool { return b.buffers.large.taken() == 3<<20 }, 10*time.Second, time.Millisecond)

	got := b.do(t, request{body: strings.Repeat(" ", 3<<20), header: with("secret")})
	require.Equal(t, http.StatusServiceUnavailable, got.status)
	require.Equal(t, "5", got.header.Get("Retry-After"))
	require.True(t, large.take(1<<20)) // the last of it
	require.Equal(t, 200, b.do(t, request{body: oneEvent, header: with("secret")}).status)
	large.give(1 << 20)
	require.Equal(t, int64(3<<20), b.buffers.large.taken())
}

func TestAllMemoryComesBack(t *testing.T) {
	b := start(t, Config{MaxBody: 1 << 20})
	bodies := []string{oneEvent, "{", "", strings.Repeat(" ", 1<<20), strings.Repeat(" ", 1<<20+1), `{"events":[` + strings.Repeat("1,", 100_000) + `1]}`}
	for _, body := range bodies {
		for _, chunked := range []bool{false, true} {
			b.do(t, request{body: body, header: with("secret"), chunked: chunked})
			b.do(t, request{body: zipped(body), header: with("secret", "Content-Encoding", "gzip"), chunked: chunked})
			b.do(t, request{body: body, header: with("secret", "Content-Encoding", "gzip"), chunked: chunked})
		}
	}
	require.Zero(t, b.buffers.inUse())
	require.Zero(t, b.requests.taken())
	require.Zero(t, b.appends.taken())
	require.Len(t, b.scanners.usual, cap(b.scanners.usual))
	require.Len(t, b.scanners.odd, cap(b.scanners.odd))
}
