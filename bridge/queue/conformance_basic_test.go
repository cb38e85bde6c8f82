package queue_test

import (
	"context"
	"encoding/binary"
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

func emptyBatch(k *kit) {
	q := k.open("a")
	for _, b := range []queue.Batch{{}, {Body: []byte(`{"events":[]}`), ReceivedAt: k.clock}} {
		got, err := q.Append(k.ctx, b)
		require.NoError(k, err)
		require.Zero(k, got)
	}
	k.count(q, 0, 0, 0, 0, 0, 0, 0, 0)
	k.nothingToFetch(q)
}

func badItem(k *kit) {
	q := k.open("a")
	for _, it := range []queue.Item{{Start: -1, End: 1}, {Start: 2, End: 1}, {Start: 0, End: 100}} {
		_, err := q.Append(k.ctx, queue.Batch{Body: []byte(`{}`), Items: []queue.Item{it}, ReceivedAt: k.clock})
		require.Error(k, err)
	}
	k.count(q, 0, 0, 0, 0, 0, 0, 0, 0)
}

// A batch may be larger than what the store likes to hold in memory.
func largeBatch(k *kit) {
	q := k.open("a")
	b := queue.Batch{ReceivedAt: k.clock}
	noise := uint64(1)
	for i := range 30 {
		start := len(b.Body)
		for range 50_000 {
			noise = noise*6364136223846793005 + 1442695040888963407
			b.Body = binary.LittleEndian.AppendUint64(b.Body, noise^noise>>32)
		}
		b.Items = append(b.Items, queue.Item{Start: start, End: len(b.Body), ID: queue.HashEvent(nil, fmt.Append(nil, i))})
	}
	want := append([]byte(nil), b.Body...)
	got, err := q.Append(k.ctx, b)
	require.NoError(k, err)
	require.Equal(k, queue.Receipt{Accepted: 30}, got)
	clear(b.Body) // the queue may not keep it

	q = k.reopen("a")
	records := k.fetchAll(q, 30)
	for i, e := range records[0].Events {
		require.Equal(k, i, e.Index)
		require.True(k, string(want[i*400_000:(i+1)*400_000]) == string(e.Raw), "event %d is not what came", i)
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
	type answer struct {
		records []*queue.Record
		err     error
	}
	answers := make(chan answer, 2)
	for range 2 {
		go func() {
			ctx, cancel := context.WithTimeout(k.ctx, longTimeout)
			defer cancel()
			records, err := q.Claim(ctx, queue.Limit{Events: 1, Bytes: 1 << 20})
			answers <- answer{records, err}
		}()
	}
	k.add(q, queue.Receipt{Accepted: 1}, "1")
	a := <-answers
	require.NoError(k, a.err)
	require.Equal(k, []string{"1"}, k.idsOf(a.records...))
	select {
	case <-answers:
		require.Fail(k, "the same record was handed out twice")
	case <-time.After(shortTimeout):
	}
	q.Release(a.records...)
	a = <-answers
	require.NoError(k, a.err)
	require.Equal(k, []string{"1"}, k.idsOf(a.records...))
	k.deliver(q, a.records...)

	ctx, cancel := context.WithCancel(k.ctx)
	cancel()
	_, err := q.Claim(ctx, everything)
	require.ErrorIs(k, err, context.Canceled)
}

func fetchEnds(k *kit) {
	q := k.open("a")
	errs := make(chan error)
	go func() {
		_, err := q.Claim(k.ctx, everything)
		errs <- err
	}()
	select {
	case err := <-errs:
		require.Fail(k, "Fetch came back", err)
	case <-time.After(shortTimeout):
	}
	require.NoError(k, k.store.Close())
	require.ErrorIs(k, <-errs, queue.ErrClosed)
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
