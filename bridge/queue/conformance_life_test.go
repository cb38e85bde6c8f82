package queue_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

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
	k.settle(q, r[7:], "d")
	k.count(q, 40, 0, 40, 0, 13, 0, 0, 27)
	want := slices.Concat(k.idsOf(r[2], r[6]), []string{"7b"}, k.idsOf(r[8:19]...))

	q = k.reopen("a") // what was handed out is pending again
	k.count(q, 40, 0, 40, 0, 13, 0, 0, 27)
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
	claim := later(func() ([]*queue.Record, error) { return q.Claim(k.ctx, everything) })
	underWay(k, claim)
	require.NoError(k, k.store.Close())
	require.NoError(k, k.store.Close())
	require.ErrorIs(k, answer(k, claim).err, queue.ErrClosed)
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
	_, err := k.site.open(k.T)
	require.ErrorIs(k, err, queue.ErrLocked)
	k.reopen("a")
}

func fullDisk(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 2}, "1", "2")
	r := k.fetchAll(q, 2)
	k.site.fill(true)
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
	k.settle(q, r, "dx")
	q.Release(r...)
	k.site.fill(false)
	k.eventually(func() bool {
		got, err := q.Append(k.ctx, k.batch(fmt.Sprint(n)))
		return err == nil && got.Accepted == 1
	}, "what was refused is new when there is room again")
	require.False(k, k.store.Usage().Full)
	k.count(q, uint64(n), 0, uint64(n), 0, 1, 1, 0, uint64(n-2))
}

// manyAtOnce lets senders, who repeat each other, and workers loose on one queue.
// Every event must be handed out to one worker at a time and settled once, and the
// ledger must balance at every moment.
func manyAtOnce(k *kit) {
	const senders, batches, size = 6, 60, 10
	k.window = senders * batches * size // so that no sender falls out of it
	q := k.open("a")
	send := func(sender int) error {
		return k.send(q, batches, size, func(b, i int) string { return fmt.Sprintf("%d-%d-%d", sender/2, b, (i+sender)%size) })
	}
	work := func(n int, _ []byte) byte { return "-xfdddd"[n%7] }
	counts := k.crowd(q, senders, send, work, func(ctx context.Context) error { return watch(ctx, q) })
	const distinct = senders / 2 * batches * size
	l := k.balanced(q)
	require.Equal(k, uint64(2*distinct), l.Received)
	require.Equal(k, uint64(distinct), l.Duplicates)
	require.Len(k, counts, distinct)
	after := k.reopen("a")
	require.Equal(k, l, k.balanced(after))
	k.nothingToFetch(after)
}

// crowd runs senders, and beside them four workers and what else there is, until all
// that was sent is settled. It returns how often each event was settled, which must be
// once.
func (k *kit) crowd(q *queue.Queue, senders int, send func(int) error, outcome func(int, []byte) byte,
	beside func(context.Context) error) map[string]int {
	ctx, stop := context.WithCancel(k.ctx)
	defer stop()
	var sending errgroup.Group
	for s := range senders {
		sending.Go(func() error { return send(s) })
	}
	working, ctx := errgroup.WithContext(ctx)
	seen := &ledgerOfIDs{counts: map[string]int{}, held: map[string]bool{}}
	for w := range 4 {
		working.Go(func() error { return k.work(ctx, q, w, seen, outcome) })
	}
	working.Go(func() error { return beside(ctx) })
	require.NoError(k, sending.Wait())
	k.eventually(func() bool { return q.Ledger().Pending() == 0 || ctx.Err() != nil }, "everything is settled")
	stop()
	require.NoError(k, working.Wait())
	for id, n := range seen.counts {
		require.Equal(k, 1, n, "event %s was settled %d times", id, n)
	}
	return seen.counts
}

// send appends batches of events with these ids.
func (k *kit) send(q *queue.Queue, batches, size int, id func(b, i int) string) error {
	for b := range batches {
		ids := make([]string, size)
		for i := range ids {
			ids[i] = id(b, i)
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

// work claims and settles. The outcome of an event is a letter, as settle has them,
// and depends on how many the worker has had.
func (k *kit) work(ctx context.Context, q *queue.Queue, n int, seen *ledgerOfIDs, outcome func(int, []byte) byte) error {
	for {
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
		outcomes := make([]string, len(records))
		for i, r := range records {
			row := bytes.Repeat([]byte("-"), r.Events[len(r.Events)-1].Index+1)
			for _, e := range r.Events {
				n++
				if row[e.Index] = outcome(n, e.Raw); row[e.Index] != '-' {
					seen.settled(k.idOf(e.Raw))
				}
			}
			outcomes[i] = string(row)
		}
		if err := q.Settle(k.ctx, settlement(records, outcomes...)); err != nil {
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
