package queue_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

func settleSeveral(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 2}, "1", "2")
	k.add(q, queue.Receipt{Accepted: 3}, "3", "4", "5")
	k.add(q, queue.Receipt{Accepted: 1}, "6")
	r := k.fetchAll(q, 6)
	k.settle(q, r, "dd", "fxf", "d")
	q.Release(r...)
	k.count(q, 6, 0, 6, 2, 3, 1, 0, 0)
	k.nothingToFetch(q)
	require.NoError(k, q.Settle(k.ctx, queue.Settlement{}))
	q = k.reopen("a")
	k.count(q, 6, 0, 6, 2, 3, 1, 0, 0)
	k.nothingToFetch(q)
}

func settleInParts(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 5}, "0", "1", "2", "3", "4")
	k.add(q, queue.Receipt{Accepted: 1}, "5")
	r := k.fetchAll(q, 6)
	k.settle(q, r, "-dd")
	k.count(q, 6, 0, 6, 0, 2, 0, 0, 4)
	k.nothingToFetch(q)
	q.Release(r...)
	again := k.fetchAll(q, 4)
	require.Equal(k, []string{"0", "3", "4", "5"}, k.idsOf(again...))
	require.Equal(k, 3, again[0].Events[1].Index, "an event keeps its index")
	require.Equal(k, r[0].Origin, again[0].Origin)
	k.settle(q, again, "----x")
	k.count(q, 6, 0, 6, 0, 2, 1, 0, 3)

	q = k.reopen("a")
	k.count(q, 6, 0, 6, 0, 2, 1, 0, 3)
	k.letters(q, "4")
	last := k.fetchAll(q, 3)
	require.Equal(k, []string{"0", "3", "5"}, k.idsOf(last...))
	k.deliver(q, last...)
	k.count(q, 6, 0, 6, 0, 5, 1, 0, 0)
	q = k.reopen("a")
	k.count(q, 6, 0, 6, 0, 5, 1, 0, 0)
	k.nothingToFetch(q)
}

func settleTwice(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 3}, "0", "1", "2")
	r := k.fetchAll(q, 3)
	seq := r[0].Seq
	for range 2 {
		require.NoError(k, q.Settle(k.ctx, queue.Settlement{
			Delivered: []queue.Span{{Seq: seq, First: 0, Last: 0}, {Seq: seq, First: 0, Last: 1}},
			Filtered:  []queue.Span{{Seq: seq, First: 1, Last: 1}},
			Dead:      []queue.DeadEvent{{Seq: seq, Index: 0, Reason: "refused"}},
		}))
		k.count(q, 3, 0, 3, 0, 2, 0, 0, 1)
	}
	for range 2 {
		require.NoError(k, q.Settle(k.ctx, queue.Settlement{Delivered: []queue.Span{{Seq: seq, First: 0, Last: 2}}}))
		k.count(q, 3, 0, 3, 0, 3, 0, 0, 0)
	}
	q.Release(r...)
	k.nothingToFetch(q)
}

func settleNotHeld(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 2}, "0", "1")
	k.add(q, queue.Receipt{Accepted: 1}, "2")
	r := k.fetch(q, queue.Limit{Events: 2, Bytes: 1 << 20})
	seq := r[0].Seq
	good := queue.Span{Seq: seq, First: 0, Last: 0}
	for _, s := range []queue.Settlement{
		{Delivered: []queue.Span{good, {Seq: seq, First: 1, Last: 2}}},
		{Delivered: []queue.Span{good, {Seq: seq, First: 1, Last: 0}}},
		{Delivered: []queue.Span{good, {Seq: seq, First: -1, Last: 0}}},
		{Delivered: []queue.Span{good, {Seq: seq + 1, First: 0, Last: 0}}},
		{Delivered: []queue.Span{good}, Filtered: []queue.Span{{Seq: 77, First: 0, Last: 0}}},
		{Delivered: []queue.Span{good}, Dead: []queue.DeadEvent{{Seq: 0, Index: 0}}},
		{Delivered: []queue.Span{good}, Dead: []queue.DeadEvent{{Seq: seq, Index: 2}}},
	} {
		require.ErrorIs(k, q.Settle(k.ctx, s), queue.ErrNotHeld)
		k.count(q, 3, 0, 3, 0, 0, 0, 0, 3)
	}
	q.Release(r...)
	require.ErrorIs(k, q.Settle(k.ctx, queue.Settlement{Delivered: []queue.Span{good}}), queue.ErrNotHeld)
	k.deliver(q, k.fetchAll(q, 3)...)
}

