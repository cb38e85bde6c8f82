package queue_test

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// resident is the memory that the process has in RAM, in bytes.
func resident(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/statm")
	require.NoError(t, err)
	pages, err := strconv.ParseInt(strings.Fields(string(status))[1], 10, 64)
	require.NoError(t, err)
	return pages * int64(os.Getpagesize())
}

// A backlog costs neither time at the start nor memory nor speed of intake: ten
// million events with -long, a hundred thousand without.
func TestBacklogCostsNothing(t *testing.T) {
	batches, backlog, probe := benchBatches(), 1_000, 320
	if *long {
		backlog, probe = 100_000, 8_000
	}
	dir := t.TempDir()
	open := func() (*queue.Store, *queue.Queue, time.Duration) {
		begin := time.Now()
		s, q := openBench(t, dir, queue.Options{RetainAge: time.Hour})
		return s, q, time.Since(begin)
	}
	s, q, _ := open()
	empty := fill(t, q, batches, probe)
	fill(t, q, batches, backlog)
	require.NoError(t, s.Close())
	runtime.GC()
	s, q, took := open()
	defer s.Close()
	pending := q.Ledger().Pending()
	records, err := q.Claim(t.Context(), queue.Limit{Events: 1000, Bytes: 4 << 20})
	require.NoError(t, err)
	q.Release(records...)
	full := fill(t, q, batches, probe)
	used := s.Usage().Bytes
	t.Logf("%d events pending, %d MB: opened in %s, %d MB resident, %.0f events/s appended (%.2f of the empty store's)",
		pending, used>>20, took.Round(time.Millisecond), resident(t)>>20, full, full/empty)
	if *long {
		require.Less(t, took, 5*time.Second)
		require.Less(t, resident(t), int64(250<<20))
	}
	begin := time.Now()
	for q.Ledger().Pending() > 0 {
		require.NoError(t, drainOnce(t.Context(), q))
	}
	t.Logf("drained %.0f events/s", float64(pending)/time.Since(begin).Seconds())
}

// A transaction that is held open elsewhere keeps PostgreSQL from removing what
// settled records leave behind. Claims do not walk over it again and again: with
// -long, over as many batches of one event as come in ten minutes at a thousand a
// second.
func TestOpenTransactionDoesNotSlowClaims(t *testing.T) {
	k, q, db := oneBridge(t)
	rate := func(n int) float64 { // claims a second, of one record each
		for range n {
			_, err := q.Append(k.ctx, k.batch("-"))
			require.NoError(t, err)
		}
		begin := time.Now()
		var records []*queue.Record
		for range n {
			r, err := q.Claim(k.ctx, queue.Limit{Events: 1, Bytes: 1 << 20})
			require.NoError(t, err)
			records = append(records, r...)
		}
		took := time.Since(begin)
		require.NoError(t, q.Settle(k.ctx, delivered(records...)))
		q.Release(records...)
		return float64(n) / took.Seconds()
	}
	rounds, held := 100, 300
	if *long {
		rounds, held = 5_000, 600_000
	}
	comeAndGo(t, k, q, held) // the table has grown as much before
	before := rate(rounds)
	db(`BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM record`)
	begin := time.Now()
	comeAndGo(t, k, q, held)
	took := time.Since(begin)
	beside := rate(rounds)
	t.Logf("claims a second: %.0f, and %.0f beside a transaction held open over %d batches in %s", before, beside, held, took.Round(time.Second))
	if *long {
		require.Greater(t, beside, before*0.8)
	}
}

// comeAndGo has n batches of one event stored, by 16 senders, and delivered.
func comeAndGo(t *testing.T, k *kit, q *queue.Queue, n int) {
	const senders = 16
	ctx, stop := context.WithCancel(t.Context())
	var drained, sent sync.WaitGroup
	drained.Go(func() {
		for drainOnce(ctx, q) == nil {
		}
	})
	for range senders {
		sent.Go(func() {
			for range n / senders {
				if _, err := q.Append(ctx, k.batch("-")); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	sent.Wait()
	k.eventually(func() bool { return q.Ledger().Pending() == 0 }, "everything is delivered")
	stop()
	drained.Wait()
}
