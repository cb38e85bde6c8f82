package queue_test

import (
	"context"
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// startReplay orders a replay, which must begin.
func (k *kit) startReplay(q *queue.Queue, order queue.ReplayOrder) queue.Replay {
	k.Helper()
	r, err := q.StartReplay(k.ctx, order)
	require.NoError(k, err)
	require.True(k, r.Active())
	require.Equal(k, order, r.Order)
	return r
}

// fetchReplay fetches from a replay that must be active.
func (k *kit) fetchReplay(q *queue.Queue, limit queue.Limit) (queue.Replay, []*queue.Record) {
	k.Helper()
	ctx, cancel := context.WithTimeout(k.ctx, longTimeout)
	defer cancel()
	r, records, err := q.FetchReplay(ctx, limit)
	require.NoError(k, err)
	return r, records
}

// replayRest goes through the rest of the replay record by record, ends it and
// returns the ids.
func (k *kit) replayRest(q *queue.Queue) (ids []string) {
	k.Helper()
	for {
		r, records := k.fetchReplay(q, queue.Limit{Events: 1, Bytes: 1 << 20})
		p := queue.ReplayProgress{Number: r.Number, End: len(records) == 0}
		for _, rec := range records {
			ids = append(ids, k.idsOf(rec)...)
			p.Next, p.Replayed = rec.Seq+1, p.Replayed+uint64(len(rec.Events))
		}
		require.NoError(k, q.SettleReplay(k.ctx, p))
		if p.End {
			return ids
		}
	}
}

// replayAll replays all history and returns the ids.
func (k *kit) replayAll(q *queue.Queue) []string {
	k.Helper()
	k.startReplay(q, queue.ReplayOrder{})
	return k.replayRest(q)
}

// noReplay requires that FetchReplay waits.
func (k *kit) noReplay(q *queue.Queue) {
	k.Helper()
	ctx, cancel := context.WithTimeout(k.ctx, shortTimeout)
	defer cancel()
	_, records, err := q.FetchReplay(ctx, everything)
	require.Empty(k, records)
	require.ErrorIs(k, err, context.DeadlineExceeded)
}

func (k *kit) newestReplay(q *queue.Queue) queue.Replay {
	k.Helper()
	r, err := q.Replay(k.ctx)
	require.NoError(k, err)
	return r
}

func replayHistory(k *kit) {
	q := k.open("a")
	require.Zero(k, k.newestReplay(q))
	for _, ids := range [][]string{{"1", "2"}, {"-"}, {"4", "5", "6"}} {
		k.add(q, queue.Receipt{Accepted: len(ids)}, ids...)
	}
	first := k.fetchAll(q, 6)
	want := map[uint64]string{}
	for _, r := range first {
		want[r.Seq] = fmt.Sprint(r.Origin, r.ReceivedAt, k.idsOf(r))
	}
	k.deliver(q, first...)

	before := q.Ledger()
	order := queue.ReplayOrder{
		From: k.clock.Add(-time.Hour), Till: k.clock.Add(time.Hour),
		Types: []string{"users.messages.email.*", "users.*"}, Rate: 12.5,
	}
	started := k.startReplay(q, order)
	require.Equal(k, uint64(1), started.Number)
	require.False(k, started.StartedAt.IsZero())
	require.Equal(k, before, q.Ledger(), "an order changes no count")
	_, err := q.StartReplay(k.ctx, order)
	require.ErrorIs(k, err, queue.ErrReplaying)
	// What comes later is no part of it.
	k.add(q, queue.Receipt{Accepted: 1}, "late")
	k.deliver(q, k.fetchAll(q, 1)...)

	for range 2 { // asking again gives the same
		r, records := k.fetchReplay(q, everything)
		require.Equal(k, started.Number, r.Number)
		require.Len(k, records, 3)
		for _, rec := range records {
			require.Equal(k, want[rec.Seq], fmt.Sprint(rec.Origin, rec.ReceivedAt, k.idsOf(rec)))
			require.Equal(k, len(rec.Events)-1, rec.Events[len(rec.Events)-1].Index)
		}
	}
	_, records := k.fetchReplay(q, queue.Limit{Events: 3, Bytes: 1 << 20})
	require.Len(k, records, 2)
	_, records = k.fetchReplay(q, queue.Limit{Events: 1, Bytes: 1})
	require.Len(k, records, 1, "one record comes even if it is too large")
	require.NoError(k, q.SettleReplay(k.ctx, queue.ReplayProgress{
		Number: 1, Next: records[0].Seq + 1, Replayed: 1, Refused: 1, Skipped: 3,
	}))
	r := k.newestReplay(q)
	require.Equal(k, []uint64{1, 1, 3, records[0].Seq + 1}, []uint64{r.Replayed, r.Refused, r.Skipped, r.Next})
	require.Equal(k, []string{"-", "4", "5", "6"}, k.replayRest(q))
	r = k.newestReplay(q)
	require.False(k, r.Active())
	require.False(k, r.EndedAt.IsZero())
	require.Equal(k, uint64(5), r.Replayed)

	after := k.balanced(q)
	require.Equal(k, uint64(5), after.Replayed)
	after.Replayed = 0
	k.noReplay(q)
	require.Equal(k, queue.Ledger{Received: 7, Accepted: 7, Delivered: 7}, after, "replays count nowhere else")
	require.Equal(k, uint64(2), k.startReplay(q, queue.ReplayOrder{}).Number)
}

// Records are stored in about the order in which they are received.
func replayTimes(k *kit) {
	q := k.open("a")
	start := k.clock
	for _, minute := range []int{0, 2, 1, 4, 3, 5, 200, 6} {
		k.clock = start.Add(time.Duration(minute) * time.Minute)
		k.add(q, queue.Receipt{Accepted: 1}, fmt.Sprint(minute))
	}
	k.clock = start
	k.deliver(q, k.fetchAll(q, 8)...)
	at := func(minute int) time.Time { return start.Add(time.Duration(minute) * time.Minute) }
	for _, c := range []struct {
		order queue.ReplayOrder
		want  []string
	}{
		{queue.ReplayOrder{From: at(2), Till: at(4)}, []string{"2", "3"}},
		{queue.ReplayOrder{From: at(1), Till: at(2)}, []string{"1"}},
		{queue.ReplayOrder{From: at(5)}, []string{"5", "200", "6"}},
		{queue.ReplayOrder{Till: at(3)}, []string{"0", "2", "1"}},
		{queue.ReplayOrder{From: at(7), Till: at(100)}, nil},
		{queue.ReplayOrder{From: at(300)}, nil},
		{queue.ReplayOrder{From: at(4), Till: at(2)}, nil},
	} {
		k.startReplay(q, c.order)
		require.Equal(k, c.want, k.replayRest(q), "%v", c.order)
	}
}

// How far back a replay can go, and how far one has come, is given as times.
func replayProgress(k *kit) {
	q := k.open("a")
	at, err := k.store.OldestHistory(k.ctx)
	require.NoError(k, err)
	require.True(k, at.IsZero(), "there is no history")
	start := k.clock
	for minute := range 3 {
		k.clock = start.Add(time.Duration(minute) * time.Minute)
		k.add(q, queue.Receipt{Accepted: 1}, fmt.Sprint(minute))
	}
	records := k.fetchAll(q, 3)
	k.deliver(q, records[1:]...)
	at, err = k.store.OldestHistory(k.ctx)
	require.NoError(k, err)
	require.True(k, start.Add(time.Minute).Equal(at), "what is pending is no history: %v", at)
	k.deliver(q, records[0])

	r := k.startReplay(q, queue.ReplayOrder{})
	require.True(k, start.Equal(r.Position), "%v", r.Position)
	for i, record := range records {
		require.NoError(k, q.SettleReplay(k.ctx, queue.ReplayProgress{Number: r.Number, Next: record.Seq + 1, Replayed: 1}))
		position := k.newestReplay(q).Position
		require.True(k, i == 2 && position.IsZero() || start.Add(time.Duration(i+1)*time.Minute).Equal(position), "%d: %v", i, position)
	}
	require.NoError(k, q.SettleReplay(k.ctx, queue.ReplayProgress{Number: r.Number, Next: 1, End: true}))
	require.True(k, k.newestReplay(q).Position.IsZero(), "it has ended")
}

func replayPassesOver(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 6, Filtered: 1, Dead: 1}, "0", "filtered:1", "2", "3", "dead:4", "5")
	k.add(q, queue.Receipt{Accepted: 2, Filtered: 1, Dead: 1}, "filtered:6", "dead:7")
	k.add(q, queue.Receipt{Accepted: 3}, "8", "9", "10")
	k.add(q, queue.Receipt{Accepted: 1}, "11")
	k.add(q, queue.Receipt{Accepted: 1}, "12")
	r := k.fetchAll(q, 9)
	// The first is done at once, the second in part, the third out of order.
	k.settle(q, r, "dfxd", "x-d")
	k.deliver(q, r[3])
	require.Equal(k, []string{"0", "5", "10", "12"}, k.replayAll(q), "what is pending is left out")
	q.Release(r[0], r[1], r[2])
	require.Equal(k, []string{"0", "5", "10", "12"}, k.replayAll(q))

	// What became of the events is known after a restart, whole and in part.
	q = k.reopen("a")
	require.Equal(k, []string{"0", "5", "10", "12"}, k.replayAll(q))
	k.deliver(q, k.fetchAll(q, 2)...)
	for range 2 {
		require.Equal(k, []string{"0", "5", "9", "10", "11", "12"}, k.replayAll(q))
		q = k.reopen("a")
	}
	// A dead letter that is replayed comes from its new record alone.
	k.replayDead(q, 1, k.letters(q, "4", "7", "3", "8")[2].Number)
	require.Equal(k, []string{"0", "5", "9", "10", "11", "12"}, k.replayAll(q))
	k.deliver(q, k.fetchAll(q, 1)...)
	require.Equal(k, []string{"0", "5", "9", "10", "11", "12", "3"}, k.replayAll(q))
}

