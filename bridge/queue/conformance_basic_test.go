package queue_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

func appendAndFetch(k *kit) {
	q := k.open("a")
	k.count(q, 0, 0, 0, 0, 0, 0, 0, 0)
	k.add(q, queue.Receipt{Accepted: 2}, "1", "2")
	k.add(q, queue.Receipt{Accepted: 1}, "3")
	k.count(q, 3, 0, 3, 0, 0, 0, 0, 3)

	records := k.fetchAll(q, 3)
	require.Len(k, records, 2)
	require.Equal(k, []string{"1", "2", "3"}, k.idsOf(records...))
	require.Less(k, records[0].Seq, records[1].Seq)
	require.Positive(k, records[0].Seq)
	require.NotEqual(k, records[0].Origin, records[1].Origin)
	require.NotEmpty(k, records[0].Origin)
	require.True(k, records[0].ReceivedAt.Equal(k.clock))
	require.Equal(k, []int{0, 1}, []int{records[0].Events[0].Index, records[0].Events[1].Index})
	k.nothingToFetch(q)

	k.deliver(q, records...)
	k.count(q, 3, 0, 3, 0, 3, 0, 0, 0)
	k.nothingToFetch(q)
}

func nothingToStore(k *kit) {
	q := k.open("a")
	for _, b := range []queue.Batch{{}, {Body: []byte(`{"events":[]}`), ReceivedAt: k.clock}} {
		got, err := q.Append(k.ctx, b)
		require.NoError(k, err)
		require.Zero(k, got)
	}
	for _, it := range []queue.Item{{Start: -1, End: 1}, {Start: 2, End: 1}, {Start: 0, End: 100}} {
		_, err := q.Append(k.ctx, queue.Batch{Body: []byte(`{}`), Items: []queue.Item{it}, ReceivedAt: k.clock})
		require.Error(k, err)
	}
	k.count(q, 0, 0, 0, 0, 0, 0, 0, 0)
	k.nothingToFetch(q)
}

// A batch may be larger than what the store likes to hold in memory.
func largeBatch(k *kit) {
	q := k.open("a")
	const size = 400_000
	b := queue.Batch{ReceivedAt: k.clock, Body: make([]byte, 30*size)}
	_, _ = rand.Read(b.Body) // never fails
	for i := range 30 {
		b.Items = append(b.Items, queue.Item{Start: i * size, End: (i + 1) * size, ID: queue.HashEvent(nil, fmt.Append(nil, i))})
	}
	want := bytes.Clone(b.Body)
	got, err := q.Append(k.ctx, b)
	require.NoError(k, err)
	require.Equal(k, queue.Receipt{Accepted: 30}, got)
	clear(b.Body) // the queue may not keep it

	q = k.reopen("a")
	records := k.fetchAll(q, 30)
	for i, e := range records[0].Events {
		require.Equal(k, i, e.Index)
		require.True(k, string(want[i*size:(i+1)*size]) == string(e.Raw), "event %d is not what came", i)
	}
	k.deliver(q, records...)
}

func fetchLimits(k *kit) {
	q := k.open("a")
	for i := range 10 {
		k.add(q, queue.Receipt{Accepted: 3}, fmt.Sprint(i, "a"), fmt.Sprint(i, "b"), fmt.Sprint(i, "c"))
	}
	first := k.fetch(q, queue.Limit{Events: 7, Bytes: 1 << 20})
	require.Len(k, first, 2, "two records of three events fit into seven")
	second := k.fetch(q, queue.Limit{Events: 1, Bytes: 1 << 20})
	require.Len(k, second, 1, "one record comes even if it is too large")
	third := k.fetch(q, queue.Limit{Events: 100, Bytes: 2*len(event("3a"))*3 + 10})
	require.Len(k, third, 2, "two records fit into the bytes")
	fourth := k.fetch(q, queue.Limit{Events: 100, Bytes: 1})
	require.Len(k, fourth, 1)
	rest := k.fetch(q, everything)
	all := append(append(append(append(first, second...), third...), fourth...), rest...)
	require.Len(k, all, 10)
	for i, r := range all {
		require.Equal(k, []string{fmt.Sprint(i, "a"), fmt.Sprint(i, "b"), fmt.Sprint(i, "c")}, k.idsOf(r))
	}
	k.deliver(q, all...)
}

