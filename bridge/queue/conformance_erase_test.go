package queue_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// mine matches the events whose id begins with "my".
func mine(event []byte) bool { return bytes.HasPrefix(event, []byte(`{"id":"my`)) }

func (k *kit) erase(q *queue.Queue, want queue.Erasure) {
	k.Helper()
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
	require.NoError(k, q.Settle(k.ctx, queue.Settlement{
		Delivered: []queue.Span{{Seq: r[0].Seq, First: 0, Last: 1}, {Seq: r[1].Seq, First: 0, Last: 0}},
		Filtered:  []queue.Span{{Seq: r[0].Seq, First: 2, Last: 2}},
		Dead:      []queue.DeadEvent{{Seq: r[0].Seq, Index: 3, Reason: "refused"}},
	}))
	// One record is done, one handed out with some events left, one is pending.
	q.Release(r[2])
	before := k.balanced(q)
	// 1, 4, 5 and 6 are in history, 8 and 9 pending; 3 and 5 are letters.
	k.erase(q, queue.Erasure{History: 4, Dead: 2, Pending: 2})
	after := k.balanced(q)
	before.Dead, before.Purged = before.Dead-2, before.Purged+2
	require.Equal(k, before, after, "letters count as purged, all else stays")
	letters, err := q.Letters(k.ctx, queue.LetterFilter{After: 0, Limit: 10})
	require.NoError(k, err)
	require.Len(k, letters, 1)
	require.Equal(k, "10", k.idOf(letters[0].Event))
	require.Equal(k, []string{"0"}, k.replayAll(q))
	k.erase(q, queue.Erasure{Pending: 2})

	// What was handed out goes on as if nothing had been.
	require.Equal(k, []string{"my6", "7", "my8"}, k.idsOf(r[1]))
	require.NoError(k, q.Settle(k.ctx, queue.Settlement{Delivered: []queue.Span{{Seq: r[1].Seq, First: 1, Last: 1}}}))
	q.Release(r[0], r[1])
	// An id that was erased is known still.
	k.add(q, queue.Receipt{Duplicates: 4}, "my1", "my2", "my3", "my6")
	q = k.reopen("a")
	k.add(q, queue.Receipt{Duplicates: 4}, "my1", "my2", "my3", "my6")
	again := k.fetchAll(q, 2)
	require.Equal(k, []string{"my8", "my9"}, k.idsOf(again...))
	require.Equal(k, 2, again[0].Events[0].Index, "an event keeps its index")
	require.Equal(k, r[1].Seq, again[0].Seq)
	k.deliver(q, again...)
	require.Equal(k, []string{"0", "7", "my8", "my9"}, k.replayAll(q))
	k.erase(q, queue.Erasure{History: 2})
	require.Equal(k, []string{"0", "7"}, k.replayAll(q))
	q = k.reopen("a")
	require.Equal(k, []string{"0", "7"}, k.replayAll(q))
	k.erase(q, queue.Erasure{})
}

// A dead letter that was moved back is pending; what it came from is not.
func eraseRevived(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 2, Dead: 2}, "dead:my1", "dead:my2")
	n, err := q.ReplayDead(k.ctx, 1)
	require.NoError(k, err)
	require.Equal(k, 1, n)
	k.erase(q, queue.Erasure{Dead: 1, Pending: 1})
	r := k.fetchAll(q, 1)
	require.Equal(k, []string{"my1"}, k.idsOf(r...))
	require.NoError(k, q.Settle(k.ctx, queue.Settlement{Dead: []queue.DeadEvent{{Seq: r[0].Seq, Index: 0, Reason: "refused"}}}))
	q.Release(r...)
	k.erase(q, queue.Erasure{History: 1, Dead: 1})
	k.count(q, 2, 0, 2, 0, 0, 0, 2, 0)
}

func eraseApart(k *kit) {
	a, b := k.open("a"), k.open("b")
	for _, q := range []*queue.Queue{a, b} {
		k.add(q, queue.Receipt{Accepted: 2, Dead: 1}, "my1", "dead:my2")
		k.deliver(q, k.fetchAll(q, 1)...)
	}
	k.erase(a, queue.Erasure{History: 1, Dead: 1})
	require.Empty(k, k.replayAll(a))
	require.Equal(k, []string{"my1"}, k.replayAll(b))
	k.erase(b, queue.Erasure{History: 1, Dead: 1})
}

func eraseStops(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 2}, "my1", "my2")
	k.deliver(q, k.fetchAll(q, 2)...)
	ctx, cancel := context.WithCancel(k.ctx)
	cancel()
	got, err := q.Erase(ctx, mine)
	require.ErrorIs(k, err, context.Canceled)
	require.Zero(k, got)
	require.Equal(k, []string{"my1", "my2"}, k.replayAll(q))
	k.erase(q, queue.Erasure{History: 2})
}

