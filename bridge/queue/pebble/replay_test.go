package pebble

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

func TestReplayDoesNotHoldUpRetention(t *testing.T) {
	k := newKeeping(t, Options{RetainAge: time.Hour})
	q := openTestQueue(t, k.s, "a")
	for range 10 {
		k.addDelivered(q, 2000)
	}
	k.mark(q)
	k.pass(40 * time.Minute)
	for range 10 {
		k.addDelivered(q, 2000)
	}
	k.mark(q)
	r, err := q.StartReplay(t.Context(), queue.ReplayOrder{})
	require.NoError(t, err)
	_, records, err := q.FetchReplay(t.Context(), queue.Limit{Events: 2, Bytes: 1 << 20})
	require.NoError(t, err)
	require.Equal(t, []uint64{1, 2}, []uint64{records[0].Seq, records[1].Seq})
	require.NoError(t, q.SettleReplay(t.Context(), queue.ReplayProgress{Number: r.Number, Next: 3, Replayed: 2}))

	// A walk that is under way reads what it has begun with.
	w := walk{queue: q, next: 3, end: 21}
	require.True(t, w.advance(t.Context()))
	k.pass(21 * time.Minute)
	k.kept(11, 12, 13, 14, 15, 16, 17, 18, 19, 20)
	require.NoError(t, k.s.db.Compact(t.Context(), []byte{keyRecord}, []byte{keyRecord + 1}, false))
	seen := 1
	for ; w.advance(t.Context()); seen++ {
		record, _ := w.record()
		require.Len(t, record.Events, 1)
	}
	require.NoError(t, w.close())
	require.Equal(t, 18, seen)

	_, records, err = q.FetchReplay(t.Context(), queue.Limit{Events: 2, Bytes: 1 << 20})
	require.NoError(t, err)
	require.Equal(t, []uint64{11, 12}, []uint64{records[0].Seq, records[1].Seq}, "what was given up is passed over")
	k.pass(time.Hour)
	k.kept()
	_, records, err = q.FetchReplay(t.Context(), queue.Limit{Events: 2, Bytes: 1 << 20})
	require.NoError(t, err)
	require.Empty(t, records)
	require.Zero(t, k.s.Usage().Damaged)
}

// A replay begins where its time can begin, without reading what is before.
func TestReplayFindsItsStart(t *testing.T) {
	k := newKeeping(t, Options{RetainAge: 64 * time.Hour})
	q := openTestQueue(t, k.s, "a")
	for range 30 { // a record in ten minutes
		k.addDelivered(q, 100)
		k.marked(q)
		k.pass(10 * time.Minute)
	}
	from := time.Unix(keepingStart, 0).Add(20 * 10 * time.Minute)
	r, err := q.StartReplay(t.Context(), queue.ReplayOrder{From: from, Till: from.Add(15 * time.Minute)})
	require.NoError(t, err)
	require.Greater(t, r.Next, uint64(10))
	require.LessOrEqual(t, r.Next, uint64(21))
	_, records, err := q.FetchReplay(t.Context(), queue.Limit{Events: 1000, Bytes: 1 << 20})
	require.NoError(t, err)
	require.Len(t, records, 2)
	require.Equal(t, []uint64{21, 22}, []uint64{records[0].Seq, records[1].Seq})
}

// A damaged record is counted and passed over, and does not end the replay.
func TestReplayPassesOverDamage(t *testing.T) {
	k := newKeeping(t, Options{RetainAge: time.Hour})
	q := openTestQueue(t, k.s, "a")
	for range 5 {
		k.addDelivered(q, 100)
	}
	require.NoError(t, k.s.db.Set(seqKey(keyRecord, 1, 2), []byte("not a record"), nil))
	value, err := k.s.get(seqKey(keyRecord, 1, 4))
	require.NoError(t, err)
	require.NoError(t, k.s.db.Set(seqKey(keyRecord, 1, 4), value[:len(value)-20], nil))
	require.NoError(t, k.s.db.Set(seqKey(keyMissed, 1, 5), make([]byte, 80), nil))
	_, err = q.StartReplay(t.Context(), queue.ReplayOrder{})
	require.NoError(t, err)
	for range 2 {
		_, records, err := q.FetchReplay(t.Context(), queue.Limit{Events: 1000, Bytes: 1 << 20})
		require.NoError(t, err)
		require.Len(t, records, 2)
		require.Equal(t, []uint64{1, 3}, []uint64{records[0].Seq, records[1].Seq})
		require.Equal(t, 3, k.s.Usage().Damaged)
	}
	got, err := q.Erase(t.Context(), func([]byte) bool { return true })
	require.NoError(t, err)
	require.Equal(t, queue.Erasure{History: 2}, got)
	require.Equal(t, 3, k.s.Usage().Damaged)
}

// A record that was finished in part by a version that did not note which of
// its outcomes were deliveries, is read as it was.
func TestOutcomesOfAnOlderVersion(t *testing.T) {
	k := newKeeping(t, Options{RetainAge: time.Hour})
	q := openTestQueue(t, k.s, "a")
	_, err := q.Append(t.Context(), note([]string{"1", "2", "3"}, "one", "two", "three"))
	require.NoError(t, err)
	r, err := q.Fetch(t.Context(), queue.Limit{Events: 10, Bytes: 1 << 20})
	require.NoError(t, err)
	require.NoError(t, q.Settle(t.Context(), queue.Settlement{Filtered: []queue.Span{{Seq: 1}}}))
	q.Release(r...)
	value, err := k.s.get(seqKey(keyPartial, 1, 1))
	require.NoError(t, err)
	require.Len(t, value, 16)
	require.NoError(t, k.s.db.Set(seqKey(keyPartial, 1, 1), value[:8], nil)) // as it was written then
	k.reopen()
	q = openTestQueue(t, k.s, "a")
	require.NoError(t, drainOnce(context.Background(), q))
	require.Equal(t, uint64(2), q.Ledger().Delivered)
	require.Empty(t, k.numbers(keyMissed, 1))
	require.Empty(t, k.numbers(keyPartial, 1))
}
