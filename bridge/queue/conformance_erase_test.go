package queue_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// mine matches the events whose id begins with "my".
func mine(event []byte) bool { return bytes.HasPrefix(event, []byte(`{"id":"my`)) }

func (k *kit) erase(q *queue.Queue, want queue.Erasure) {
	k.Helper()
	ctx, cancel := context.WithTimeout(k.ctx, longTimeout)
	defer cancel()
	got, err := q.Erase(ctx, mine)
	require.NoError(k, err)
	require.Equal(k, want, got)
}

func eraseHistory(k *kit) {
	q := k.open("a")
	k.erase(q, queue.Erasure{})
	k.add(q, queue.Receipt{Accepted: 6, Filtered: 1, Dead: 1}, "0", "my1", "filtered:my2", "dead:my3", "my4", "my5")
	k.add(q, queue.Receipt{Accepted: 3, Duplicates: 1}, "my6", "7", "my1", "my8")
	k.add(q, queue.Receipt{Accepted: 2, Dead: 1}, "my9", "dead:10")
	r := k.fetchAll(q, 8)
	k.settle(q, r, "ddfx", "d")
	// One record is done, one handed out with some events left, one is pending.
	q.Release(r[2])
	before := k.balanced(q)
	// 1, 4, 5 and 6 are in history, 8 and 9 pending; 3 and 5 are letters.
	k.erase(q, queue.Erasure{History: 4, Dead: 2, Pending: 2})
	after := k.balanced(q)
	before.Dead, before.Purged = before.Dead-2, before.Purged+2
	require.Equal(k, before, after, "letters count as purged, all else stays")
	k.letters(q, "10")
	require.Equal(k, []string{"0"}, k.replayAll(q))
	k.erase(q, queue.Erasure{Pending: 2})

	// What was handed out goes on as if nothing had been.
	require.Equal(k, []string{"my6", "7", "my8"}, k.idsOf(r[1]))
	k.settle(q, r[1:], "-d")
	q.Release(r[0], r[1])
	// An id that was erased is known still.
	k.add(q, queue.Receipt{Duplicates: 4}, "my1", "my2", "my3", "my6")
	q = k.reopen("a")
	k.add(q, queue.Receipt{Duplicates: 4}, "my1", "my2", "my3", "my6")
	again := k.fetchAll(q, 2)
	require.Equal(k, []string{"my8", "my9"}, k.idsOf(again...))
	require.Equal(k, 2, again[0].Events[0].Index, "an event keeps its index")
	require.Equal(k, r[1].Seq, again[0].Seq)
	k.deliver(q, again...)
	require.Equal(k, []string{"0", "7", "my8", "my9"}, k.replayAll(q))
	k.erase(q, queue.Erasure{History: 2})
	require.Equal(k, []string{"0", "7"}, k.replayAll(q))
	q = k.reopen("a")
	require.Equal(k, []string{"0", "7"}, k.replayAll(q))
	k.erase(q, queue.Erasure{})
}

// A dead letter that was moved back is pending; what it came from is not.
func eraseRevived(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 2, Dead: 2}, "dead:my1", "dead:my2")
	k.replayDead(q, 1, 1)
	k.erase(q, queue.Erasure{Dead: 1, Pending: 1})
	r := k.fetchAll(q, 1)
	require.Equal(k, []string{"my1"}, k.idsOf(r...))
	k.settle(q, r, "x")
	q.Release(r...)
	k.erase(q, queue.Erasure{History: 1, Dead: 1})
	k.count(q, 2, 0, 2, 0, 0, 0, 2, 0)
}

func eraseApart(k *kit) {
	a, b := k.open("a"), k.open("b")
	for _, q := range []*queue.Queue{a, b} {
		k.add(q, queue.Receipt{Accepted: 2, Dead: 1}, "my1", "dead:my2")
		k.deliver(q, k.fetchAll(q, 1)...)
	}
	k.erase(a, queue.Erasure{History: 1, Dead: 1})
	require.Empty(k, k.replayAll(a))
	require.Equal(k, []string{"my1"}, k.replayAll(b))
	k.erase(b, queue.Erasure{History: 1, Dead: 1})
}

