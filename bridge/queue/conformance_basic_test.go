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
	records := k.fetchThese(q, "1", "2", "3")
	require.Len(k, records, 2)
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
	for _, items := range [][]queue.Item{nil, {{Start: -1, End: 1}}, {{Start: 2, End: 1}}, {{End: 100}}} {
		got, err := q.Append(k.ctx, queue.Batch{Body: []byte(`{}`), Items: items})
		require.Equal(k, items == nil, err == nil)
		require.Zero(k, got)
	}
	k.count(q, 0, 0, 0, 0, 0, 0, 0, 0)
	k.nothingToFetch(q)
}

// A batch may be larger than what the store likes to hold in memory.
func largeBatch(k *kit) {
	q := k.open("a")
	const size = 400_000
	b := queue.Batch{Body: make([]byte, 30*size)}
	_, _ = rand.Read(b.Body) // never fails
	for i := range 30 {
		b.Items = append(b.Items, queue.Item{Start: i * size, End: (i + 1) * size, ID: queue.HashType(nil).Event(fmt.Append(nil, i))})
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
		require.True(k, bytes.Equal(want[i*size:(i+1)*size], e.Raw), "event %d is not what came", i)
	}
	k.deliver(q, records...)
}

// Within each limit come as many records of three events as fit, and one at least.
// What is released comes again, in its place.
func fetchLimits(k *kit) {
	q := k.open("a")
	var ids, origins []string
	for i := range 10 {
		of := []string{fmt.Sprint(i, "a"), fmt.Sprint(i, "b"), fmt.Sprint(i, "c")}
		k.add(q, queue.Receipt{Accepted: 3}, of...)
		ids = append(ids, of...)
	}
	var all [][]*queue.Record
	for _, c := range []struct{ events, bytes, want int }{
		{7, 1 << 20, 2}, {1, 1 << 20, 1}, {100, 6*len(event("3a")) + 10, 2}, {100, 1, 1}, {1 << 30, 1 << 30, 4},
	} {
		records := k.fetch(q, queue.Limit{Events: c.events, Bytes: c.bytes})
		require.Len(k, records, c.want, "%+v", c)
		all = append(all, records)
		for _, r := range records {
			origins = append(origins, r.Origin)
		}
	}
	for _, i := range []int{3, 1, 4, 0, 2} {
		q.Release(all[i]...)
	}
	k.count(q, 30, 0, 30, 0, 0, 0, 0, 30)
	again := k.fetchThese(q, ids...)
	for i, r := range again {
		require.Equal(k, origins[i], r.Origin)
	}
	k.deliver(q, again...)
}

func fetchWaits(k *kit) {
	q := k.open("a")
	claim := func() ([]*queue.Record, error) { return q.Claim(k.ctx, one) }
	first, second := later(claim), later(claim)
	underWay(k, first)
	underWay(k, second)
	k.add(q, queue.Receipt{Accepted: 1}, "1")
	k.add(q, queue.Receipt{Accepted: 1}, "2")
	a, b := answer(k, first).value, answer(k, second).value
	require.ElementsMatch(k, []string{"1", "2"}, k.idsOf(append(a, b...)...))
	third := later(claim)
	underWay(k, third)
	q.Release(a...)
	again := answer(k, third).value
	require.Equal(k, a[0].Seq, again[0].Seq)
	k.deliver(q, append(again, b...)...)
	ctx, cancel := context.WithCancel(k.ctx)
	cancel()
	require.ErrorIs(k, errOf(q.Claim(ctx, everything)), context.Canceled)
}

func backfilledLast(k *kit) {
	q := k.open("a")
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
	require.EqualValues(k, 6, q.Ledger().Delivered)
}

