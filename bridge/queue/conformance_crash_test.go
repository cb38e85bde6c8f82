package queue_test

import (
	"fmt"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// appended is what an Append in another goroutine came to.
type appended struct {
	receipt queue.Receipt
	err     error
}

func (k *kit) appendLater(q *queue.Queue, ids ...string) <-chan appended {
	done := make(chan appended, 1)
	b := k.batch(ids...)
	go func() {
		receipt, err := q.Append(k.ctx, b)
		done <- appended{receipt, err}
	}()
	return done
}

// stall holds up the syncs until release is called, or the test is over.
func (k *kit) stall() (release func(fail bool)) {
	var once sync.Once
	free := k.site.Stall()
	release = func(fail bool) { once.Do(func() { free(fail) }) }
	k.Cleanup(func() { release(false) })
	return release
}

// underWay requires that none of the calls has come back.
func (k *kit) underWay(calls ...<-chan appended) {
	k.Helper()
	for _, c := range calls {
		select {
		case got := <-c:
			require.Fail(k, "Append came back before the sync", "%+v", got)
		case <-time.After(shortTimeout):
		}
	}
}

func (k *kit) answer(c <-chan appended) appended {
	k.Helper()
	select {
	case got := <-c:
		return got
	case <-time.After(longTimeout):
		require.Fail(k, "Append does not come back")
		return appended{}
	}
}

func nothingBeforeSync(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 1}, "0")
	k.deliver(q, k.fetchAll(q, 1)...)
	release := k.stall()
	first := k.appendLater(q, "1", "2")
	k.underWay(first)
	repeat := k.appendLater(q, "1")
	mixed := k.appendLater(q, "2", "3")
	k.underWay(first, repeat, mixed)
	k.count(q, 1, 0, 1, 0, 1, 0, 0, 0)
	k.nothingToFetch(q)
	release(false)
	require.Equal(k, appended{receipt: queue.Receipt{Accepted: 2}}, k.answer(first))
	require.Equal(k, appended{receipt: queue.Receipt{Duplicates: 1}}, k.answer(repeat))
	require.Equal(k, appended{receipt: queue.Receipt{Accepted: 1, Duplicates: 1}}, k.answer(mixed))
	k.count(q, 6, 2, 4, 0, 1, 0, 0, 3)
	r := k.fetchAll(q, 3)

	// An outcome counts when it is on disk, too.
	release = k.stall()
	settled := make(chan error, 1)
	go func() { settled <- q.Settle(k.ctx, delivered(r...)) }()
	select {
	case err := <-settled:
		require.Fail(k, "Settle came back before the sync", err)
	case <-time.After(shortTimeout):
	}
	k.count(q, 6, 2, 4, 0, 1, 0, 0, 3)
	release(false)
	require.NoError(k, <-settled)
	k.count(q, 6, 2, 4, 0, 4, 0, 0, 0)
	q.Release(r...)
}

func failedSync(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 1}, "0")
	r := k.fetchAll(q, 1)
	release := k.stall()
	first := k.appendLater(q, "1", "2")
	k.underWay(first)
	repeat := k.appendLater(q, "1")
	mixed := k.appendLater(q, "2", "3")
	k.underWay(first, repeat, mixed)
	release(true)
	for _, c := range []<-chan appended{first, repeat, mixed} {
		got := k.answer(c)
		require.ErrorIs(k, got.err, queue.ErrFailed)
		require.Zero(k, got.receipt)
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
	require.NoError(k, q.Settle(k.ctx, queue.Settlement{
		Delivered: []queue.Span{{Seq: r[2].Seq, First: 0, Last: 0}, {Seq: r[1].Seq, First: 1, Last: 1}},
		Dead:      []queue.DeadEvent{{Seq: r[0].Seq, Index: 0, Reason: "refused"}},
	}))
	before := k.balanced(q)
	q = k.crash("a", 0, 1)
	require.Equal(k, before, k.balanced(q))
	k.count(q, 7, 1, 6, 1, 2, 2, 0, 1)
	again := k.fetchAll(q, 1)
	require.Equal(k, []string{"3"}, k.idsOf(again...))
	require.Equal(k, r[1].Origin, again[0].Origin)
	k.add(q, queue.Receipt{Duplicates: 6}, "0", "1", "2", "3", "4", "5")
	letters, err := q.Letters(k.ctx, queue.LetterFilter{After: 0, Limit: 10})
	require.NoError(k, err)
	require.Len(k, letters, 2)
	require.Equal(k, []string{"2", "0"}, []string{k.idOf(letters[0].Event), k.idOf(letters[1].Event)})
	n, err := q.ReplayDead(k.ctx, 1, 2)
	require.NoError(k, err)
	require.Equal(k, 2, n)
	k.deliver(q, again...)
	q = k.crash("a", 0, 2)
	k.count(q, 13, 7, 6, 1, 3, 0, 0, 2)
	require.Equal(k, []string{"2", "0"}, k.idsOf(k.fetchAll(q, 2)...))
}

// powerCuts cuts the power again and again in the middle of work, with more or
// less of what was not synced on disk.
func powerCuts(k *kit) {
	for _, percent := range []int{0, 30, 100} {
		b := newBooks()
		rounds := uint64(2)
		if *long {
			rounds = 5
		}
		for round := range rounds {
			seed := uint64(percent)*100 + round
			k.Logf("%d %% of what was not synced survives, round %d", percent, round)
			newStorm(k, b, fmt.Sprint("storm-", percent), seed, percent).run()
		}
		require.NotEmpty(k, b.settled)
		require.NotEmpty(k, b.dead)
	}
}