func replayAfterRestart(k *kit) {
	q := k.replayHalfWay()
	before, ledger := k.newestReplay(q), q.Ledger()
	q = k.reopen("a")
	k.replayGoesOn(q, before, ledger)
}

func replayAfterPowerCut(k *kit) {
	q := k.replayHalfWay()
	before, ledger := k.newestReplay(q), q.Ledger()
	q = k.crash("a", 0, 1)
	k.replayGoesOn(q, before, ledger)
	q = k.crash("a", 0, 2)
	require.False(k, k.newestReplay(q).Active(), "the end outlives a power cut")
	require.Equal(k, []string{"0", "1", "2", "3", "4"}, k.replayAll(q))
}

// replayHalfWay makes five records and settles two of their replay.
func (k *kit) replayHalfWay() *queue.Queue {
	q := k.open("a")
	for i := range 5 {
		k.add(q, queue.Receipt{Accepted: 1}, fmt.Sprint(i))
	}
	k.deliver(q, k.fetchAll(q, 5)...)
	k.startReplay(q, queue.ReplayOrder{From: k.clock, Till: k.clock.Add(1), Types: []string{"users.*", "x"}, Rate: 0.25})
	_, records := k.fetchReplay(q, queue.Limit{Events: 2, Bytes: 1 << 20})
	require.Equal(k, []string{"0", "1"}, k.idsOf(records...))
	require.NoError(k, q.SettleReplay(k.ctx, queue.ReplayProgress{
		Number: 1, Next: records[1].Seq + 1, Replayed: 1, Skipped: 1,
	}))
	k.fetchReplay(q, everything) // read and not settled: it comes again
	return q
}

