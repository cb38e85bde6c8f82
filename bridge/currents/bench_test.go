package currents_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/currents/currentstest"
)

// BenchmarkScan scans batches of 100 events of about 1 KB.
func BenchmarkScan(b *testing.B) {
	const events = 100
	body, _ := currentstest.EmailOpens(events)
	var batch currents.Batch
	require.NoError(b, batch.Scan(body))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if err := batch.Scan(body); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/events, "ns/event")
}

// BenchmarkValid is what the standard library takes to validate the same body.
func BenchmarkValid(b *testing.B) {
	body, _ := currentstest.EmailOpens(100)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if !json.Valid(body) {
			b.Fatal("not valid")
		}
	}
}

// TestScanAllocatesNothing holds a Batch that is used again to its promise.
func TestScanAllocatesNothing(t *testing.T) {
	body, _ := currentstest.EmailOpens(100)
	var batch currents.Batch
	require.NoError(t, batch.Scan(body))
	require.Zero(t, testing.AllocsPerRun(20, func() { _ = batch.Scan(body) }))
}