func fetchWaits(k *kit) {
	q := k.open("a")
	k.nothingToFetch(q)
	claim := func() ([]*queue.Record, error) { return q.Claim(k.ctx, queue.Limit{Events: 1, Bytes: 1 << 20}) }
	first, second := later(claim), later(claim)
	k.add(q, queue.Receipt{Accepted: 1}, "1")
	var got result[[]*queue.Record]
	select {
	case got = <-first:
		first = second
	case got = <-second:
	case <-time.After(longTimeout):
	}
	require.NoError(k, got.err)
	require.Equal(k, []string{"1"}, k.idsOf(got.value...))
	underWay(k, first)
	q.Release(got.value...)
	got = answer(k, first)
	require.NoError(k, got.err)
	require.Equal(k, []string{"1"}, k.idsOf(got.value...))
	k.deliver(q, got.value...)

	ctx, cancel := context.WithCancel(k.ctx)
	cancel()
	_, err := q.Claim(ctx, everything)
	require.ErrorIs(k, err, context.Canceled)
}

func backfilledLast(k *kit) {
	q := k.open("a")
	one := queue.Limit{Events: 1, Bytes: 1 << 20}
	backfill := func(id string) {
		b := k.batch(id)
		b.Backfilled = true
		got, err := q.Append(k.ctx, b)
		require.NoError(k, err)
		require.Equal(k, queue.Receipt{Accepted: 1}, got)
	}
	next := func(id string) *queue.Record {
		records := k.fetch(q, one)
		require.Equal(k, []string{id}, k.idsOf(records...))
		return records[0]
	}
	backfill("1")
	backfill("2")
	k.add(q, queue.Receipt{Accepted: 1}, "3")
	k.deliver(q, next("3"))
	k.add(q, queue.Receipt{Accepted: 1}, "4")
	k.deliver(q, next("4"))
	first := next("1")
	k.add(q, queue.Receipt{Accepted: 1}, "5")
	q.Release(first)
	fifth := next("5")
	first = next("1")
	q.Release(fifth)
	k.deliver(q, next("5"), first)
	backfill("6")
	k.add(q, queue.Receipt{Accepted: 1}, "7")
	q = k.reopen("a")
	k.deliver(q, next("7"), next("2"), next("6"))
	k.nothingToFetch(q)
	require.EqualValues(k, 3, q.Ledger().Backfilled)
	require.EqualValues(k, 7, q.Ledger().Delivered)
}

func releaseComesBack(k *kit) {
	q := k.open("a")
	for i := range 4 {
		k.add(q, queue.Receipt{Accepted: 1}, fmt.Sprint(i))
	}
	one := queue.Limit{Events: 1, Bytes: 1 << 20}
	first, second := k.fetch(q, one), k.fetch(q, one)
	origin := first[0].Origin
	q.Release(second...)
	q.Release(first...)
	k.count(q, 4, 0, 4, 0, 0, 0, 0, 4)
	records := k.fetch(q, everything)
	require.Equal(k, []string{"0", "1", "2", "3"}, k.idsOf(records...))
	require.Equal(k, origin, records[0].Origin)
	k.deliver(q, records...)
}

func connectorsApart(k *kit) {
	a, b := k.open("a"), k.open("b")
	same, err := k.store.Queue(k.ctx, "a", window)
	require.NoError(k, err)
	require.Same(k, a, same)
	k.add(a, queue.Receipt{Accepted: 1}, "1")
	k.add(b, queue.Receipt{Accepted: 2}, "1", "2")
	ra, rb := k.fetchAll(a, 1), k.fetchAll(b, 2)
	require.NotEqual(k, ra[0].Origin, rb[0].Origin)
	k.deliver(b, rb...)
	k.count(a, 1, 0, 1, 0, 0, 0, 0, 1)
	k.count(b, 2, 0, 2, 0, 2, 0, 0, 0)
	a.Release(ra...)
	b = k.reopen("b")
	a = k.open("a")
	k.count(a, 1, 0, 1, 0, 0, 0, 0, 1)
	k.count(b, 2, 0, 2, 0, 2, 0, 0, 0)
	k.deliver(a, k.fetchAll(a, 1)...)
}

