package queue_test

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

func (k *kit) appendLater(q *queue.Queue, ids ...string) <-chan result[queue.Receipt] {
	b := k.batch(ids...)
	return later(func() (queue.Receipt, error) { return q.Append(k.ctx, b) })
}

// stall holds up the syncs until release is called, or the test is over.
func (k *kit) stall() (release func(fail bool)) {
	var once sync.Once
	free := k.site.disk.stall()
	release = func(fail bool) { once.Do(func() { free(fail) }) }
	k.Cleanup(func() { release(false) })
	return release
}

// stalledAppends holds up the syncs, and appends a batch, a repeat of its first event,
// and its second with a new one.
func (k *kit) stalledAppends(q *queue.Queue) (calls []<-chan result[queue.Receipt], release func(fail bool)) {
	release = k.stall()
	for _, ids := range [][]string{{"1", "2"}, {"1"}, {"2", "3"}} {
		calls = append(calls, k.appendLater(q, ids...))
		underWay(k, calls...) // so that they come in this order
	}
	return calls, release
}

func nothingBeforeSync(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 1}, "0")
	k.deliver(q, k.fetchAll(q, 1)...)
	calls, release := k.stalledAppends(q)
	k.count(q, 1, 0, 1, 0, 1, 0, 0, 0)
	k.nothingToFetch(q)
	release(false)
	for i, want := range []queue.Receipt{{Accepted: 2}, {Duplicates: 1}, {Accepted: 1, Duplicates: 1}} {
		require.Equal(k, result[queue.Receipt]{value: want}, answer(k, calls[i]))
	}
	k.count(q, 6, 2, 4, 0, 1, 0, 0, 3)
	r := k.fetchAll(q, 3)

	// An outcome counts when it is on disk, too.
	release = k.stall()
	settled := later(func() (any, error) { return nil, q.Settle(k.ctx, delivered(r...)) })
	underWay(k, settled)
	k.count(q, 6, 2, 4, 0, 1, 0, 0, 3)
	release(false)
	require.NoError(k, answer(k, settled).err)
	k.count(q, 6, 2, 4, 0, 4, 0, 0, 0)
	q.Release(r...)
}

func failedSync(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 1}, "0")
	r := k.fetchAll(q, 1)
	calls, release := k.stalledAppends(q)
	release(true)
	for _, c := range calls {
		got := answer(k, c)
		require.ErrorIs(k, got.err, queue.ErrFailed)
		require.Zero(k, got.value)
	}
	// Nothing is promised any more, and nothing of it shows.
	_, err := q.Append(k.ctx, k.batch("4"))
	require.ErrorIs(k, err, queue.ErrFailed)
	require.ErrorIs(k, q.Settle(k.ctx, delivered(r...)), queue.ErrFailed)
	_, err = q.Claim(k.ctx, everything)
	require.ErrorIs(k, err, queue.ErrFailed)
	require.ErrorIs(k, k.store.Usage().Err, queue.ErrFailed)
	k.count(q, 1, 0, 1, 0, 0, 0, 0, 1)
	q.Release(r...)

	// What did not reach the disk is no duplicate when it comes again.
	q = k.crash("a", 0, 1)
	k.count(q, 1, 0, 1, 0, 0, 0, 0, 1)
	k.add(q, queue.Receipt{Accepted: 4, Duplicates: 1}, "0", "1", "2", "3", "4")
	k.deliver(q, k.fetchAll(q, 5)...)
}

func powerCut(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 3, Filtered: 1, Dead: 1}, "0", "filtered:1", "dead:2")
	k.add(q, queue.Receipt{Accepted: 2, Duplicates: 1}, "0", "3", "4")
	k.add(q, queue.Receipt{Accepted: 1}, "5")
	r := k.fetchAll(q, 4)
	k.settle(q, r, "x", "-d", "d")
	before := k.balanced(q)
	q = k.crash("a", 0, 1)
	require.Equal(k, before, k.balanced(q))
	k.count(q, 7, 1, 6, 1, 2, 2, 0, 1)
	again := k.fetchAll(q, 1)
	require.Equal(k, []string{"3"}, k.idsOf(again...))
	require.Equal(k, r[1].Origin, again[0].Origin)
	k.add(q, queue.Receipt{Duplicates: 6}, "0", "1", "2", "3", "4", "5")
	k.letters(q, "2", "0")
	k.replayDead(q, 2, 1, 2)
	k.deliver(q, again...)
	q = k.crash("a", 0, 2)
	k.count(q, 13, 7, 6, 1, 3, 0, 0, 2)
	require.Equal(k, []string{"2", "0"}, k.idsOf(k.fetchAll(q, 2)...))
}

// powerCuts cuts the power again and again in the middle of work, with more or
// less of what was not synced on disk.
func powerCuts(k *kit) {
	for _, percent := range []int{0, 30, 100} {
		b := books{}
		rounds := uint64(2)
		if *long {
			rounds = 5
		}
		for round := range rounds {
			seed := uint64(percent)*100 + round
			k.Logf("%d %% of what was not synced survives, round %d", percent, round)
			newStorm(k, b, fmt.Sprint("storm-", percent), seed, percent).run()
		}
		for _, what := range []note{settled, dead} {
			require.True(k, slices.ContainsFunc(slices.Collect(maps.Values(b)), func(n note) bool { return n.has(what) }))
		}
	}
}
