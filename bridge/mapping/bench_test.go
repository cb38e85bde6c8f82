package mapping_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/currents/currentstest"
	"github.com/currentsbridge/currentsbridge/bridge/drift"
	"github.com/currentsbridge/currentsbridge/bridge/mapping"
)

// BenchmarkMap maps 100 events of about 1 KB, each into the same buffer.
func BenchmarkMap(b *testing.B) {
	w, _ := drift.New(drift.Config{})
	m2, _ := mapping.New(mapping.Options{Drift: w})
	for i := range 4 {
		b.Run("plain", func(b *testing.B) { bench(b, mapping.Plain()) })
		b.Run("drift", func(b *testing.B) { bench(b, m2) })
		_ = i
	}
	if len(w.List()) > 0 {
		b.Fatal(w.List())
	}
}
func bench(b *testing.B, mapper *mapping.Mapper) {
	_, events := currentstest.EmailOpens(100)
	size := 0
	for _, e := range events {
		size += len(e)
	}
	dst := make([]byte, 0, 2*size)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		dst = dst[:0]
		for _, e := range events {
			dst = mapper.AppendMessage(dst, e, "")
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(events)), "ns/event")
}

// TestMapAllocatesNothing holds AppendMessage to its promise.
func TestMapAllocatesNothing(t *testing.T) {
	_, events := currentstest.EmailOpens(10)
	mapper := mapping.Plain()
	dst := make([]byte, 0, 4096)
	require.Zero(t, testing.AllocsPerRun(20, func() {
		for _, e := range events {
			dst = mapper.AppendMessage(dst[:0], e, "")
		}
	}))
}
