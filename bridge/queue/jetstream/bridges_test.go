package jetstream

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/natstest"
)

func TestBridgesShareTheWork(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	_, a := bridge(t, calm(t, srv))
	_, b := bridge(t, calm(t, srv))
	for i := range 40 {
		add(t, a, queue.Receipt{Accepted: 2}, fmt.Sprint(i, "x"), fmt.Sprint(i, "y"))
	}
	one := queue.Limit{Events: 20, Bytes: 1 << 20}
	first, err := a.Fetch(t.Context(), one)
	require.NoError(t, err)
	second, err := b.Fetch(t.Context(), one)
	require.NoError(t, err)
	seen := map[uint64]bool{}
	for _, r := range append(first, second...) {
		require.False(t, seen[r.Seq], "two bridges have the same record")
		seen[r.Seq] = true
	}
	deliver(t, a, first...)
	deliver(t, b, second...)
	c := &tally{counts: map[string]int{}}
	ctx, stop := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	for _, q := range []*connQueue{a, b} {
		workers.Go(func() { work(ctx, q, c) })
	}
	eventually(t, func() bool { return b.Ledger().Pending() == 0 }, "everything is delivered")
	stop()
	workers.Wait()
	l := agree(t, a, b)
	require.Equal(t, queue.Ledger{Received: 80, Accepted: 80, Delivered: 80}, l)
}

// A bridge dies with records in hand, one of them settled in part.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	dying, a := bridge(t, quick(t, srv))
	_, b := bridge(t, quick(t, srv))
	add(t, a, queue.Receipt{Accepted: 3}, "0", "1", "2")
	add(t, a, queue.Receipt{Accepted: 1}, "3")
	records := fetch(t, a, 4)
	require.NoError(t, a.Settle(t.Context(), queue.Settlement{
		Delivered: []queue.Span{{Seq: records[0].Seq, First: 1, Last: 1}},
		Dead:      []queue.DeadEvent{{Seq: records[0].Seq, Index: 2, Reason: "refused"}},
	}))
	// While it lives, nobody else gets them, however long it takes. That cannot be
	// seen where this process stands still.
	still := stalls(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	early, err := b.Fetch(ctx, all)
	cancel()
	if still() < time.Second {
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	b.Release(early...)

	died := time.Now()
	dying.kill()
	got := fetch(t, b, 2)
	t.Logf("taken over after %s", time.Since(died).Round(100*time.Millisecond))
	require.Equal(t, []string{"0", "3"}, []string{idIn(got[0].Events[0].Raw), idIn(got[1].Events[0].Raw)})
	require.Equal(t, records[0].Origin, got[0].Origin)
	deliver(t, b, got...)
	l := agree(t, b)
	require.Equal(t, queue.Ledger{Received: 4, Accepted: 4, Delivered: 3, Dead: 1}, l)
	letters, err := b.Dead(t.Context(), 0, 10)
	require.NoError(t, err)
	require.Len(t, letters, 1)
	require.Equal(t, "2", idIn(letters[0].Event))
}

// A bridge that closes gives back what it holds at once.
func TestClosingGivesBack(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	opts := quick(t, srv)
	opts.AckWait = time.Hour
	s, a := bridge(t, opts)
	_, b := bridge(t, opts)
	add(t, a, queue.Receipt{Accepted: 2}, "0", "1")
	fetch(t, a, 2)
	require.NoError(t, s.Close())
	deliver(t, b, fetch(t, b, 2)...)
}

// Two bridges have the same record in hand, because one was taken for dead. Each
// event counts once, as what was stored first.
func TestTwoBridgesSettleTheSame(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	opts := quick(t, srv)
	_, a := bridge(t, opts)
	_, b := bridge(t, opts)
	add(t, a, queue.Receipt{Accepted: 4}, "0", "1", "2", "3")
	mine := fetch(t, a, 4)
	a.mu.Lock() // as if this process stood still
	l := a.held[mine[0].Seq]
	replies := l.replies
	l.replies = nil
	a.mu.Unlock()
	theirs := fetch(t, b, 4)
	seq := mine[0].Seq
	require.NoError(t, b.Settle(t.Context(), queue.Settlement{
		Delivered: []queue.Span{{Seq: seq, First: 0, Last: 1}},
		Filtered:  []queue.Span{{Seq: seq, First: 2, Last: 2}},
	}))
	a.mu.Lock()
	l.replies = replies
	a.mu.Unlock()
	require.NoError(t, a.Settle(t.Context(), queue.Settlement{
		Delivered: []queue.Span{{Seq: seq, First: 2, Last: 2}},
		Dead:      []queue.DeadEvent{{Seq: seq, Index: 0, Reason: "late"}, {Seq: seq, Index: 3, Reason: "refused"}, {Seq: seq, Index: 1, Reason: "late"}},
	}))
	require.NoError(t, b.Settle(t.Context(), queue.Settlement{Delivered: []queue.Span{{Seq: seq, First: 3, Last: 3}}}))
	a.Release(mine...)
	b.Release(theirs...)
	require.Equal(t, queue.Ledger{Received: 4, Accepted: 4, Delivered: 2, Filtered: 1, Dead: 1}, agree(t, a, b))
	for _, q := range []*connQueue{a, b} {
		letters, err := q.Dead(t.Context(), 0, 10)
		require.NoError(t, err)
		require.Len(t, letters, 1, "letters of events that did not die are none")
		require.Equal(t, "3", idIn(letters[0].Event))
	}
	// Both write letters: no number comes twice.
	for i := range 10 {
		for _, q := range []*connQueue{a, b} {
			batch := batchOf(20, fmt.Sprintf("dead-%p-%d", q, i))
			batch.Items[0].Fate, batch.Items[0].Reason = queue.Dead, "no_identity"
			_, err := q.Append(t.Context(), batch)
			require.NoError(t, err)
		}
	}
	require.Equal(t, uint64(21), agree(t, a, b).Dead)
	letters, err := a.Dead(t.Context(), 0, 100)
	require.NoError(t, err)
	require.Len(t, letters, 21)
	n, err := a.PurgeDead(t.Context(), letters[0].Number, letters[1].Number)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.NoError(t, b.sync(t.Context()))
	n, err = b.ReplayDead(t.Context(), letters[1].Number, letters[2].Number)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, queue.Ledger{Received: 24, Accepted: 24, Delivered: 2, Filtered: 1, Dead: 18, Purged: 2, OldestPending: time.Unix(1_700_000_000, 0)}, agree(t, a, b))
}

