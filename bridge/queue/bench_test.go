package queue_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

const benchEvents = 100

// benchBatch makes a batch of 100 events of about 1 KB, as alike and as
// different as events of one type are.
func benchBatch(rng *rand.Rand) queue.Batch {
	b := queue.Batch{ReceivedAt: time.Now()}
	for range benchEvents {
		start := len(b.Body)
		b.Body = fmt.Appendf(b.Body, `{"id":"%016x-%016x","time":%d,"event_type":"users.messages.email.Click",`+
			`"user":{"user_id":"%016x%08x","external_user_id":"customer-%d","timezone":"America/New_York"},`+
			`"properties":{"app_group_id":"5f3c9a3e8b1d4a0012345678","campaign_id":"8d3f9c1e-4c5b-4f65-9f0d-0c6ab1d25a17","campaign_name":"Autumn newsletter %d",`+
			`"canvas_id":null,"canvas_name":null,"canvas_step_id":null,"canvas_variation_id":null,"dispatch_id":"%016x%016x",`+
			`"email_address":"person%d@example.com","esp":"sendgrid","from_domain":"mail.example.com","ip_pool":"pool-%d","is_amp":false,`+
			`"link_alias":"hero-%d","link_id":"%016x","message_variation_id":"0f6a2a2e-6f4a-4e44-8a43-%012x","message_variation_name":"Variant %c",`+
			`"send_id":"%016x","url":"https://www.example.com/offers/%d?utm_source=braze&utm_medium=email&utm_campaign=autumn&utm_content=%x",`+
			`"user_agent":"Mozilla/5.0 (iPhone; CPU iPhone OS 17_%d like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"}}`,
			rng.Uint64(), rng.Uint64(), 1700000000+rng.IntN(1e7), rng.Uint64(), rng.Uint32(), rng.IntN(1e7), rng.IntN(20),
			rng.Uint64(), rng.Uint64(), rng.IntN(1e7), rng.IntN(4), rng.IntN(9), rng.Uint64(), rng.Uint64()>>16,
			'A'+rune(rng.IntN(3)), rng.Uint64(), rng.IntN(1e5), rng.Uint32(), rng.IntN(6))
		b.Items = append(b.Items, queue.Item{Start: start, End: len(b.Body)})
	}
	return b
}

// load is a kit with some different batches to fill its queue with.
type load struct {
	*kit
	q       *queue.Queue
	batches []queue.Batch
}

func newLoad(tb testing.TB) *load {
	l := &load{kit: newKit(tb, queue.Options{Dir: tb.TempDir(), RetainAge: time.Hour})}
	l.window = queue.DefaultWindow
	l.q = l.open("bench")
	rng := rand.New(rand.NewPCG(1, 2))
	for range 64 {
		l.batches = append(l.batches, benchBatch(rng))
	}
	return l
}

// appendOne appends one of the batches with new ids.
func (l *load) appendOne() error {
	b := l.batches[rand.IntN(len(l.batches))]
	b.Items = slices.Clone(b.Items)
	for i := range b.Items {
		b.Items[i].ID = queue.Hash{rand.Uint64(), rand.Uint64()}
	}
	return errOf(l.q.Append(l.ctx, b))
}

// fill appends n batches from many senders and returns how many events a second
// that were.
func (l *load) fill(n, senders int) float64 {
	begin := time.Now()
	var next atomic.Int64
	var sending errgroup.Group
	for range senders {
		sending.Go(func() (err error) {
			for err == nil && next.Add(1) <= int64(n) {
				err = l.appendOne()
			}
			return err
		})
	}
	require.NoError(l, sending.Wait())
	return float64(n*benchEvents) / time.Since(begin).Seconds()
}

// drainOnce fetches some records and settles them as delivered in one commit.
func drainOnce(ctx context.Context, q *queue.Queue) error {
	records, err := q.Claim(ctx, queue.Limit{Events: 500, Bytes: 1 << 20})
	if err != nil {
		return err
	}
	err = q.Settle(ctx, delivered(records...))
	q.Release(records...)
	return err
}

