package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/body"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/sqldb"
	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
)

// Outcomes of an event in the column record.outcome.
const (
	outPending byte = iota
	outDelivered
	outFiltered
	outDead
	outErased
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
	st := &settling{q: q}
	if err := st.prepare(ctx, s); err != nil || len(st.need.Held) == 0 {
		return err
	}
	if err := q.store.space.admitOutcome(); err != nil {
		return err
	}
	crashpoint.At("settle.before")
	err := q.store.writer.run(ctx, &st.op)
	crashpoint.At("settle.after")
	return err
}

// settling is a Settlement that waits for the writer, or is in it.
type settling struct {
	op
	q     *Queue
	named []named
}

// named is what a Settlement says of some events.
type named struct {
	Span
	outcome byte
	dead    *DeadEvent // nil: they are not dead
	event   []byte     // of a dead event; nil: it cannot be read
}

func (st *settling) prepare(ctx context.Context, s Settlement) error {
	for _, span := range s.Delivered {
		st.named = append(st.named, named{Span: span, outcome: outDelivered})
	}
	for _, span := range s.Filtered {
		st.named = append(st.named, named{Span: span, outcome: outFiltered})
	}
	events := map[uint64][][]byte{}
	for i := range s.Dead {
		d := &s.Dead[i]
		list, there := events[d.Seq]
		if !there {
			b, err := st.q.readBody(ctx, int64(d.Seq))
			if err != nil && !errors.Is(err, body.ErrDamaged) {
				return st.q.store.db.Classify(err)
			}
			list = b.Split()
			events[d.Seq] = list
		}
		n := named{Span: Span{d.Seq, d.Index, d.Index}, outcome: outDead, dead: d}
		if d.Index >= 0 && d.Index < len(list) {
			n.event = list[d.Index]
		}
		st.named = append(st.named, n)
		st.size += len(n.event) + 200
	}
	for _, n := range st.named {
		st.need.Held = append(st.need.Held, int64(n.Seq))
	}
	slices.Sort(st.need.Held)
	st.need.Held = slices.Compact(st.need.Held)
	st.size += 200 * len(st.need.Held)
	st.do = st.write
	return nil
}

const updateRecord = `UPDATE record SET pending = $1, outcome = $2, settled = $3 WHERE seq = $4`

func (st *settling) write(c *change) error {
	q := st.q
	if err := st.check(); err != nil {
		return err
	}
	p := c.of(q)
	column := [...]int{outDelivered: delivered, outFiltered: filtered, outDead: dead}
	for _, n := range st.named {
		events := c.mark(q, n)
		p.sums[column[n.outcome]] += events
		if n.dead == nil || events == 0 {
			continue
		}
		l := DeadLetter{ReceivedAt: time.UnixMicro(p.states[int64(n.Seq)].Received), Reason: n.dead.Reason, Status: n.dead.Status,
			Answer: n.dead.Answer, Attempts: n.dead.Attempts, Events: 1, Event: n.event}
		if err := q.insertLetter(c, l); err != nil {
			return err
		}
	}
	now := time.Now().UnixMicro()
	for _, seq := range st.need.Held {
		if s := p.states[seq]; s != nil {
			if err := c.Exec(updateRecord, s.Pending, s.Outcome, now, seq); err != nil {
				return err
			}
		}
	}
	return nil
}

// check finds out whether all that is named is claimed.
func (st *settling) check() error {
	q := st.q
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, n := range st.named {
		c := q.claims[int64(n.Seq)]
		switch {
		case c == nil && q.store.shared: // another bridge has it by now
		case c == nil || !c.out:
			return fmt.Errorf("%w: record %d", ErrNotHeld, n.Seq)
		case n.First < 0 || n.Last < n.First || int64(n.Last) >= c.Events:
			return fmt.Errorf("%w: record %d has no events %d to %d", ErrNotHeld, n.Seq, n.First, n.Last)
		}
	}
	return nil
}

// mark gives events their outcome and returns how many had none. Only the writer
// changes outcomes, so what it finds is what is stored.
func (c *change) mark(q *Queue, n named) (events int64) {
	s := c.state(q, int64(n.Seq))
	if s == nil || s.Pending == 0 {
		return 0
	}
	if n.outcome == outDelivered && s.Outcome == nil && int64(n.Last-n.First) == s.Events-1 {
		events = s.Events // the usual case needs no byte an event
	} else {
		s.Outcome = outcomes(*s)
		for i := n.First; i <= n.Last; i++ {
			if s.Outcome[i] == outPending {
				s.Outcome[i] = n.outcome
				events++
			}
		}
	}
	if s.Pending -= events; s.Pending > 0 {
		return events
	}
	c.of(q).sums[history] += s.Stored
	if !slices.ContainsFunc(s.Outcome, func(o byte) bool { return o != outDelivered }) {
		s.Outcome = nil
	}
	return events
}

// outcomes returns a byte for each event of a record.
func outcomes(s sqldb.Record) []byte {
	if int64(len(s.Outcome)) == s.Events {
		return slices.Clone(s.Outcome)
	}
	out := make([]byte, s.Events)
	if s.Pending == 0 {
		for i := range out {
			out[i] = outDelivered
		}
	}
	return out
}