// The same batch sent to another bridge is stored once, while the stream's
// duplicate window lasts.
func TestSameBatchToTwoBridges(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	_, a := bridge(t, calm(t, srv))
	_, b := bridge(t, calm(t, srv))
	add(t, a, queue.Receipt{Accepted: 3}, "0", "1", "2")
	add(t, b, queue.Receipt{Duplicates: 3}, "0", "1", "2")
	require.Equal(t, queue.Ledger{Received: 6, Duplicates: 3, Accepted: 3, OldestPending: time.Unix(1_700_000_000, 0)}, agree(t, a, b))
	add(t, b, queue.Receipt{Duplicates: 2}, "2", "0") // and its ids are known from now on
	// What has no id may be meant twice.
	for _, q := range []*connQueue{a, b} {
		batch := batchOf(20, "none")
		batch.Items[0].ID = queue.Hash{}
		got, err := q.Append(t.Context(), batch)
		require.NoError(t, err)
		require.Equal(t, queue.Receipt{Accepted: 1}, got)
	}
	require.Equal(t, uint64(5), agree(t, a, b).Pending())
	deliver(t, b, fetch(t, b, 5)...)
}

// A bridge that has read nothing for a while comes to the same totals, though
// others have deleted what it missed.
func TestABridgeThatFellBehind(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	opts := calm(t, srv)
	opts.RetainAge = 0
	_, a := bridge(t, opts)
	opts.every = time.Hour // else it would see by itself that nothing comes
	_, b := bridge(t, opts)
	b.stopReading()
	for i := range 30 {
		add(t, a, queue.Receipt{Accepted: 2}, fmt.Sprint(i, "x"), fmt.Sprint(i, "y"))
		r := fetch(t, a, 2)
		require.NoError(t, a.Settle(t.Context(), queue.Settlement{Delivered: []queue.Span{{Seq: r[0].Seq, First: 0, Last: i % 2}}}))
		if i%2 == 1 {
			a.Release(r...)
		}
		if i%10 == 5 {
			a.tidyMu.Lock()
			a.tidy(t.Context())
			a.tidyMu.Unlock()
		}
	}
	require.NoError(t, b.follow(t.Context()))
	l := agree(t, a, b)
	require.Equal(t, uint64(45), l.Delivered)
	require.Equal(t, uint64(15), l.Pending())
	b.fold.mu.Lock()
	defer b.fold.mu.Unlock()
	a.fold.mu.Lock()
	defer a.fold.mu.Unlock()
	require.Equal(t, a.fold.totals.encode(), b.fold.totals.encode())
}

