package queue_test

import (
	"fmt"
	"slices"
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
	// Out of order, and one in part.
	k.deliver(q, r[3], r[5], r[4], r[19], r[0], r[1])
	k.settle(q, r[7:], "d")
	k.count(q, 40, 0, 40, 0, 13, 0, 0, 27)
	left := slices.Concat(r[2:3], r[6:19])
	want := slices.Delete(k.idsOf(left...), 4, 5) // which was 7a

	q = k.reopen("a") // what was handed out is pending again
	k.count(q, 40, 0, 40, 0, 13, 0, 0, 27)
	again := k.fetchThese(q, want...)
	for i, rec := range again {
		require.Equal(k, left[i].Origin, rec.Origin, "the origin is for ever")
	}
	k.deliver(q, again...)
	q = k.reopen("a")
	k.count(q, 40, 0, 40, 0, 40, 0, 0, 0)
	k.nothingToFetch(q)
	k.add(q, queue.Receipt{Accepted: 1, Duplicates: 1}, "new", "7a")
	last := k.fetchAll(q, 1)
	require.Greater(k, last[0].Seq, left[len(left)-1].Seq, "a number is never used again")
	k.deliver(q, last...)
}

func closed(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 1}, "1")
	r := k.fetchAll(q, 1)
	claim := later(func() ([]*queue.Record, error) { return q.Claim(k.ctx, everything) })
	replay := k.fetchReplayLater(q)
	underWay(k, claim)
	underWay(k, replay)
	require.NoError(k, k.store.Close())
	require.NoError(k, k.store.Close())
	for i, err := range []error{
		errOf(replayOf(q)(k.ctx)), answer(k, claim).err, answer(k, replay).err,
		errOf(q.Append(k.ctx, k.batch("2"))), errOf(q.Claim(k.ctx, everything)),
		q.Settle(k.ctx, delivered(r...)), errOf(q.Letters(k.ctx, queue.LetterFilter{})), errOf(q.ReplayDead(k.ctx, 1)),
		errOf(k.store.Queue(k.ctx, "b", window)), errOf(q.StartReplay(k.ctx, queue.ReplayOrder{})), errOf(q.Replay(k.ctx)),
		q.EndReplay(k.ctx, 1), q.SettleReplay(k.ctx, queue.ReplayProgress{Number: 1}), errOf(q.Erase(k.ctx, mine)),
	} {
		require.ErrorIs(k, err, queue.ErrClosed, i)
	}
	q.Release(r...)
	k.store = nil
	k.deliver(k.open("a"), k.fetchAll(k.open("a"), 1)...)
}

func locked(k *kit) {
	k.open("a")
	require.ErrorIs(k, errOf(k.openStore()), queue.ErrLocked)
	k.reopen("a")
}

func fullDisk(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 2}, "1", "2")
	r := k.fetchAll(q, 2)
	k.full.Store(true)
	n := 2
	k.eventually(func() bool {
		n++
		err := errOf(q.Append(k.ctx, k.batch(fmt.Sprint(n))))
		if err != nil {
			require.ErrorIs(k, err, queue.ErrFull)
		}
		return err != nil
	}, "the store sees that the disk is full")
	require.True(k, k.store.Usage().Full)
	before := k.balanced(q)
	require.ErrorIs(k, errOf(q.Append(k.ctx, k.batch(fmt.Sprint(n)))), queue.ErrFull)
	require.Equal(k, before, q.Ledger())
	// Delivery goes on.
	k.settle(q, r, "dx")
	q.Release(r...)
	k.full.Store(false)
	k.eventually(func() bool {
		got, err := q.Append(k.ctx, k.batch(fmt.Sprint(n)))
		return err == nil && got.Accepted == 1
	}, "what was refused is new when there is room again")
	require.False(k, k.store.Usage().Full)
	k.count(q, uint64(n), 0, uint64(n), 0, 1, 1, 0, uint64(n-2))
}

// manyAtOnce lets senders, who repeat each other, and workers loose on one queue, from
// which half of the events are erased again and again. Every event must be handed out to
// one worker at a time and settled once, and the ledger must balance at every moment. Of
// the events of others none may be missing afterwards.
func manyAtOnce(k *kit) {
	const senders, batches, size, distinct = 6, 60, 10, 3 * 60 * 10
	c := newCrowd(k, "a", batches, size)
	c.id = func(sender, b, i int) string {
		n := (i + sender) % size
		return fmt.Sprintf("%s-%d-%d-%d", []string{"my", "other"}[n%2], sender/2, b, n)
	}
	c.outcome = func(n int, event []byte) byte {
		if mine(event) {
			return "-xfdddd"[n%7]
		}
		return "-dddddd"[n%7]
	}
	beside := []func() error{func() error {
		time.Sleep(100 * time.Microsecond) // a pause
		return imbalance(c.q.Ledger())
	}}
	kept := k.opts.RetainAge > 0
	if kept {
		beside = append(beside, func() error {
			time.Sleep(time.Millisecond) // a pause
			return errOf(c.q.Erase(k.ctx, mine))
		})
	}
	c.run(senders, beside...)
	l := k.balanced(c.q)
	require.Equal(k, []uint64{2 * distinct, distinct}, []uint64{l.Received, l.Duplicates})
	require.Len(k, c.books, distinct)
	if kept {
		require.NoError(k, errOf(c.q.Erase(k.ctx, mine)))
		k.erase(c.q, queue.Erasure{})
		k.letters(c.q)
		left := k.replayed(c.q)
		require.Len(k, slices.Compact(slices.Sorted(slices.Values(left))), distinct/2)
		require.Len(k, slices.DeleteFunc(left, isMine), distinct/2)
		l = k.balanced(c.q)
	}
	after := k.reopen("a")
	require.Equal(k, l, k.balanced(after))
	k.nothingToFetch(after)
}
