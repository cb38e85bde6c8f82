package queue_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

func restart(k *kit) {
	q := k.open("a")
	for i := range 20 {
		k.add(q, queue.Receipt{Accepted: 2}, fmt.Sprint(i, "a"), fmt.Sprint(i, "b"))
	}
	r := k.fetchAll(q, 40)
	origins := map[string]string{}
	for _, rec := range r {
		origins[k.idsOf(rec)[0]] = rec.Origin
	}
	// Out of order, and one in part.
	k.deliver(q, r[3], r[5], r[4], r[19], r[0], r[1])
	require.NoError(k, q.Settle(k.ctx, queue.Settlement{Delivered: []queue.Span{{Seq: r[7].Seq, First: 0, Last: 0}}}))
	k.count(q, 40, 0, 40, 0, 13, 0, 0, 27)

	q = k.reopen("a") // what was handed out is pending again
	k.count(q, 40, 0, 40, 0, 13, 0, 0, 27)
	var want []string
	for i := range 20 {
		switch i {
		case 0, 1, 3, 4, 5, 19:
		case 7:
			want = append(want, "7b")
		default:
			want = append(want, fmt.Sprint(i, "a"), fmt.Sprint(i, "b"))
		}
	}
	r = k.fetchAll(q, 27)
	require.Equal(k, want, k.idsOf(r...))
	for _, rec := range r {
		if ids := k.idsOf(rec); len(ids) == 2 {
			require.Equal(k, origins[ids[0]], rec.Origin, "the origin is for ever")
		}
	}
	last := r[len(r)-1].Seq
	k.deliver(q, r...)
	q = k.reopen("a")
	k.count(q, 40, 0, 40, 0, 40, 0, 0, 0)
	k.nothingToFetch(q)
	k.add(q, queue.Receipt{Accepted: 1}, "new")
	r = k.fetchAll(q, 1)
	require.Greater(k, r[0].Seq, last, "a number is never used again")
	k.deliver(q, r...)
}

func closed(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 1}, "1")
	r := k.fetchAll(q, 1)
	require.NoError(k, k.store.Close())
	require.NoError(k, k.store.Close())
	_, err := q.Append(k.ctx, k.batch("2"))
	require.ErrorIs(k, err, queue.ErrClosed)
	_, err = q.Claim(k.ctx, everything)
	require.ErrorIs(k, err, queue.ErrClosed)
	require.ErrorIs(k, q.Settle(k.ctx, delivered(r...)), queue.ErrClosed)
	_, err = q.Letters(k.ctx, queue.LetterFilter{After: 0, Limit: 1})
	require.ErrorIs(k, err, queue.ErrClosed)
	_, err = q.ReplayDead(k.ctx, 1)
	require.ErrorIs(k, err, queue.ErrClosed)
	_, err = k.store.Queue(k.ctx, "b", window)
	require.ErrorIs(k, err, queue.ErrClosed)
	q.Release(r...)
	k.store = nil
	k.deliver(k.open("a"), k.fetchAll(k.open("a"), 1)...)
}

func locked(k *kit) {
	k.open("a")
	_, err := k.site.Open()
	require.ErrorIs(k, err, queue.ErrLocked)
	k.reopen("a")
}

func fullDisk(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 2}, "1", "2")
	r := k.fetchAll(q, 2)
	k.site.Fill(true)
	n := 2
	k.eventually(func() bool {
		n++
		_, err := q.Append(k.ctx, k.batch(fmt.Sprint(n)))
		if err != nil {
			require.ErrorIs(k, err, queue.ErrFull)
		}
		return err != nil
	}, "the store sees that the disk is full")
	require.True(k, k.store.Usage().Full)
	before := k.balanced(q)
	_, err := q.Append(k.ctx, k.batch(fmt.Sprint(n)))
	require.ErrorIs(k, err, queue.ErrFull)
	require.Equal(k, before, q.Ledger())
	// Delivery goes on.
	require.NoError(k, q.Settle(k.ctx, queue.Settlement{
		Delivered: []queue.Span{{Seq: r[0].Seq, First: 0, Last: 0}},
		Dead:      []queue.DeadEvent{{Seq: r[0].Seq, Index: 1, Reason: "refused"}},
	}))
	q.Release(r...)
	k.site.Fill(false)
	k.eventually(func() bool {
		got, err := q.Append(k.ctx, k.batch(fmt.Sprint(n)))
		return err == nil && got.Accepted == 1
	}, "what was refused is new when there is room again")
	require.False(k, k.store.Usage().Full)
	k.count(q, uint64(n), 0, uint64(n), 0, 1, 1, 0, uint64(n-2))
}

