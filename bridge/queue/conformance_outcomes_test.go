package queue_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

func settleInParts(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 5}, "0", "1", "2", "3", "4")
	k.add(q, queue.Receipt{Accepted: 1}, "5")
	k.add(q, queue.Receipt{Accepted: 3}, "6", "7", "8")
	r := k.fetchAll(q, 9)
	require.NoError(k, q.Settle(k.ctx, queue.Settlement{}))
	k.settle(q, r, "-df", "", "fdx")
	k.count(q, 9, 0, 9, 2, 2, 1, 0, 4)
	k.nothingToFetch(q)
	q.Release(r...)
	again := k.fetchThese(q, "0", "3", "4", "5")
	require.Equal(k, 3, again[0].Events[1].Index, "an event keeps its index")
	require.Equal(k, r[0].Origin, again[0].Origin)
	k.settle(q, again, "----x")

	for range 2 {
		k.count(q, 9, 0, 9, 2, 2, 2, 0, 3)
		k.letters(q, "8", "4")
		q = k.reopen("a")
	}
	k.deliver(q, k.fetchThese(q, "0", "3", "5")...)
	for range 2 {
		k.count(q, 9, 0, 9, 2, 5, 2, 0, 0)
		k.nothingToFetch(q)
		q = k.reopen("a")
	}
}

func settleTwice(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 3}, "0", "1", "2")
	r := k.fetchAll(q, 3)
	seq := r[0].Seq
	for range 2 {
		require.NoError(k, q.Settle(k.ctx, queue.Settlement{
			Delivered: []queue.Span{{Seq: seq}, {Seq: seq, Last: 1}},
			Filtered:  []queue.Span{{Seq: seq, First: 1, Last: 1}},
			Dead:      []queue.DeadEvent{{Seq: seq, Index: 0, Reason: "refused"}},
		}))
		k.count(q, 3, 0, 3, 0, 2, 0, 0, 1)
	}
	for range 2 {
		require.NoError(k, q.Settle(k.ctx, queue.Settlement{Delivered: []queue.Span{{Seq: seq, Last: 2}}}))
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
	good := queue.Span{Seq: seq}
	for _, s := range []queue.Settlement{
		{Delivered: []queue.Span{good, {Seq: seq, First: 1, Last: 2}}},
		{Delivered: []queue.Span{good, {Seq: seq, First: 1, Last: 0}}},
		{Delivered: []queue.Span{good, {Seq: seq, First: -1, Last: 0}}},
		{Delivered: []queue.Span{good, {Seq: seq + 1}}},
		{Delivered: []queue.Span{good}, Filtered: []queue.Span{{Seq: 77}}},
		{Delivered: []queue.Span{good}, Dead: []queue.DeadEvent{{Seq: 0}}},
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
	k.add(q, queue.Receipt{Duplicates: 3}, "1", "4", "filtered:6")
	r := k.fetchThese(q, "0", "3", "7")
	require.Len(k, r, 2)
	require.Equal(k, 1, r[0].Events[1].Index, "an index counts what is stored to be delivered")
	k.deliver(q, r...)
	k.count(q, 14, 6, 8, 3, 3, 2, 0, 0)
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
	q = k.reopen("a")
	k.count(q, 3, 0, 3, 0, 0, 3, 0, 0)
	all := k.letters(q, "2", "1", "0")
	for i, d := range all {
		require.True(k, d.ReceivedAt.Equal(k.clock))
		require.True(k, d.DiedAt.After(before))
		require.LessOrEqual(k, len(d.Answer), queue.MaxAnswer)
		require.True(k, strings.HasPrefix(fmt.Sprint(i, long), d.Answer))
		require.Greater(k, len(d.Answer), queue.MaxAnswer-4)
		require.Equal(k, queue.DeadLetter{Number: uint64(i + 1), Reason: "refused", Status: 400, Attempts: i + 1, Events: 1,
			ReceivedAt: d.ReceivedAt, DiedAt: d.DiedAt, Answer: d.Answer, Event: d.Event}, d)
	}
	page, err := q.Letters(k.ctx, queue.LetterFilter{After: 1, Limit: 1})
	require.NoError(k, err)
	require.Equal(k, all[1:2], page)
	page, err = q.Letters(k.ctx, queue.LetterFilter{After: 3, Limit: 10})
	require.NoError(k, err)
	require.Empty(k, page)
}

// A run of elements that are no events is one letter with a count.
func replayAndPurge(k *kit) {
	q := k.open("a")
	purge := func(want int, numbers ...uint64) {
		n, err := q.PurgeDead(k.ctx, numbers...)
		require.NoError(k, err)
		require.Equal(k, want, n)
	}
	k.add(q, queue.Receipt{Accepted: 5, Dead: 4}, "dead:0", "dead:1", "dead:2", "3", "dead:4")
	purge(1, 2, 2, 99)
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

	run := queue.Item{End: 1, Fate: queue.Dead, Reason: "not_an_object", Count: 250_000}
	got, err := q.Append(k.ctx, queue.Batch{Body: []byte(`7`), Items: []queue.Item{run}})
	require.NoError(k, err)
	require.Equal(k, queue.Receipt{Accepted: 250_000, Dead: 250_000}, got)
	k.replayDead(q, 0, 6)
	k.count(q, 250_007, 2, 250_005, 0, 2, 250_002, 1, 0)
	purge(250_001, 6, 5)
	k.count(q, 250_007, 2, 250_005, 0, 2, 1, 250_002, 0)
}
