package jetstream

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/natstest"
)

const testWindow = 1 << 16

// quick are options for a test: a bridge that dies is missed after two seconds.
func quick(t testing.TB, srv *natstest.Server) Options {
	return Options{URL: srv.URL(), AckWait: 2 * time.Second, RetainAge: time.Hour, Logger: logTo(t), every: 200 * time.Millisecond}
}

// calm are options for a test in which no bridge is taken for dead, however
// slow the machine is.
func calm(t testing.TB, srv *natstest.Server) Options {
	opts := quick(t, srv)
	opts.AckWait = time.Hour
	return opts
}

// stalls watches how long this process stood still at most.
func stalls(t *testing.T) func() time.Duration {
	var longest atomic.Int64
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	go func() {
		last := time.Now()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				longest.Store(max(longest.Load(), int64(time.Since(last))))
				last = time.Now()
			case <-stop:
				return
			}
		}
	}()
	return func() time.Duration { return time.Duration(longest.Load()) }
}

// bridge opens a store and the queue of connector a.
func bridge(t testing.TB, opts Options) (*Store, *connQueue) {
	t.Helper()
	s, err := open(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s, queueOf(t, s)
}

func queueOf(t testing.TB, s *Store) *connQueue {
	t.Helper()
	q, err := s.Open(t.Context(), "a", testWindow)
	require.NoError(t, err)
	return q.(*connQueue)
}

// batchOf makes a batch of events with these ids.
func batchOf(pad int, ids ...string) queue.Batch {
	b := queue.Batch{Body: []byte(`{"events":[`), ReceivedAt: time.Unix(1_700_000_000, 0)}
	for i, id := range ids {
		if i > 0 {
			b.Body = append(b.Body, ',')
		}
		start := len(b.Body)
		b.Body = fmt.Appendf(b.Body, `{"id":%q,"pad":"%s"}`, id, noise(id, pad))
		b.Items = append(b.Items, queue.Item{Start: start, End: len(b.Body), ID: queue.HashID([]byte(id))})
	}
	b.Body = append(b.Body, `]}`...)
	return b
}

// noise is text that does not compress well.
func noise(seed string, n int) []byte {
	out := make([]byte, n)
	x := queue.HashID([]byte(seed))[0]
	for i := range out {
		x = x*6364136223846793005 + 1442695040888963407
		out[i] = 'A' + byte(x>>40)%58
		if out[i] == '\\' {
			out[i] = '_'
		}
	}
	return out
}

func idIn(raw []byte) string {
	rest, _ := bytes.CutPrefix(raw, []byte(`{"id":"`))
	id, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(id)
}

func add(t testing.TB, q queue.Queue, want queue.Receipt, ids ...string) {
	t.Helper()
	got, err := q.Append(t.Context(), batchOf(20, ids...))
	require.NoError(t, err)
	require.Equal(t, want, got)
}

var all = queue.Limit{Events: 1 << 20, Bytes: 1 << 30}

// fetch fetches until there are n events.
func fetch(t testing.TB, q queue.Queue, n int) (records []*queue.Record) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	for n > 0 {
		got, err := q.Fetch(ctx, all)
		require.NoError(t, err)
		for _, r := range got {
			n -= len(r.Events)
		}
		records = append(records, got...)
	}
	return records
}

func delivered(records ...*queue.Record) (s queue.Settlement) {
	for _, r := range records {
		for _, e := range r.Events {
			s.Delivered = append(s.Delivered, queue.Span{Seq: r.Seq, First: e.Index, Last: e.Index})
		}
	}
	return s
}

func deliver(t testing.TB, q queue.Queue, records ...*queue.Record) {
	t.Helper()
	require.NoError(t, q.Settle(t.Context(), delivered(records...)))
	q.Release(records...)
}

// balance says where a ledger breaks its promise.
func balance(l queue.Ledger) error {
	if l.Received != l.Duplicates+l.Accepted || l.Filtered+l.Delivered+l.Dead+l.Purged > l.Accepted {
		return fmt.Errorf("the ledger does not balance: %+v", l)
	}
	return nil
}

// agree waits until all queues show the same ledger, and returns it.
func agree(t testing.TB, queues ...*connQueue) queue.Ledger {
	t.Helper()
	for _, q := range queues {
		ctx, cancel := context.WithTimeout(t.Context(), patient)
		require.NoError(t, q.sync(ctx))
		cancel()
	}
	l := queues[0].Ledger()
	for _, q := range queues[1:] {
		require.Equal(t, l, q.Ledger(), "two bridges come to different totals")
	}
	require.NoError(t, balance(l))
	return l
}

// tally counts how often events were delivered, by id.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

func (c *tally) note(records []*queue.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range records {
		for _, e := range r.Events {
			c.counts[idIn(e.Raw)]++
		}
	}
}

func (c *tally) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.counts)
}

// work fetches and delivers until ctx ends; errors of a store that is away are passed over.
func work(ctx context.Context, q queue.Queue, c *tally) {
	for ctx.Err() == nil {
		records, err := q.Fetch(ctx, queue.Limit{Events: 20, Bytes: 1 << 20})
		if err != nil {
			continue
		}
		if q.Settle(ctx, delivered(records...)) == nil {
			c.note(records)
		}
		q.Release(records...)
	}
}

// sendUntil appends batches, each until it is acknowledged, and returns the ids.
func sendUntil(ctx context.Context, t testing.TB, q queue.Queue, name string, batches int) (ids []string) {
	for b := range batches {
		var mine []string
		for i := range 5 {
			mine = append(mine, fmt.Sprintf("%s-%d-%d", name, b, i))
		}
		for {
			_, err := q.Append(ctx, batchOf(20, mine...))
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				t.Errorf("%s: batch %d is not taken: %v", name, b, err)
				return ids
			}
		}
		ids = append(ids, mine...)
	}
	return ids
}

func eventually(t testing.TB, ok func() bool, what string) {
	t.Helper()
	require.Eventually(t, ok, patient, 10*time.Millisecond, what)
}
