package queue_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
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
	b := queue.Batch{Body: []byte(`{"events":[`), ReceivedAt: time.Now()}
	for i := range benchEvents {
		if i > 0 {
			b.Body = append(b.Body, ',')
		}
		start := len(b.Body)
		id := rng.Uint64()
		b.Body = fmt.Appendf(b.Body, `{"id":"%016x-%016x","time":%d,"event_type":"users.messages.email.Click",`+
			`"user":{"user_id":"%016x%08x","external_user_id":"customer-%d","timezone":"America/New_York"},`+
			`"properties":{"app_group_id":"5f3c9a3e8b1d4a0012345678","campaign_id":"8d3f9c1e-4c5b-4f65-9f0d-0c6ab1d25a17","campaign_name":"Autumn newsletter %d",`+
			`"canvas_id":null,"canvas_name":null,"canvas_step_id":null,"canvas_variation_id":null,"dispatch_id":"%016x%016x",`+
			`"email_address":"person%d@example.com","esp":"sendgrid","from_domain":"mail.example.com","ip_pool":"pool-%d","is_amp":false,`+
			`"link_alias":"hero-%d","link_id":"%016x","message_variation_id":"0f6a2a2e-6f4a-4e44-8a43-%012x","message_variation_name":"Variant %c",`+
			`"send_id":"%016x","url":"https://www.example.com/offers/%d?utm_source=braze&utm_medium=email&utm_campaign=autumn&utm_content=%x",`+
			`"user_agent":"Mozilla/5.0 (iPhone; CPU iPhone OS 17_%d like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"}}`,
			id, rng.Uint64(), 1700000000+rng.IntN(1e7), rng.Uint64(), rng.Uint32(), rng.IntN(1e7), rng.IntN(20),
			rng.Uint64(), rng.Uint64(), rng.IntN(1e7), rng.IntN(4), rng.IntN(9), rng.Uint64(), rng.Uint64()>>16,
			'A'+rune(rng.IntN(3)), rng.Uint64(), rng.IntN(1e5), rng.Uint32(), rng.IntN(6))
		b.Items = append(b.Items, queue.Item{Start: start, End: len(b.Body), ID: queue.Hash{id, rng.Uint64()}})
	}
	b.Body = append(b.Body, `]}`...)
	return b
}

// benchBatches are some different batches; fresh gives one of them new ids.
func benchBatches() []queue.Batch {
	rng := rand.New(rand.NewPCG(1, 2))
	batches := make([]queue.Batch, 64)
	for i := range batches {
		batches[i] = benchBatch(rng)
	}
	return batches
}

func fresh(b queue.Batch) queue.Batch {
	b.Items = append([]queue.Item(nil), b.Items...)
	for i := range b.Items {
		b.Items[i].ID = queue.Hash{rand.Uint64(), rand.Uint64()}
	}
	return b
}

func openBench(tb testing.TB, dir string, opts queue.Options) (*queue.Store, *queue.Queue) {
	opts.Dir = dir
	opts.AppendTimeout = time.Minute
	s, err := queue.Open(tb.Context(), opts)
	require.NoError(tb, err)
	q, err := s.Queue(tb.Context(), "bench", queue.DefaultWindow)
	require.NoError(tb, err)
	return s, q
}

// cpu is the processor time that the process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measure runs f and reports processor time an event, and events a second.
func measure(b *testing.B, batches int, f func()) {
	b.ReportAllocs()
	b.ResetTimer()
	start, used := time.Now(), cpu()
	f()
	used, took := cpu()-used, time.Since(start)
	events := float64(batches * benchEvents)
	b.ReportMetric(float64(used.Nanoseconds())/events, "cpu-ns/event")
	b.ReportMetric(events/took.Seconds(), "events/s")
}

func BenchmarkAppend(b *testing.B) {
	for _, senders := range []int{1, 16, 64} {
		b.Run(fmt.Sprint("senders=", senders), func(b *testing.B) {
			batches := benchBatches()
			s, q := openBench(b, b.TempDir(), queue.Options{})
			b.SetParallelism((senders + 1) / runtime.GOMAXPROCS(0))
			measure(b, b.N, func() { appendParallel(b, q, batches) })
			require.NoError(b, s.Close())
		})
	}
}

// BenchmarkThrough appends, fetches and settles at the same time.
func BenchmarkThrough(b *testing.B) {
	batches := benchBatches()
	s, q := openBench(b, b.TempDir(), queue.Options{RetainAge: time.Hour})
	b.SetParallelism(16)
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan struct{})
	for range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			for drainOnce(ctx, q) == nil {
			}
		}()
	}
	measure(b, b.N, func() {
		appendParallel(b, q, batches)
		for q.Ledger().Pending() > 0 {
			time.Sleep(time.Millisecond)
		}
	})
	stop()
	for range 4 {
		<-done
	}
	require.NoError(b, s.Close())
}

// drainOnce fetches some records and settles them as delivered in one commit.
func drainOnce(ctx context.Context, q *queue.Queue) error {
	records, err := q.Claim(ctx, queue.Limit{Events: 500, Bytes: 1 << 20})
	if err != nil {
		return err
	}
	var done queue.Settlement
	for _, r := range records {
		done.Delivered = append(done.Delivered, queue.Span{Seq: r.Seq, Last: r.Events[len(r.Events)-1].Index})
	}
	err = q.Settle(ctx, done)
	q.Release(records...)
	return err
}

// BenchmarkBacklog drains what was stored and closed before.
func BenchmarkBacklog(b *testing.B) {
	batches := benchBatches()
	dir := b.TempDir()
	s, q := openBench(b, dir, queue.Options{RetainAge: time.Hour})
	fill(b, q, batches, b.N)
	require.NoError(b, s.Close())
	s, q = openBench(b, dir, queue.Options{RetainAge: time.Hour})
	measure(b, b.N, func() {
		for q.Ledger().Pending() > 0 {
			require.NoError(b, drainOnce(b.Context(), q))
		}
	})
	require.NoError(b, s.Close())
}

// fill appends n batches from many senders and returns how many events a second
// that were.
func fill(tb testing.TB, q *queue.Queue, batches []queue.Batch, n int) float64 {
	begin := time.Now()
	var next atomic.Int64
	var senders errgroup.Group
	for range 32 {
		senders.Go(func() error {
			for next.Add(1) <= int64(n) {
				if err := appendOne(tb, q, batches); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(tb, senders.Wait())
	return float64(n*benchEvents) / time.Since(begin).Seconds()
}

// appendOne appends one of the batches with new ids.
func appendOne(tb testing.TB, q *queue.Queue, batches []queue.Batch) error {
	_, err := q.Append(tb.Context(), fresh(batches[rand.IntN(len(batches))]))
	return err
}

func appendParallel(b *testing.B, q *queue.Queue, batches []queue.Batch) {
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := appendOne(b, q, batches); err != nil {
				b.Error(err)
			}
		}
	})
}