// Where the reading of the stream comes to a halt, it is made anew.
func TestReadingThatHaltsIsMadeAnew(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	_, a := bridge(t, quick(t, srv))
	_, b := bridge(t, quick(t, srv))
	for i := range 2 {
		b.tail.mu.Lock()
		b.tail.reader.Stop() // as if the library had lost it for good
		b.tail.mu.Unlock()
		add(t, a, queue.Receipt{Accepted: 1}, fmt.Sprint(i))
		eventually(t, func() bool { return b.Ledger().Accepted == uint64(i+1) }, "the other bridge sees it")
	}
	deliver(t, b, fetch(t, b, 2)...)
	agree(t, a, b)
}

// Of several bridges one works on a replay, and another one when that is gone.
// Where this process stands still for so long that a bridge is taken for dead, that
// cannot be seen, and it begins anew.
func TestReplayOfOneBridge(t *testing.T) {
	t.Parallel()
	for range 10 {
		if replayedByOne(t) {
			return
		}
	}
	t.Fatal("this process stood still in each of ten tries")
}

func replayedByOne(t *testing.T) (seen bool) {
	srv := natstest.Start(t)
	s, a := bridge(t, quick(t, srv))
	_, b := bridge(t, quick(t, srv))
	add(t, a, queue.Receipt{Accepted: 1}, "0")
	add(t, a, queue.Receipt{Accepted: 1}, "1")
	deliver(t, a, fetch(t, a, 2)...)
	r, err := a.StartReplay(t.Context(), queue.ReplayOrder{})
	require.NoError(t, err)
	_, err = b.StartReplay(t.Context(), queue.ReplayOrder{})
	require.ErrorIs(t, err, queue.ErrReplaying)
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second) // longer than a bridge may be silent
	defer cancel()
	still := stalls(t)
	if _, _, err = b.FetchReplay(ctx, all); still() > time.Second {
		return false
	}
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, records, err := a.FetchReplay(t.Context(), queue.Limit{Events: 1, Bytes: 1})
	require.NoError(t, err)
	require.Len(t, records, 1)
	require.NoError(t, a.SettleReplay(t.Context(), queue.ReplayProgress{Number: r.Number, Next: records[0].Seq + 1, Replayed: 1}))
	s.kill()
	ctx, cancel = context.WithTimeout(t.Context(), patient)
	defer cancel()
	now, records, err := b.FetchReplay(ctx, all)
	require.NoError(t, err)
	require.Equal(t, uint64(1), now.Replayed)
	require.Len(t, records, 1)
	require.Equal(t, "1", idIn(records[0].Events[0].Raw))
	require.NoError(t, b.SettleReplay(t.Context(), queue.ReplayProgress{Number: r.Number, Next: records[0].Seq + 1, Replayed: 1, End: true}))
	require.Equal(t, uint64(2), agree(t, b).Replayed)
	return true
}