func connectorsApart(k *kit) {
	a, b := k.open("a"), k.open("b")
	require.Same(k, a, k.open("a"))
	k.add(a, queue.Receipt{Accepted: 1}, "1")
	k.add(b, queue.Receipt{Accepted: 2}, "1", "2")
	ra, rb := k.fetchAll(a, 1), k.fetchAll(b, 2)
	require.NotEqual(k, ra[0].Origin, rb[0].Origin)
	k.deliver(b, rb...)
	a.Release(ra...)
	k.open("a.b")
	for range 2 {
		k.count(a, 1, 0, 1, 0, 0, 0, 0, 1)
		k.count(b, 2, 0, 2, 0, 2, 0, 0, 0)
		b = k.reopen("b")
		names, err := k.store.Connectors(k.ctx) // whether they were opened or not
		require.NoError(k, err)
		require.Equal(k, []string{"a", "a.b", "b"}, names)
		a = k.open("a")
	}
	k.deliver(a, k.fetchAll(a, 1)...)
}

// The oldest of the pending events, and the oldest of history, are given as times.
func oldestPending(k *kit) {
	q := k.open("a")
	start := k.clock
	at := func(minute int) time.Time { return start.Add(time.Duration(minute) * time.Minute) }
	oldest := func(pending, history int) {
		require.True(k, at(pending).Equal(q.Ledger().OldestPending))
		got, err := k.store.OldestHistory(k.ctx)
		require.NoError(k, err)
		require.True(k, k.opts.RetainAge == 0 || got.IsZero() && history < 0 || at(history).Equal(got), "%v", got)
	}
	for i := range 4 {
		k.clock = at(i)
		k.add(q, queue.Receipt{Accepted: 1}, fmt.Sprint(i))
	}
	oldest(0, -1)
	records := k.fetchAll(q, 4)
	k.deliver(q, records[1])
	oldest(0, 1)
	k.deliver(q, records[0])
	oldest(2, 0)
	q.Release(records[2:]...)
	q = k.reopen("a")
	oldest(2, 0)
	k.deliver(q, k.fetchAll(q, 2)...)
	require.True(k, q.Ledger().OldestPending.IsZero())
	k.clock = at(9)
	k.add(q, queue.Receipt{Accepted: 1}, "9")
	oldest(9, 0)
}

func repeats(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 2, Duplicates: 3}, "1", "1", "2", "1", "2")
	k.add(q, queue.Receipt{Accepted: 1, Duplicates: 2}, "2", "3", "1")
	k.add(q, queue.Receipt{Duplicates: 3}, "1", "2", "3")
	k.count(q, 11, 8, 3, 0, 0, 0, 0, 3)
	r := k.fetchThese(q, "1", "2", "3")
	require.Len(k, r, 2)
	require.Equal(k, 1, r[0].Events[1].Index, "the index counts stored events")
	k.deliver(q, r...)
	k.add(q, queue.Receipt{Duplicates: 1}, "1") // delivered is no reason to forget
	k.nothingToFetch(q)
	// Without an id nothing is a repeat.
	k.add(q, queue.Receipt{Accepted: 2}, "-", "-")
	k.add(q, queue.Receipt{Accepted: 1}, "-")
	k.deliver(q, k.fetchAll(q, 3)...)

	// Within a batch they are caught whatever the window is; one of none keeps no more.
	k.window = 0
	none := k.open("none")
	k.add(none, queue.Receipt{Accepted: 2, Duplicates: 1}, "1", "2", "1")
	k.add(none, queue.Receipt{Accepted: 1, Duplicates: 1}, "2", "2")
}

func repeatsBeyond(k *kit) {
	q := k.open("a")
	ids := make([]string, 4*window)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	for i := 0; i < window; i += 100 {
		k.add(q, queue.Receipt{Accepted: 100}, ids[i:i+100]...)
	}
	k.add(q, queue.Receipt{Duplicates: 2}, "0", "999")
	k.add(q, queue.Receipt{Accepted: 100}, ids[window:window+100]...) // pushes the first hundred out
	k.add(q, queue.Receipt{Duplicates: 2}, "100", "1099")
	q = k.reopen("a")
	k.add(q, queue.Receipt{Duplicates: 2}, "100", "1099")
	k.add(q, queue.Receipt{Accepted: 1}, "0")
	k.add(q, queue.Receipt{Accepted: 2900, Duplicates: 1}, append(ids[window+100:], ids[window+100])...)
}