// erasePowerCuts cuts the power in the middle of an Erase. The next one does
// the rest; no event of others' is touched.
func erasePowerCuts(k *kit) {
	records, percents := 300, []int{0, 30, 100}
	if *long {
		records, percents = 700, []int{0, 30, 100, 0, 30, 100}
	}
	for round, percent := range percents {
		name := fmt.Sprint("round", round)
		q := k.open(name)
		var others []string
		for i := range records {
			other := fmt.Sprint("other", i)
			others = append(others, other)
			k.add(q, queue.Receipt{Accepted: 3, Dead: 1}, fmt.Sprint("my", i), other, fmt.Sprint("dead:my-", i))
		}
		k.deliver(q, k.fetchAll(q, 2*records)...)
		before := k.balanced(q)

		// The cut is somewhere in the records, in the letters, or after them.
		q = k.cutErase(q, name, percent, uint64(round), int64(1+round*records*3/4))
		after := k.balanced(q)
		require.Equal(k, before.Dead, after.Dead+after.Purged, "round %d", round)
		left := k.replayAll(q)
		require.Equal(k, others, slices.DeleteFunc(slices.Clone(left), func(id string) bool {
			return strings.HasPrefix(id, "my")
		}))
		got, err := q.Erase(k.ctx, mine)
		require.NoError(k, err)
		require.Equal(k, int(after.Dead), got.Dead)
		require.GreaterOrEqual(k, got.History, len(left)-len(others))
		require.Equal(k, others, k.replayAll(q))
		letters, err := q.Letters(k.ctx, queue.LetterFilter{After: 0, Limit: 10})
		require.NoError(k, err)
		require.Empty(k, letters)
		k.erase(q, queue.Erasure{})
	}
}

// cutErase cuts the power when so many events were looked at, or at the end.
func (k *kit) cutErase(q *queue.Queue, name string, percent int, seed uint64, looks int64) *queue.Queue {
	var looked atomic.Int64
	reached, done := make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := q.Erase(k.ctx, func(event []byte) bool {
			if looked.Add(1) == looks {
				close(reached)
			}
			return mine(event)
		})
		done <- err
	}()
	var err error
	select {
	case <-reached:
	case err = <-done:
		done <- err
	}
	q = k.crash(name, percent, seed)
	if err = <-done; err != nil {
		require.True(k, over(err), "%v", err)
	}
	return q
}

// eraseAtWork erases again and again while events come and are settled. No
// event of others' may be missing or another one afterwards.
func eraseAtWork(k *kit) {
	const senders, batches, size = 3, 60, 6
	k.window = senders * batches * size
	q := k.open("a")
	ctx, stop := context.WithCancel(k.ctx)
	var sending, working sync.WaitGroup
	errs := make(chan error, senders+3)
	for s := range senders {
		sending.Go(func() { errs <- k.sendMixed(q, s, batches, size) })
	}
	seen := &ledgerOfIDs{counts: map[string]int{}, held: map[string]bool{}}
	for range 2 {
		working.Go(func() { errs <- k.settleMixed(ctx, q, seen) })
	}
	working.Go(func() {
		err := error(nil)
		for ctx.Err() == nil && err == nil {
			_, err = q.Erase(ctx, mine)
		}
		if ctx.Err() != nil {
			err = nil
		}
		errs <- err
	})
	sending.Wait()
	k.eventually(func() bool { return q.Ledger().Pending() == 0 || len(errs) > senders }, "everything is settled")
	stop()
	working.Wait()
	close(errs)
	for err := range errs {
		require.NoError(k, err)
	}
	k.balanced(q)
	_, err := q.Erase(k.ctx, mine)
	require.NoError(k, err)
	var others []string
	for id, n := range seen.counts {
		require.Equal(k, 1, n, "event %s was settled %d times", id, n)
		if !strings.HasPrefix(id, "my") {
			others = append(others, id)
		}
	}
	require.Len(k, others, senders*batches*size/2)
	require.ElementsMatch(k, others, k.replayAll(q))
	letters, err := q.Letters(k.ctx, queue.LetterFilter{After: 0, Limit: 10})
	require.NoError(k, err)
	require.Empty(k, letters)
	k.erase(q, queue.Erasure{})
}

// sendMixed appends batches in which every second event is to be erased.
func (k *kit) sendMixed(q *queue.Queue, sender, batches, size int) error {
	for b := range batches {
		ids := make([]string, size)
		for i := range ids {
			ids[i] = fmt.Sprintf("%s-%d-%d-%d", []string{"my", "other"}[i%2], sender, b, i)
		}
		if _, err := q.Append(k.ctx, k.batch(ids...)); err != nil {
			return err
		}
	}
	return nil
}

// settleMixed delivers what others sent, and of mine some; a record's first
// half comes before its second.
func (k *kit) settleMixed(ctx context.Context, q *queue.Queue, seen *ledgerOfIDs) error {
	for {
		records, err := q.Claim(ctx, queue.Limit{Events: 12, Bytes: 1 << 20})
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		var halves [2]queue.Settlement
		for _, r := range records {
			for i, e := range r.Events {
				s := &halves[2*i/len(r.Events)]
				at := queue.Span{Seq: r.Seq, First: e.Index, Last: e.Index}
				switch n := len(e.Raw) % 3; {
				case mine(e.Raw) && n == 0:
					s.Filtered = append(s.Filtered, at)
				case mine(e.Raw) && n == 1:
					s.Dead = append(s.Dead, queue.DeadEvent{Seq: r.Seq, Index: e.Index, Reason: "refused"})
				default:
					s.Delivered = append(s.Delivered, at)
				}
				seen.settled(k.idOf(e.Raw))
			}
		}
		for _, s := range halves {
			if err := q.Settle(k.ctx, s); err != nil {
				return err
			}
		}
		q.Release(records...)
	}
}