func (k *kit) replayGoesOn(q *queue.Queue, before queue.Replay, ledger queue.Ledger) {
	k.Helper()
	require.Equal(k, ledger, k.balanced(q))
	after := k.newestReplay(q)
	require.True(k, after.Active())
	require.True(k, before.StartedAt.Equal(after.StartedAt))
	require.True(k, before.Order.From.Equal(after.Order.From) && before.Order.Till.Equal(after.Order.Till))
	require.Equal(k, before.Order.Types, after.Order.Types)
	require.Equal(k, before.Order.Rate, after.Order.Rate)
	require.Equal(k, [...]uint64{before.Number, before.Next, 1, 0, 1},
		[...]uint64{after.Number, after.Next, after.Replayed, after.Refused, after.Skipped})
	_, err := q.StartReplay(k.ctx, queue.ReplayOrder{})
	require.ErrorIs(k, err, queue.ErrReplaying)
	require.Equal(k, []string{"2", "3", "4"}, k.replayRest(q))
	require.Equal(k, uint64(4), k.balanced(q).Replayed)
}

func replayEnds(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 1}, "1")
	k.deliver(q, k.fetchAll(q, 1)...)
	require.NoError(k, q.EndReplay(k.ctx, 1), "there is none")
	r := k.startReplay(q, queue.ReplayOrder{})
	require.NoError(k, q.EndReplay(k.ctx, r.Number+1))
	require.True(k, k.newestReplay(q).Active(), "it was another's number")
	require.NoError(k, q.EndReplay(k.ctx, r.Number))
	ended := k.newestReplay(q)
	require.False(k, ended.Active())
	require.NoError(k, q.EndReplay(k.ctx, r.Number))
	k.noReplay(q)

	// A worker that does not know yet settles what it has sent.
	late := queue.ReplayProgress{Number: r.Number, Next: 99, Replayed: 7, Refused: 1, Skipped: 1, End: true}
	require.NoError(k, q.SettleReplay(k.ctx, late))
	require.Equal(k, ended, k.newestReplay(q))
	require.Equal(k, uint64(7), k.balanced(q).Replayed)
	second := k.startReplay(q, queue.ReplayOrder{})
	require.Equal(k, r.Number+1, second.Number)
	require.NoError(k, q.SettleReplay(k.ctx, late))
	now := k.newestReplay(q)
	require.True(k, now.Active(), "progress of the first does not end the second")
	require.Zero(k, now.Replayed+now.Refused+now.Skipped)
	require.Equal(k, uint64(14), k.balanced(q).Replayed)
	require.Equal(k, []string{"1"}, k.replayRest(q))
	q = k.reopen("a")
	require.Equal(k, uint64(15), k.balanced(q).Replayed)
	require.False(k, k.newestReplay(q).Active())
	k.noReplay(q)
}

