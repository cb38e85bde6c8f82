package pebble

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// TestFewDoNotKeepMany keeps a dead letter and a pending event of each flush:
// the history that came with them must leave the disk nevertheless.
func TestFewDoNotKeepMany(t *testing.T) {
	for name, opts := range map[string]Options{
		"by age":         {RetainAge: time.Minute, compactAt: 1},
		"for want of it": {RetainAge: time.Hour, MaxBytes: 4 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKeeping(t, opts)
			waiting, busy := openTestQueue(t, k.s, "waiting"), openTestQueue(t, k.s, "busy")
			add := func(q *connQueue, bytes int) {
				require.Eventually(t, func() bool { return k.add(q, bytes) == nil }, 20*time.Second, time.Millisecond,
					"no room although nearly all of it is history")
			}
			for range 40 {
				add(waiting, 1000)
				add(busy, 1000)
				records, err := busy.Fetch(t.Context(), queue.Limit{Events: 1, Bytes: 1 << 20})
				require.NoError(t, err)
				require.NoError(t, busy.Settle(t.Context(), queue.Settlement{Dead: []queue.DeadEvent{{Seq: records[0].Seq, Reason: "refused"}}}))
				busy.Release(records...)
				for range 10 {
					add(busy, 20_000)
					require.NoError(t, drainOnce(t.Context(), busy))
				}
				require.NoError(t, k.s.db.Flush())
			}
			k.mark(busy)
			if opts.MaxBytes == 0 {
				k.pass(2 * time.Minute)
				require.Eventually(t, func() bool { return k.s.db.Metrics().BlobFiles.LiveSize < 400<<10 }, 20*time.Second, 5*time.Millisecond,
					"8 MB went through, of which 2 MB share a file with what is alive; less than 100 kB are alive")
			}
			require.EqualValues(t, 40, waiting.Ledger().Pending())
			letters, err := busy.Dead(t.Context(), 0, 100)
			require.NoError(t, err)
			require.Len(t, letters, 40)
		})
	}
}