func eraseStops(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 2}, "my1", "my2")
	k.deliver(q, k.fetchAll(q, 2)...)
	ctx, cancel := context.WithCancel(k.ctx)
	cancel()
	got, err := q.Erase(ctx, mine)
	require.ErrorIs(k, err, context.Canceled)
	require.Zero(k, got)
	require.Equal(k, []string{"my1", "my2"}, k.replayAll(q))
	k.erase(q, queue.Erasure{History: 2})
}

// erasePowerCuts cuts the power in the middle of an Erase. The next one does
// the rest; no event of others' is touched.
func erasePowerCuts(k *kit) {
	records, percents := 300, []int{0, 30, 100}
	if *long {
		records, percents = 700, []int{0, 30, 100, 0, 30, 100}
	}
	for round, percent := range percents {
		name := fmt.Sprint("round", round)
		q := k.open(name)
		var others []string
		for i := range records {
			other := fmt.Sprint("other", i)
			others = append(others, other)
			k.add(q, queue.Receipt{Accepted: 3, Dead: 1}, fmt.Sprint("my", i), other, fmt.Sprint("dead:my-", i))
		}
		k.deliver(q, k.fetchAll(q, 2*records)...)
		before := k.balanced(q)

		// The cut is somewhere in the records, in the letters, or after them.
		q = k.cutErase(q, name, percent, uint64(round), int64(1+round*records*3/4))
		after := k.balanced(q)
		require.Equal(k, before.Dead, after.Dead+after.Purged, "round %d", round)
		left := k.replayAll(q)
		require.Equal(k, others, slices.DeleteFunc(slices.Clone(left), func(id string) bool {
			return strings.HasPrefix(id, "my")
		}))
		got, err := q.Erase(k.ctx, mine)
		require.NoError(k, err)
		require.Equal(k, int(after.Dead), got.Dead)
		require.GreaterOrEqual(k, got.History, len(left)-len(others))
		require.Equal(k, others, k.replayAll(q))
		k.letters(q)
		k.erase(q, queue.Erasure{})
	}
}

// cutErase cuts the power when so many events were looked at, or at the end.
func (k *kit) cutErase(q *queue.Queue, name string, percent int, seed uint64, looks int64) *queue.Queue {
	reached := make(chan struct{})
	end := sync.OnceFunc(func() { close(reached) })
	erased := later(func() (queue.Erasure, error) {
		defer end()
		return q.Erase(k.ctx, func(event []byte) bool {
			if looks--; looks == 0 {
				end()
			}
			return mine(event)
		})
	})
	<-reached
	q = k.crash(name, percent, seed)
	if err := answer(k, erased).err; err != nil {
		require.True(k, over(err), "%v", err)
	}
	return q
}

// eraseAtWork erases again and again while events come and are settled. No
// event of others' may be missing or another one afterwards.
func eraseAtWork(k *kit) {
	const senders, batches, size = 3, 60, 6
	k.window = senders * batches * size
	q := k.open("a")
	send := func(sender int) error { // every second event is to be erased
		return k.send(q, batches, size, func(b, i int) string {
			return fmt.Sprintf("%s-%d-%d-%d", []string{"my", "other"}[i%2], sender, b, i)
		})
	}
	work := func(n int, event []byte) byte {
		if mine(event) {
			return "-xfdddd"[n%7]
		}
		return "-dddddd"[n%7]
	}
	counts := k.crowd(q, senders, send, work, func(ctx context.Context) (err error) {
		for ctx.Err() == nil && err == nil {
			_, err = q.Erase(ctx, mine)
		}
		if ctx.Err() != nil {
			return nil
		}
		return err
	})
	k.balanced(q)
	_, err := q.Erase(k.ctx, mine)
	require.NoError(k, err)
	maps.DeleteFunc(counts, func(id string, _ int) bool { return strings.HasPrefix(id, "my") })
	require.Len(k, counts, senders*batches*size/2)
	require.ElementsMatch(k, slices.Collect(maps.Keys(counts)), k.replayAll(q))
	k.letters(q)
	k.erase(q, queue.Erasure{})
}
