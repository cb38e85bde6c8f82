package queue_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// startReplay orders a replay, which must begin.
func (k *kit) startReplay(q *queue.Queue, order queue.ReplayOrder) queue.Replay {
	r, err := q.StartReplay(k.ctx, order)
	require.NoError(k, err)
	require.True(k, r.Active())
	require.Equal(k, order, r.Order)
	return r
}

// fetchReplay fetches from a replay that must be active.
func (k *kit) fetchReplay(q *queue.Queue, limit queue.Limit) (queue.Replay, []*queue.Record) {
	ctx, cancel := context.WithTimeout(k.ctx, longTimeout)
	defer cancel()
	r, records, err := q.FetchReplay(ctx, limit)
	require.NoError(k, err)
	return r, records
}

// replayOf fetches everything from a replay, when it comes.
func replayOf(q *queue.Queue) func(context.Context) ([]*queue.Record, error) {
	return func(ctx context.Context) ([]*queue.Record, error) {
		_, records, err := q.FetchReplay(ctx, everything)
		return records, err
	}
}

func (k *kit) fetchReplayLater(q *queue.Queue) <-chan result[[]*queue.Record] {
	return later(func() ([]*queue.Record, error) { return replayOf(q)(k.ctx) })
}

func (k *kit) settleReplay(q *queue.Queue, p queue.ReplayProgress) {
	require.NoError(k, q.SettleReplay(k.ctx, p))
}

// replayRest goes through the rest of the replay record by record, ends it and
// returns the ids.
func (k *kit) replayRest(q *queue.Queue) (ids []string) {
	for {
		r, records := k.fetchReplay(q, one)
		p := queue.ReplayProgress{Number: r.Number, End: len(records) == 0}
		for _, rec := range records {
			ids = append(ids, k.idsOf(rec)...)
			p.Next, p.Replayed = rec.Seq+1, p.Replayed+uint64(len(rec.Events))
		}
		k.settleReplay(q, p)
		if p.End {
			return ids
		}
	}
}

// replayed replays all history and returns the ids.
func (k *kit) replayed(q *queue.Queue) []string {
	k.startReplay(q, queue.ReplayOrder{})
	return k.replayRest(q)
}

// replayAll replays all history, which must be these events.
func (k *kit) replayAll(q *queue.Queue, ids ...string) {
	require.Equal(k, ids, k.replayed(q))
}

