package pebble

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
)

// Settle implements queue.Queue.
func (q *connQueue) Settle(ctx context.Context, s queue.Settlement) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := q.store.enter(); err != nil {
		return err
	}
	defer q.store.leave()
	if len(s.Delivered)+len(s.Filtered)+len(s.Dead) == 0 {
		return nil
	}
	t, err := q.outcome(s)
	if err != nil {
		return err
	}
	crashpoint.At("settle.committed")
	return q.wait(t)
}

// outcome hands the settlement to the log.
func (q *connQueue) outcome(s queue.Settlement) (ticket, error) {
	q.commitMu.Lock()
	defer q.commitMu.Unlock()
	touched, err := q.leasesOf(s)
	if err != nil {
		return ticket{}, err
	}
	if err := q.store.disk.admitOutcome(sizeOf(s, touched)); err != nil {
		return ticket{}, err
	}
	batch := q.store.db.NewBatch()
	if err := q.apply(s, touched, batch); err != nil {
		return ticket{}, err
	}
	crashpoint.At("settle.before-commit")
	return q.commit(batch)
}

// sizeOf is how many bytes a settlement takes in the store, at most and about.
func sizeOf(s queue.Settlement, touched map[uint64]*lease) int {
	const frame = 128 // keys, numbers and times
	n := frame
	for _, l := range touched {
		n += frame + 2*wordSize*wire.Words(len(l.spans))
	}
	for _, d := range s.Dead {
		sp := touched[d.Seq].spans[d.Index]
		n += frame + min(len(d.Reason)+len(d.Answer), 2*queue.MaxAnswer) + sp.End - sp.Start
	}
	return n
}

// leasesOf finds the records that s names, and checks that it may name them.
func (q *connQueue) leasesOf(s queue.Settlement) (map[uint64]*lease, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	touched := map[uint64]*lease{}
	check := func(seq uint64, first, last int) error {
		l := q.held[seq]
		if l == nil || first < 0 || last < first || last >= len(l.spans) {
			return fmt.Errorf("record %d, events %d to %d: %w", seq, first, last, queue.ErrNotHeld)
		}
		touched[seq] = l
		return nil
	}
	for _, spans := range [...][]queue.Span{s.Delivered, s.Filtered} {
		for _, sp := range spans {
			if err := check(sp.Seq, sp.First, sp.Last); err != nil {
				return nil, err
			}
		}
	}
	for _, d := range s.Dead {
		if err := check(d.Seq, d.Index, d.Index); err != nil {
			return nil, err
		}
	}
	return touched, nil
}

// apply counts the outcomes and writes what changes with them into batch. Both
// locks are needed for the state; commitMu is held.
func (q *connQueue) apply(s queue.Settlement, touched map[uint64]*lease, batch *pebble.Batch) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	ledger := &q.state.ledger
	ledger.Delivered += settleSpans(touched, s.Delivered, queue.Delivered)
	ledger.Filtered += settleSpans(touched, s.Filtered, queue.Filtered)
	now := q.store.opts.Now()
	for _, d := range s.Dead {
		l := touched[d.Seq]
		if !l.settle(d.Index, queue.Dead) {
			continue
		}
		sp := l.spans[d.Index]
		letter := deadLetter{
			DeadLetter: queue.DeadLetter{
				Number: q.state.nextDead, ReceivedAt: l.received, DiedAt: now,
				Reason: d.Reason, Status: d.Status, Answer: d.Answer, Attempts: d.Attempts,
				Event: l.body[sp.Start:sp.End],
			},
			seq: d.Seq, index: d.Index,
		}
		if err := q.bury(letter, batch); err != nil {
			return q.store.fail(err)
		}
		q.state.nextDead++
		ledger.Dead++
	}
	for seq, l := range touched {
		if err := q.close(seq, l, batch); err != nil {
			return q.store.fail(err)
		}
	}
	return nil
}

// close writes what is known of a record after a settlement.
func (q *connQueue) close(seq uint64, l *lease, batch *pebble.Batch) error {
	key := seqKey(keyPartial, q.conn, seq)
	if l.left > 0 {
		l.partial = true
		return batch.Set(key, appendBitset(nil, l.outcomes()), nil)
	}
	if !l.done {
		l.done = true
		q.state.complete(seq, l.size)
		if len(l.missed) > 0 {
			crashpoint.At("settle.missed")
			if err := batch.Set(seqKey(keyMissed, q.conn, seq), appendBitset(nil, l.missed), nil); err != nil {
				return err
			}
		}
	}
	if l.partial {
		return batch.Delete(key, nil)
	}
	return nil
}

func settleSpans(touched map[uint64]*lease, spans []queue.Span, fate queue.Fate) (n uint64) {
	for _, sp := range spans {
		l := touched[sp.Seq]
		for i := sp.First; i <= sp.Last; i++ {
			if l.settle(i, fate) {
				n++
			}
		}
	}
	return n
}

// settle notes the outcome of an event; false: it has one already.
func (l *lease) settle(i int, fate queue.Fate) bool {
	if !l.open(i) {
		return false
	}
	l.settled.Set(i)
	if fate != queue.Delivered {
		l.miss(i)
	}
	l.left--
	return true
}