func (k *kit) fetchReplayLater(q *queue.Queue) <-chan result[[]*queue.Record] {
	return later(func() ([]*queue.Record, error) {
		_, records, err := q.FetchReplay(k.ctx, everything)
		return records, err
	})
}

func replayWaits(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 1}, "1")
	first, second := k.fetchReplayLater(q), k.fetchReplayLater(q)
	k.deliver(q, k.fetchAll(q, 1)...)
	underWay(k, first)
	k.startReplay(q, queue.ReplayOrder{})
	for _, c := range []<-chan result[[]*queue.Record]{first, second} {
		got := answer(k, c)
		require.NoError(k, got.err)
		require.Equal(k, []string{"1"}, k.idsOf(got.value...))
	}
	k.replayRest(q)
	ctx, cancel := context.WithCancel(k.ctx)
	cancel()
	_, _, err := q.FetchReplay(ctx, everything)
	require.ErrorIs(k, err, context.Canceled)

	last := k.fetchReplayLater(q)
	underWay(k, last)
	require.NoError(k, k.store.Close())
	require.ErrorIs(k, answer(k, last).err, queue.ErrClosed)
	_, err = q.StartReplay(k.ctx, queue.ReplayOrder{})
	require.ErrorIs(k, err, queue.ErrClosed)
	_, err = q.Replay(k.ctx)
	require.ErrorIs(k, err, queue.ErrClosed)
	require.ErrorIs(k, q.EndReplay(k.ctx, 1), queue.ErrClosed)
	require.ErrorIs(k, q.SettleReplay(k.ctx, queue.ReplayProgress{Number: 1}), queue.ErrClosed)
	_, _, err = q.FetchReplay(k.ctx, everything)
	require.ErrorIs(k, err, queue.ErrClosed)
	_, err = q.Erase(k.ctx, func([]byte) bool { return true })
	require.ErrorIs(k, err, queue.ErrClosed)
}

func replayFails(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 1}, "1")
	k.deliver(q, k.fetchAll(q, 1)...)
	waiting := k.fetchReplayLater(q)
	underWay(k, waiting)
	release := k.stall()
	started := later(func() (queue.Replay, error) { return q.StartReplay(k.ctx, queue.ReplayOrder{}) })
	underWay(k, waiting)
	underWay(k, started)
	require.False(k, k.newestReplay(q).Active(), "it does not show before it is synced")
	release(true)
	require.ErrorIs(k, answer(k, started).err, queue.ErrFailed)
	require.ErrorIs(k, answer(k, waiting).err, queue.ErrFailed)
	require.ErrorIs(k, q.SettleReplay(k.ctx, queue.ReplayProgress{Number: 1, Replayed: 1}), queue.ErrFailed)
	require.Zero(k, q.Ledger().Replayed)
	q = k.crash("a", 0, 1)
	require.Zero(k, k.newestReplay(q))
	require.Zero(k, q.Ledger().Replayed)
}