// measure runs f and reports processor time an event, and events a second.
func measure(b *testing.B, f func()) {
	cpu := func() time.Duration {
		var u syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	b.ReportAllocs()
	b.ResetTimer()
	used := cpu()
	f()
	events := float64(b.N * benchEvents)
	b.ReportMetric(float64((cpu()-used).Nanoseconds())/events, "cpu-ns/event")
	b.ReportMetric(events/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkAppend(b *testing.B) {
	for _, senders := range []int{1, 16, 64} {
		b.Run(fmt.Sprint("senders=", senders), func(b *testing.B) {
			l := newLoad(b)
			measure(b, func() { l.fill(b.N, senders) })
		})
	}
}

// BenchmarkThrough appends, fetches and settles at the same time.
func BenchmarkThrough(b *testing.B) {
	l := newLoad(b)
	ctx, stop := context.WithCancel(b.Context())
	var workers errgroup.Group
	for range 4 {
		workers.Go(func() (err error) {
			for ctx.Err() == nil && err == nil {
				err = drainOnce(ctx, l.q)
			}
			return nil
		})
	}
	measure(b, func() {
		l.fill(b.N, 16*runtime.GOMAXPROCS(0))
		for l.q.Ledger().Pending() > 0 {
			time.Sleep(time.Millisecond)
		}
	})
	stop()
	_ = workers.Wait()
}

// A backlog costs neither time at the start nor memory nor speed of intake: ten
// million events with -long, a hundred thousand without.
func TestBacklogCostsNothing(t *testing.T) {
	backlog, probe := 1_000, 320
	if *long {
		backlog, probe = 100_000, 8_000
	}
	l := newLoad(t)
	empty := l.fill(probe, 32)
	l.fill(backlog, 32)
	runtime.GC()
	begin := time.Now()
	l.q = l.reopen("bench")
	took := time.Since(begin)
	pending := l.q.Ledger().Pending()
	require.EqualValues(t, (probe+backlog)*benchEvents, pending)
	full := l.fill(probe, 32)
	var size, resident int64 // in pages
	status, err := os.ReadFile("/proc/self/statm")
	require.NoError(t, err)
	_, err = fmt.Sscan(string(status), &size, &resident)
	require.NoError(t, err)
	resident *= int64(os.Getpagesize())
	t.Logf("%d events pending, %d MB: opened in %s, %d MB resident, %.0f events/s appended (%.2f of the empty store's)",
		pending, l.store.Usage().Bytes>>20, took.Round(time.Millisecond), resident>>20, full, full/empty)
	if *long {
		require.Less(t, took, 5*time.Second)
		require.Less(t, resident, int64(250<<20))
	}
	begin = time.Now()
	for l.q.Ledger().Pending() > 0 {
		require.NoError(t, drainOnce(l.ctx, l.q))
	}
	t.Logf("drained %.0f events/s", float64(pending)/time.Since(begin).Seconds())
}

// A transaction that is held open elsewhere keeps PostgreSQL from removing what
// settled records leave behind. Claims do not walk over it again and again: with
// -long, over as many batches of one event as come in ten minutes at a thousand a
// second. Claims on a server without such a transaction are measured in turns with them.
func TestOpenTransactionDoesNotSlowClaims(t *testing.T) {
	held, turns, claims, atLeast := 5_000, 10, 100, 0.4
	if *long {
		held, turns, claims, atLeast = 600_000, 40, 1_000, 0.8 // some seconds: about once a second a claim begins at the floor
	}
	var kits [2]*kit
	var queues [2]*queue.Queue
	for i := range kits {
		k, q, db := oneBridge(t)
		if kits[i], queues[i] = k, q; i == 1 {
			db(`BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM record`)
		}
		begin := time.Now()
		k.comeAndGo(q, held)
		t.Logf("%d batches came and went in %s", held, time.Since(begin).Round(time.Second))
	}
	var took [2]time.Duration
	for turn := range 2 * turns {
		k, q := kits[turn%2], queues[turn%2]
		for range claims {
			require.NoError(t, errOf(q.Append(k.ctx, k.batch("-"))))
		}
		begin := time.Now()
		var records []*queue.Record
		for range claims {
			records = append(records, k.fetch(q, one)...)
		}
		took[turn%2] += time.Since(begin)
		k.deliver(q, records...)
	}
	rate := func(took time.Duration) float64 { return float64(turns*claims) / took.Seconds() }
	t.Logf("claims a second: %.0f, and %.0f beside a transaction held open", rate(took[0]), rate(took[1]))
	require.Greater(t, rate(took[1]), rate(took[0])*atLeast)
}

// comeAndGo has n batches of one event stored, by 16 senders, and delivered.
func (k *kit) comeAndGo(q *queue.Queue, n int) {
	const senders = 16
	var work errgroup.Group
	for range senders {
		work.Go(func() (err error) {
			for i := 0; i < n/senders && err == nil; i++ {
				_, err = q.Append(k.ctx, k.batch("-"))
			}
			return err
		})
	}
	for done := 0; done < n/senders*senders; {
		records := k.fetch(q, queue.Limit{Events: 500, Bytes: 1 << 20})
		done += len(k.idsOf(records...))
		k.deliver(q, records...)
	}
	require.NoError(k, work.Wait())
}
