package delivery

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/pebble"
)

// counted counts the events of a queue that are handed out.
type counted struct {
	queue.Queue
	mu        sync.Mutex
	out, most int
}

func (c *counted) Fetch(ctx context.Context, limit queue.Limit) ([]*queue.Record, error) {
	records, err := c.Queue.Fetch(ctx, limit)
	c.count(records, 1)
	return records, err
}

func (c *counted) Release(records ...*queue.Record) {
	c.count(records, -1)
	c.Queue.Release(records...)
}

func (c *counted) count(records []*queue.Record, sign int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range records {
		c.out += sign * len(r.Events)
	}
	c.most = max(c.most, c.out)
}

// One store, two connectors; the destination of one takes requests and never
// answers. The other is as fast as it is alone, and the hung one holds no more
// than its workers' events.
func TestHungDestinationDoesNotSlowAnother(t *testing.T) {
	const batches, size = 300, 100
	rate := func(hang bool) float64 {
		store, err := pebble.Open("data", pebble.Options{FS: vfs.NewMem(), RetainAge: time.Hour, Reserve: 1})
		require.NoError(t, err)
		queues := map[string]*counted{}
		for _, name := range []string{"hung", "well"} {
			q, err := store.Open(t.Context(), name, 1000)
			require.NoError(t, err)
			queues[name] = &counted{Queue: q}
			if name == "well" || hang {
				for i := range batches {
					braze(t, q, i, size)
				}
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		var ended sync.WaitGroup
		stuck := &rudder{rule: always(reply{hang: true})}
		run := func(name string, r *rudder) {
			sender, err := New(Config{
				Queue: queues[name], Mapper: mapping.Plain(), Transport: r, URL: "http://rudder.test", WriteKey: "wk",
				Timeout: 50 * time.Millisecond, MinBackoff: time.Millisecond, MaxBackoff: 5 * time.Millisecond, Grace: -1,
				Logger: slog.New(slog.DiscardHandler),
			})
			require.NoError(t, err)
			ended.Go(func() { _ = sender.Run(ctx) })
		}
		began := time.Now()
		run("hung", stuck)
		if hang {
			require.Eventually(t, func() bool { return len(stuck.all()) >= DefaultConcurrency }, 10*time.Second, time.Millisecond)
			began = time.Now()
		}
		run("well", &rudder{})
		require.Eventually(t, func() bool { return queues["well"].Ledger().Pending() == 0 }, 30*time.Second, time.Millisecond)
		took := time.Since(began)
		stop()
		ended.Wait()
		if hang {
			require.EqualValues(t, batches*size, queues["hung"].Ledger().Pending())
			require.LessOrEqual(t, queues["hung"].most, DefaultConcurrency*DefaultMaxEvents)
			require.LessOrEqual(t, stuck.most, DefaultConcurrency)
		}
		require.NoError(t, store.Close())
		return batches * size / took.Seconds()
	}
	rate(false) // what is only slow at first would be counted on one side
	alone := rate(false)
	beside := rate(true)
	t.Logf("alone %.0f events a second, beside a hung destination %.0f: %.2f of it", alone, beside, beside/alone)
	require.Greater(t, beside, alone/4, "loose, for machines that do other things too")
}