// manyAtOnce lets senders, some of whom repeat each other, and workers loose on
// one queue. Every event must be handed out to one worker at a time and settled
// once, and the ledger must balance at every moment.
func manyAtOnce(k *kit) {
	const senders, workers, batches, size = 6, 4, 60, 10
	k.window = senders * batches * size // so that no sender falls out of it
	q := k.open("a")
	ctx, stop := context.WithCancel(k.ctx)
	var sending, working sync.WaitGroup
	errs := make(chan error, senders+workers+1)
	for s := range senders {
		sending.Go(func() { errs <- k.send(q, s/2, s, batches, size) })
	}
	seen := &ledgerOfIDs{counts: map[string]int{}, held: map[string]bool{}}
	for w := range workers {
		working.Go(func() { errs <- k.work(ctx, q, w, seen) })
	}
	working.Go(func() { errs <- watch(ctx, q) })
	sending.Wait()
	const distinct = senders / 2 * batches * size
	k.eventually(func() bool { return q.Ledger().Pending() == 0 || len(errs) > senders }, "everything is settled")
	stop()
	working.Wait()
	close(errs)
	for err := range errs {
		require.NoError(k, err)
	}
	l := k.balanced(q)
	require.Equal(k, uint64(2*distinct), l.Received)
	require.Equal(k, uint64(distinct), l.Duplicates)
	require.Len(k, seen.counts, distinct)
	for id, n := range seen.counts {
		require.Equal(k, 1, n, "event %s was settled %d times", id, n)
	}
	after := k.reopen("a")
	require.Equal(k, l, k.balanced(after))
	k.nothingToFetch(after)
}

// send appends batches of the given stream; two senders of a stream send the same.
func (k *kit) send(q *queue.Queue, stream, sender, batches, size int) error {
	for b := range batches {
		ids := make([]string, size)
		for i := range ids {
			ids[i] = fmt.Sprintf("%d-%d-%d", stream, b, (i+sender)%size)
		}
		got, err := q.Append(k.ctx, k.batch(ids...))
		if err != nil {
			return err
		}
		if got.Accepted+got.Duplicates != size {
			return fmt.Errorf("receipt %+v for %d events", got, size)
		}
	}
	return nil
}

// ledgerOfIDs counts outcomes by id.
type ledgerOfIDs struct {
	mu     sync.Mutex
	counts map[string]int
	held   map[string]bool
}

func (l *ledgerOfIDs) hold(ids []string, on bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		if on && (l.held[id] || l.counts[id] > 0) {
			return fmt.Errorf("event %s is handed out twice", id)
		}
		l.held[id] = on
	}
	return nil
}

func (l *ledgerOfIDs) settled(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[id]++
}

// work fetches and settles; now and then only a part, and sometimes nothing.
func (k *kit) work(ctx context.Context, q *queue.Queue, worker int, seen *ledgerOfIDs) error {
	for turn := worker; ; turn++ {
		records, err := q.Claim(ctx, queue.Limit{Events: 25, Bytes: 1 << 20})
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		ids := k.idsOf(records...)
		if err := seen.hold(ids, true); err != nil {
			return err
		}
		var s queue.Settlement
		for i, e := range delivered(records...).Delivered {
			switch (turn + i) % 7 {
			case 0:
				continue
			case 1:
				s.Dead = append(s.Dead, queue.DeadEvent{Seq: e.Seq, Index: e.First, Reason: "refused"})
			case 2:
				s.Filtered = append(s.Filtered, e)
			default:
				s.Delivered = append(s.Delivered, e)
			}
			seen.settled(ids[i])
		}
		if err := q.Settle(k.ctx, s); err != nil {
			return err
		}
		if err := seen.hold(ids, false); err != nil {
			return err
		}
		q.Release(records...)
	}
}

// watch checks the ledger all the time.
func watch(ctx context.Context, q *queue.Queue) error {
	tick := time.NewTicker(100 * time.Microsecond)
	defer tick.Stop()
	for {
		if err := imbalance(q.Ledger()); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
