package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
)

// Settle stores outcomes in one commit and returns once they are on disk. Events
// of a claimed record that no Settlement has named stay claimed. The records
// that it names must be claimed and not released, else it fails with ErrNotHeld.
// An event that has an outcome keeps it: naming it again, in the same
// Settlement or a later one, counts nothing (of one Settlement, Delivered goes
// before Filtered before Dead). ErrFull and ErrAway mean: call it again with the
// same Settlement. A record that another bridge has claimed meanwhile, because
// this one did not answer for too long, is left to that bridge.
func (q *Queue) Settle(ctx context.Context, s Settlement) error {
	st := &settling{q: q, s: s}
	if err := st.prepare(ctx); err != nil || len(st.op.need.held) == 0 {
		return err
	}
	if err := q.store.room.admitOutcome(); err != nil {
		return err
	}
	crashpoint.At("settle.before")
	err := q.store.writer.run(ctx, &st.op)
	crashpoint.At("settle.after")
	return err
}

// settling is a Settlement on its way through the writer.
type settling struct {
	op
	q       *Queue
	s       Settlement
	bodies  map[int64]decodedBody // of the records of dead events
	before  map[int64]before      // state of the records that do has changed
	touched []int64               // in the order in which they were named
}

type before struct {
	claim   *claim
	outcome []byte
	pending int64
}

func (st *settling) prepare(ctx context.Context) error {
	named := map[int64]bool{}
	name := func(seq uint64) {
		if !named[int64(seq)] {
			named[int64(seq)] = true
			st.op.need.held = append(st.op.need.held, int64(seq))
		}
	}
	for _, spans := range [][]Span{st.s.Delivered, st.s.Filtered} {
		for _, span := range spans {
			name(span.Seq)
		}
	}
	st.op.size = 200 * len(named)
	for _, d := range st.s.Dead {
		name(d.Seq)
		if st.bodies == nil {
			st.bodies = map[int64]decodedBody{}
		}
		seq := int64(d.Seq)
		if _, there := st.bodies[seq]; !there {
			b, err := st.q.readBody(ctx, seq)
			if err != nil && !errors.Is(err, errBody) {
				return st.q.store.db.classify(err)
			}
			st.bodies[seq] = b
		}
		if events := st.bodies[seq].events; d.Index >= 0 && d.Index < len(events) {
			st.op.size += len(events[d.Index]) + 200
		}
	}
	st.op.do, st.op.undo = st.write, st.undo
	return nil
}

const updateRecord = `UPDATE record SET pending = ?, outcome = ?, settled = ? WHERE seq = ?`

func (st *settling) write(c *change) error {
	q := st.q
	st.before, st.touched = map[int64]before{}, st.touched[:0]
	if err := st.check(); err != nil {
		return refuse(err)
	}
	d, now := c.ledger(q), q.store.opts.Now().UnixMicro()
	for _, span := range st.s.Delivered {
		d.delivered += st.mark(c, span, outDelivered)
	}
	for _, span := range st.s.Filtered {
		d.filtered += st.mark(c, span, outFiltered)
	}
	for _, dead := range st.s.Dead {
		seq := int64(dead.Seq)
		if st.mark(c, Span{dead.Seq, dead.Index, dead.Index}, outDead) == 0 {
			continue
		}
		d.dead++
		l := letterRow{seq: seq, index: dead.Index, received: st.before[seq].claim.received, reason: shorten(dead.Reason),
			status: dead.Status, answer: shorten(dead.Answer), attempts: dead.Attempts, events: 1}
		if events := st.bodies[seq].events; dead.Index < len(events) {
			l.event = events[dead.Index]
		}
		if err := q.insertLetter(c, l); err != nil {
			return err
		}
	}
	for _, seq := range st.touched {
		claim, pending, outcome := st.state(seq)
		if pending == 0 {
			d.history += claim.stored
		}
		if err := c.exec(updateRecord, pending, outcome, now, seq); err != nil {
			return err
		}
	}
	return nil
}

// state returns what a record has become.
func (st *settling) state(seq int64) (c *claim, pending int64, outcome []byte) {
	st.q.mu.Lock()
	defer st.q.mu.Unlock()
	c = st.before[seq].claim
	return c, c.pending, c.outcome
}

// check finds out whether all that is named is claimed.
func (st *settling) check() error {
	q := st.q
	q.mu.Lock()
	defer q.mu.Unlock()
	ok := func(seq uint64, first, last int) error {
		c := q.claims[int64(seq)]
		switch {
		case c == nil && q.store.shared:
			return nil // another bridge has it by now
		case c == nil || !c.out:
			return fmt.Errorf("%w: record %d", ErrNotHeld, seq)
		case first < 0 || last < first || int64(last) >= c.events:
			return fmt.Errorf("%w: record %d has no events %d to %d", ErrNotHeld, seq, first, last)
		}
		return nil
	}
	for _, spans := range [][]Span{st.s.Delivered, st.s.Filtered} {
		for _, span := range spans {
			if err := ok(span.Seq, span.First, span.Last); err != nil {
				return err
			}
		}
	}
	for _, d := range st.s.Dead {
		if err := ok(d.Seq, d.Index, d.Index); err != nil {
			return err
		}
	}
	return nil
}

// mark gives events their outcome in memory and returns how many had none. Only
// the writer changes outcomes, so what it finds is what is stored.
func (st *settling) mark(c *change, span Span, outcome byte) (marked int64) {
	q, seq := st.q, int64(span.Seq)
	if c.lost[seq] {
		return 0
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	claim := q.claims[seq]
	if claim == nil {
		return 0
	}
	if _, touched := st.before[seq]; !touched {
		st.before[seq] = before{claim, claim.outcome, claim.pending}
		st.touched = append(st.touched, seq)
		whole := span.First == 0 && int64(span.Last) == claim.events-1
		if claim.outcome == nil && whole && outcome == outDelivered {
			marked, claim.pending = claim.pending, 0
			return marked
		}
		claim.outcome = outcomes(claim.outcome, claim.events, claim.pending)
	} else if claim.pending == 0 {
		return 0
	} else if claim.outcome == nil {
		claim.outcome = outcomes(nil, claim.events, claim.pending)
	}
	for i := span.First; i <= span.Last; i++ {
		if claim.outcome[i] == outPending {
			claim.outcome[i] = outcome
			marked++
		}
	}
	claim.pending -= marked
	if claim.pending == 0 && allDelivered(claim.outcome) {
		claim.outcome = nil
	}
	return marked
}

func allDelivered(outcome []byte) bool {
	for _, o := range outcome {
		if o != outDelivered {
			return false
		}
	}
	return true
}

func (st *settling) undo() {
	st.q.mu.Lock()
	defer st.q.mu.Unlock()
	for _, b := range st.before {
		b.claim.outcome, b.claim.pending = b.outcome, b.pending
	}
}