func oldestPending(k *kit) {
	q := k.open("a")
	at := func(n int) time.Time { return k.clock.Add(time.Duration(n) * time.Minute) }
	start := k.clock
	for i := range 4 {
		k.clock = start.Add(time.Duration(i) * time.Minute)
		k.add(q, queue.Receipt{Accepted: 1}, fmt.Sprint(i))
	}
	k.clock = start
	require.True(k, at(0).Equal(q.Ledger().OldestPending))
	records := k.fetchAll(q, 4)
	k.deliver(q, records[1])
	require.True(k, at(0).Equal(q.Ledger().OldestPending))
	k.deliver(q, records[0])
	require.True(k, at(2).Equal(q.Ledger().OldestPending))
	q.Release(records[2:]...)
	q = k.reopen("a")
	require.True(k, at(2).Equal(q.Ledger().OldestPending))
	k.deliver(q, k.fetchAll(q, 2)...)
	require.True(k, q.Ledger().OldestPending.IsZero())
	k.clock = at(9)
	k.add(q, queue.Receipt{Accepted: 1}, "9")
	require.True(k, k.clock.Equal(q.Ledger().OldestPending))
}

func connectorsListed(k *kit) {
	k.open("b")
	listed := func(want ...string) {
		k.Helper()
		got, err := k.store.Connectors(k.ctx)
		require.NoError(k, err)
		require.Equal(k, want, got)
	}
	listed("b")
	k.add(k.open("a"), queue.Receipt{Accepted: 1}, "1")
	k.open("a.b")
	listed("a", "a.b", "b")
	k.reopen("b")
	listed("a", "a.b", "b") // whether they were opened since or not
}

func repeats(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 2}, "1", "2")
	k.add(q, queue.Receipt{Accepted: 1, Duplicates: 2}, "2", "3", "1")
	k.add(q, queue.Receipt{Duplicates: 3}, "1", "2", "3")
	k.count(q, 8, 5, 3, 0, 0, 0, 0, 3)
	r := k.fetchAll(q, 3)
	require.Equal(k, []string{"1", "2", "3"}, k.idsOf(r...))
	require.Len(k, r, 2)
	k.deliver(q, r...)
	k.add(q, queue.Receipt{Duplicates: 1}, "1") // delivered is no reason to forget
	k.nothingToFetch(q)
	// Without an id nothing is a repeat.
	k.add(q, queue.Receipt{Accepted: 2}, "-", "-")
	k.add(q, queue.Receipt{Accepted: 1}, "-")
	k.deliver(q, k.fetchAll(q, 3)...)
}

func repeatsWithin(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 2, Duplicates: 3}, "1", "1", "2", "1", "2")
	r := k.fetchAll(q, 2)
	require.Equal(k, []string{"1", "2"}, k.idsOf(r...))
	require.Equal(k, 1, r[0].Events[1].Index, "the index counts stored events")
	k.deliver(q, r...)

	// They are caught whatever the window is; a window of none keeps no more.
	none, err := k.store.Queue(k.ctx, "none", 0)
	require.NoError(k, err)
	k.add(none, queue.Receipt{Accepted: 2, Duplicates: 1}, "1", "2", "1")
	k.add(none, queue.Receipt{Accepted: 1, Duplicates: 1}, "2", "2")
	var many []string
	for i := range 3 * window {
		many = append(many, fmt.Sprint("many", i))
	}
	many = append(many, "many0")
	k.add(q, queue.Receipt{Accepted: 3 * window, Duplicates: 1}, many...)
	require.Len(k, k.idsOf(k.fetchAll(q, 3*window)...), 3*window)
}

func repeatsBeyond(k *kit) {
	q := k.open("a")
	add := func(from, n int) {
		var ids []string
		for i := from; i < from+n; i++ {
			ids = append(ids, fmt.Sprint(i))
		}
		k.add(q, queue.Receipt{Accepted: n}, ids...)
	}
	add(0, 100)
	for i := 100; i < window; i += 100 {
		add(i, 100)
	}
	k.add(q, queue.Receipt{Duplicates: 2}, "0", "999")
	add(window, 100) // pushes the first hundred out
	k.add(q, queue.Receipt{Duplicates: 2}, "100", "1099")
	q = k.reopen("a")
	k.add(q, queue.Receipt{Duplicates: 2}, "100", "1099")
	k.add(q, queue.Receipt{Accepted: 1}, "0")
}
