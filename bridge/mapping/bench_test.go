package mapping_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/currents/currentstest"
	"github.com/currentsbridge/currentsbridge/bridge/drift"
	"github.com/currentsbridge/currentsbridge/bridge/mapping"
)

// BenchmarkMap maps 100 events of about 1 KB, each into the same buffer, with
// each of the options.
func BenchmarkMap(b *testing.B) {
	_, events := currentstest.EmailOpens(100)
	size := 0
	for _, e := range events {
		size += len(e)
	}
	personal := mapping.Personal{Preset: mapping.Hash, Salt: []byte("a salt of sixteen")}
	for _, bb := range []struct {
		name string
		opts mapping.Options
	}{
		{"plain", mapping.Options{}},
		{"drift", mapping.Options{Drift: drift.New(drift.Config{})}},
		{"names", mapping.Options{Names: mapping.Names{Readable: true}}},
		{"personal", mapping.Options{Personal: personal}}, // one field of the event is flagged
		{"identify", mapping.Options{Identify: true, Alias: true}},
		{"webhook", mapping.Options{Webhook: true}},
		{"webhook-drift", mapping.Options{Webhook: true, Drift: drift.New(drift.Config{})}},
		{"webhook-personal", mapping.Options{Webhook: true, Personal: personal}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			mapper := newMapper(b, bb.opts)
			dst := make([]byte, 0, 2*size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				dst = dst[:0]
				for _, e := range events {
					dst = mapper.Append(dst, e, "")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(events)), "ns/event")
		})
	}
}

// TestMapAllocatesNothing holds Append and Keeps to their promise. No user id is
// dropped here: that takes a pool, which the race detector empties now and then.
func TestMapAllocatesNothing(t *testing.T) {
	_, events := currentstest.EmailOpens(10)
	personal := mapping.Personal{Preset: mapping.Hash, Salt: []byte("s"), Fields: actions{"user.user_id": mapping.Hash, "user.timezone": mapping.Drop}}
	watch := drift.New(drift.Config{})
	for _, opts := range []mapping.Options{
		{}, {Drift: watch}, {Webhook: true, Personal: personal}, {
			Names: mapping.Names{Readable: true}, Identify: true, Alias: true, Personal: personal,
			Filter: mapping.Filter{Allow: []string{"users.*"}},
		},
	} {
		mapper := newMapper(t, opts)
		dst := make([]byte, 0, 4096)
		require.Zero(t, testing.AllocsPerRun(20, func() {
			for _, e := range events {
				if mapper.Keeps(e) {
					dst = mapper.Append(dst[:0], e, "")
				}
			}
		}))
	}
	require.Empty(t, watch.List())
}