func (k *kit) newestReplay(q *queue.Queue) queue.Replay {
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
	before, waiting := q.Ledger(), k.fetchReplayLater(q)
	underWay(k, waiting)
	started := k.startReplay(q, queue.ReplayOrder{
		From: k.clock.Add(-time.Hour), Till: k.clock.Add(time.Hour),
		Types: []string{"users.messages.email.*", "users.*"}, Rate: 12.5,
	})
	require.Equal(k, uint64(1), started.Number)
	require.False(k, started.StartedAt.IsZero())
	require.Equal(k, before, q.Ledger(), "an order changes no count")
	require.ErrorIs(k, errOf(q.StartReplay(k.ctx, queue.ReplayOrder{})), queue.ErrReplaying)
	// What comes later is no part of it.
	k.add(q, queue.Receipt{Accepted: 1}, "late")
	k.deliver(q, k.fetchAll(q, 1)...)

	got := answer(k, waiting)
	require.NoError(k, got.err)
	r, again := k.fetchReplay(q, everything)
	require.Equal(k, started.Number, r.Number)
	for _, records := range [][]*queue.Record{got.value, again} { // asking again gives the same
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
	k.settleReplay(q, queue.ReplayProgress{Number: 1, Next: records[0].Seq + 1, Replayed: 1, Refused: 1, Skipped: 3})
	r = k.newestReplay(q)
	require.Equal(k, []uint64{1, 1, 3, records[0].Seq + 1}, []uint64{r.Replayed, r.Refused, r.Skipped, r.Next})
	require.Equal(k, []string{"-", "4", "5", "6"}, k.replayRest(q))
	r = k.newestReplay(q)
	require.False(k, r.Active())
	require.False(k, r.EndedAt.IsZero())
	require.Equal(k, uint64(5), r.Replayed)

	after := k.balanced(q)
	require.Equal(k, queue.Ledger{Received: 7, Accepted: 7, Delivered: 7, Replayed: 5}, after, "replays count nowhere else")
	k.waits(replayOf(q))
	require.Equal(k, uint64(2), k.startReplay(q, queue.ReplayOrder{}).Number)
}

// Records are stored in about the order in which they are received.
func replayTimes(k *kit) {
	q := k.open("a")
	start := k.clock
	at := func(minute int) time.Time { return start.Add(time.Duration(minute) * time.Minute) }
	minutes := []int{0, 2, 1, 4, 3, 5, 200, 6}
	for _, minute := range minutes {
		k.clock = at(minute)
		k.add(q, queue.Receipt{Accepted: 1}, fmt.Sprint(minute))
	}
	records := k.fetchAll(q, 8)
	k.deliver(q, records...)
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
	// How far one has come is given as a time.
	r := k.startReplay(q, queue.ReplayOrder{})
	for i, record := range records {
		require.True(k, at(minutes[i]).Equal(k.newestReplay(q).Position), "%d: %v", i, k.newestReplay(q).Position)
		k.settleReplay(q, queue.ReplayProgress{Number: r.Number, Next: record.Seq + 1, Replayed: 1})
	}
	require.True(k, k.newestReplay(q).Position.IsZero(), "nothing is left")
	require.NoError(k, q.EndReplay(k.ctx, r.Number))
	r = k.startReplay(q, queue.ReplayOrder{})
	require.NoError(k, q.EndReplay(k.ctx, r.Number))
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
	k.replayAll(q, "0", "5", "10", "12") // what is pending is left out
	q.Release(r[0], r[1], r[2])
	k.replayAll(q, "0", "5", "10", "12")

	// What became of the events is known after a restart, whole and in part.
	q = k.reopen("a")
	k.replayAll(q, "0", "5", "10", "12")
	k.deliver(q, k.fetchAll(q, 2)...)
	for range 2 {
		k.replayAll(q, "0", "5", "9", "10", "11", "12")
		q = k.reopen("a")
	}
	// A dead letter that is replayed comes from its new record alone.
	k.replayDead(q, 1, k.letters(q, "4", "7", "3", "8")[2].Number)
	k.replayAll(q, "0", "5", "9", "10", "11", "12")
	k.deliver(q, k.fetchAll(q, 1)...)
	k.replayAll(q, "0", "5", "9", "10", "11", "12", "3")
}

func replayGoesOn(k *kit) {
	q := k.open("a")
	for i := range 5 {
		k.add(q, queue.Receipt{Accepted: 1}, fmt.Sprint(i))
	}
	k.deliver(q, k.fetchAll(q, 5)...)
	k.startReplay(q, queue.ReplayOrder{From: k.clock, Till: k.clock.Add(1), Types: []string{"users.*", "x"}, Rate: 0.25})
	_, records := k.fetchReplay(q, queue.Limit{Events: 2, Bytes: 1 << 20})
	require.Equal(k, []string{"0", "1"}, k.idsOf(records...))
	k.settleReplay(q, queue.ReplayProgress{Number: 1, Next: records[1].Seq + 1, Replayed: 1, Skipped: 1})
	k.fetchReplay(q, everything) // read and not settled: it comes again
	before, ledger := k.newestReplay(q), q.Ledger()

	q = k.reopen("a")
	require.Equal(k, ledger, k.balanced(q))
	after := k.newestReplay(q)
	require.True(k, after.Active())
	require.Equal(k, before, after)
	require.Equal(k, [...]uint64{1, 0, 1}, [...]uint64{after.Replayed, after.Refused, after.Skipped})
	require.ErrorIs(k, errOf(q.StartReplay(k.ctx, queue.ReplayOrder{})), queue.ErrReplaying)
	require.Equal(k, []string{"2", "3", "4"}, k.replayRest(q))
	require.Equal(k, uint64(4), k.balanced(q).Replayed)
	q = k.reopen("a")
	require.False(k, k.newestReplay(q).Active())
	k.replayAll(q, "0", "1", "2", "3", "4")
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
	k.waits(replayOf(q))

	// A worker that does not know yet settles what it has sent.
	late := queue.ReplayProgress{Number: r.Number, Next: 99, Replayed: 7, Refused: 1, Skipped: 1, End: true}
	k.settleReplay(q, late)
	require.Equal(k, ended, k.newestReplay(q))
	second := k.startReplay(q, queue.ReplayOrder{})
	require.Equal(k, r.Number+1, second.Number)
	k.settleReplay(q, late)
	require.Equal(k, second, k.newestReplay(q), "progress of the first does not end the second")
	require.Equal(k, []string{"1"}, k.replayRest(q))
	q = k.reopen("a")
	require.Equal(k, uint64(15), k.balanced(q).Replayed)
	require.False(k, k.newestReplay(q).Active())
	k.waits(replayOf(q))
	ctx, cancel := context.WithCancel(k.ctx)
	cancel()
	require.ErrorIs(k, errOf(replayOf(q)(ctx)), context.Canceled)
}

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
