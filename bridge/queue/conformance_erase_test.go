package queue_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// mine matches the events whose id begins with "my".
func mine(event []byte) bool { return bytes.HasPrefix(event, []byte(`{"id":"my`)) }

func isMine(id string) bool { return strings.HasPrefix(id, "my") }

func (k *kit) erase(q *queue.Queue, want queue.Erasure) {
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
	k.replayAll(q, "0")
	k.erase(q, queue.Erasure{Pending: 2})

	// What was handed out goes on as if nothing had been.
	require.Equal(k, []string{"my6", "7", "my8"}, k.idsOf(r[1]))
	k.settle(q, r[1:], "-d")
	q.Release(r[0], r[1])
	// An id that was erased is known still.
	k.add(q, queue.Receipt{Duplicates: 4}, "my1", "my2", "my3", "my6")
	q = k.reopen("a")
	k.add(q, queue.Receipt{Duplicates: 4}, "my1", "my2", "my3", "my6")
	again := k.fetchThese(q, "my8", "my9")
	require.Equal(k, 2, again[0].Events[0].Index, "an event keeps its index")
	require.Equal(k, r[1].Seq, again[0].Seq)
	k.deliver(q, again...)
	k.replayAll(q, "0", "7", "my8", "my9")
	k.erase(q, queue.Erasure{History: 2})
	for range 2 {
		k.replayAll(q, "0", "7")
		k.erase(q, queue.Erasure{})
		q = k.reopen("a")
	}
}

// A dead letter that was moved back is pending; what it came from is not. A call whose
// context has ended erases nothing.
func eraseApart(k *kit) {
	a, b := k.open("a"), k.open("b")
	for _, q := range []*queue.Queue{a, b} {
		k.add(q, queue.Receipt{Accepted: 3, Dead: 2}, "my1", "dead:my2", "dead:my3")
		k.deliver(q, k.fetchAll(q, 1)...)
	}
	k.replayDead(a, 1, 1)
	ctx, cancel := context.WithCancel(k.ctx)
	cancel()
	got, err := a.Erase(ctx, mine)
	require.ErrorIs(k, err, context.Canceled)
	require.Zero(k, got)
	k.replayAll(a, "my1")
	k.erase(a, queue.Erasure{History: 1, Dead: 1, Pending: 1})
	k.replayAll(a)
	k.replayAll(b, "my1")
	k.erase(b, queue.Erasure{History: 1, Dead: 2})

	r := k.fetchThese(a, "my2")
	k.settle(a, r, "x")
	a.Release(r...)
	k.erase(a, queue.Erasure{History: 1, Dead: 1})
	require.EqualValues(k, 2, a.Ledger().Purged)
}

// erasePowerCuts cuts the power in the middle of an Erase. The next one does
// the rest; no event of others' is touched.
func erasePowerCuts(k *kit) {
	const records = 200
	var others []string
	for i := range records {
		others = append(others, fmt.Sprint("other", i))
	}
	for round, percent := range []int{0, 30, 100} {
		q := k.open(fmt.Sprint(round))
		for i, other := range others {
			k.add(q, queue.Receipt{Accepted: 3, Dead: 1}, fmt.Sprint("my", i), other, fmt.Sprint("dead:my-", i))
		}
		k.deliver(q, k.fetchAll(q, 2*records)...)
		before := k.balanced(q)
		// The cut is somewhere in the records, in the letters, or after them.
		looks := 1 + round*records*5/4
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
		k.crash(percent, uint64(round))
		if err := answer(k, erased).err; err != nil {
			require.True(k, over(err), "%v", err)
		}
		q = k.open(fmt.Sprint(round))
		after := k.balanced(q)
		require.Equal(k, before.Dead, after.Dead+after.Purged, "round %d", round)
		left := k.replayed(q)
		require.Equal(k, others, slices.DeleteFunc(slices.Clone(left), isMine))
		got, err := q.Erase(k.ctx, mine)
		require.NoError(k, err)
		require.Equal(k, int(after.Dead), got.Dead)
		require.GreaterOrEqual(k, got.History, len(left)-len(others))
		k.replayAll(q, others...)
		k.letters(q)
		k.erase(q, queue.Erasure{})
	}
}