func fatesAtOnce(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 5, Filtered: 2, Dead: 1}, "0", "filtered:1", "filtered:2", "3", "dead:4")
	k.count(q, 5, 0, 5, 2, 0, 1, 0, 2)
	// A batch with nothing to deliver never shows up.
	k.add(q, queue.Receipt{Accepted: 2, Filtered: 1, Dead: 1}, "filtered:5", "dead:6")
	k.add(q, queue.Receipt{Accepted: 1}, "7")
	k.count(q, 8, 0, 8, 3, 0, 2, 0, 3)
	// Their ids count like all others.
	k.add(q, queue.Receipt{Duplicates: 3}, "1", "4", "filtered:6")

	q = k.reopen("a")
	k.count(q, 11, 3, 8, 3, 0, 2, 0, 3)
	r := k.fetchAll(q, 3)
	require.Len(k, r, 2)
	require.Equal(k, []string{"0", "3", "7"}, k.idsOf(r...))
	require.Equal(k, 1, r[0].Events[1].Index, "an index counts what is stored to be delivered")
	k.settle(q, r, "dd")
	k.count(q, 11, 3, 8, 3, 2, 2, 0, 1)
	k.deliver(q, r...)

	for _, l := range k.letters(q, "4", "6") {
		require.Equal(k, "no_identity", l.Reason)
		require.Zero(k, l.Status)
		require.True(k, l.ReceivedAt.Equal(k.clock))
		require.False(k, l.DiedAt.IsZero())
	}
}

func deadLetters(k *kit) {
	q := k.open("a")
	k.letters(q)
	k.add(q, queue.Receipt{Accepted: 3}, "0", "1", "2")
	r := k.fetchAll(q, 3)
	before := time.Now().Add(-time.Minute)
	long := strings.Repeat("é", queue.MaxAnswer)
	for i := range 3 {
		require.NoError(k, q.Settle(k.ctx, queue.Settlement{Dead: []queue.DeadEvent{{
			Seq: r[0].Seq, Index: 2 - i, Reason: "refused", Status: 400, Answer: fmt.Sprint(i, long), Attempts: i + 1,
		}}}))
	}
	q.Release(r...)
	k.count(q, 3, 0, 3, 0, 0, 3, 0, 0)
	q = k.reopen("a")
	all := k.letters(q, "2", "1", "0")
	for i, d := range all {
		require.Equal(k, uint64(i+1), d.Number)
		require.Equal(k, "refused", d.Reason)
		require.Equal(k, 400, d.Status)
		require.Equal(k, i+1, d.Attempts)
		require.True(k, d.ReceivedAt.Equal(k.clock))
		require.True(k, d.DiedAt.After(before))
		require.LessOrEqual(k, len(d.Answer), queue.MaxAnswer)
		require.True(k, strings.HasPrefix(fmt.Sprint(i, long), d.Answer))
		require.Greater(k, len(d.Answer), queue.MaxAnswer-4)
	}
	page, err := q.Letters(k.ctx, queue.LetterFilter{After: 1, Limit: 1})
	require.NoError(k, err)
	require.Equal(k, all[1:2], page)
	page, err = q.Letters(k.ctx, queue.LetterFilter{After: 3, Limit: 10})
	require.NoError(k, err)
	require.Empty(k, page)
}

func replayAndPurge(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 5, Dead: 4}, "dead:0", "dead:1", "dead:2", "3", "dead:4")
	n, err := q.PurgeDead(k.ctx, 2, 2, 99)
	require.NoError(k, err)
	require.Equal(k, 1, n)
	k.count(q, 5, 0, 5, 0, 0, 3, 1, 1)
	k.replayDead(q, 2, 4, 1, 2, 1)
	k.count(q, 5, 0, 5, 0, 0, 1, 1, 3)
	k.letters(q, "2")
	k.add(q, queue.Receipt{Duplicates: 2}, "0", "1")

	q = k.reopen("a")
	k.count(q, 7, 2, 5, 0, 0, 1, 1, 3)
	r := k.fetchAll(q, 3)
	require.ElementsMatch(k, []string{"3", "4", "0"}, k.idsOf(r...))
	k.settle(q, r, "", "x")
	k.deliver(q, r...)
	k.count(q, 7, 2, 5, 0, 2, 2, 1, 0)
	letters := k.letters(q, "2", k.idsOf(r[1])[0])
	require.Equal(k, uint64(5), letters[1].Number, "a number is never used again")
}
