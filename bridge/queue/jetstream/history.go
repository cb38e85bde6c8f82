package jetstream

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
)

// past is a record as it lies in the stream, with what became of its events.
type past struct {
	seq, at uint64 // its number, and where it lies
	left    bool   // what it replaces is there still
	data    []byte
	header  wire.Header
	out     outcomes
}

// outcomes tell what became of a record's events.
type outcomes struct {
	done            bool
	settled, missed wire.Bitset
}

// has tells whether event i has an outcome.
func (o outcomes) has(i int) bool { return o.done || o.settled.Has(i) }

// delivered tells whether event i, whose record says fate, was delivered.
func (o outcomes) delivered(i int, fate queue.Fate) bool {
	return fate == queue.Pending && o.has(i) && !o.missed.Has(i)
}

// outcomesOf returns what became of a record's events by now.
func (f *fold) outcomesOf(seq uint64) outcomes {
	f.mu.Lock()
	defer f.mu.Unlock()
	it := f.pending.find(seq)
	switch {
	case it == nil:
		return outcomes{done: true, missed: f.side.missed[seq]}
	case it.part == nil:
		return outcomes{}
	}
	return outcomes{settled: slices.Clone(it.part.settled), missed: slices.Clone(it.part.missed)}
}

// walk calls f with the records between two places, in the order in which they
// came, wherever they lie now. A record that cannot be read is logged and
// passed over.
func (q *connQueue) walk(ctx context.Context, from, to uint64, f func(*past) error) error {
	q.fold.mu.Lock()
	var moved []uint64
	for seq := range q.fold.side.rewritten {
		if seq >= from && seq < to {
			moved = append(moved, seq)
		}
	}
	q.fold.mu.Unlock()
	slices.Sort(moved)
	upTo := func(seq uint64) (replaced bool, err error) {
		for len(moved) > 0 && moved[0] <= seq && err == nil {
			replaced = moved[0] == seq
			err = q.visitMoved(ctx, moved[0], replaced, f)
			moved = moved[1:]
		}
		return replaced, err
	}
	enough := false
	err := q.scan(ctx, q.names.of(wordRecord), from, to, false, func(m stored) error {
		replaced, err := upTo(m.seq)
		if err == nil && !replaced {
			err = q.visit(m, m.seq, false, f)
		}
		enough = errors.Is(err, errEnough)
		return err
	})
	if err != nil || enough {
		return err
	}
	if _, err = upTo(to - 1); errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// visitMoved visits a record where an erasure has left it.
func (q *connQueue) visitMoved(ctx context.Context, seq uint64, left bool, f func(*past) error) error {
	for {
		q.fold.mu.Lock()
		at := q.fold.side.rewritten[seq]
		q.fold.mu.Unlock()
		m, err := q.get(ctx, at)
		if err != nil {
			return err
		}
		if m.seq > 0 {
			return q.visit(m, seq, left, f)
		}
		q.fold.mu.Lock()
		moved := q.fold.side.rewritten[seq] != at
		q.fold.mu.Unlock()
		if !moved {
			return nil // given up meanwhile
		}
	}
}

func (q *connQueue) visit(m stored, seq uint64, left bool, f func(*past) error) error {
	p := &past{seq: seq, at: m.seq, left: left, data: m.data, out: q.fold.outcomesOf(seq)}
	_, record, err := splitBody(m.data)
	if err == nil {
		p.header, err = wire.ParseHeader(record, nil)
	}
	if err != nil {
		q.store.opts.Logger.Error("a record in history cannot be read", "connector", q.name, "record", seq, "error", err)
		return nil
	}
	return f(p)
}

// replayed makes the record that a replay delivers again; nil: nothing of it was delivered.
func (q *connQueue) replayed(p *past, order queue.ReplayOrder) (*queue.Record, int) {
	h := p.header
	if !order.From.IsZero() && h.Received.Before(order.From) || !order.Till.IsZero() && !h.Received.Before(order.Till) {
		return nil, 0
	}
	body, err := h.Unpack(nil)
	if err != nil {
		q.store.opts.Logger.Error("a record in history cannot be read", "connector", q.name, "record", p.seq, "error", err)
		return nil, 0
	}
	r := &queue.Record{Seq: p.seq, ReceivedAt: h.Received, Origin: q.originOf(p.seq)}
	bytes := 0
	for i, s := range h.Spans {
		if p.out.delivered(i, s.Fate) {
			r.Events = append(r.Events, queue.Event{Index: i, Raw: body[s.Start:s.End:s.End]})
			bytes += s.End - s.Start
		}
	}
	if len(r.Events) == 0 {
		return nil, 0
	}
	return r, bytes
}

// disorder is how far records may be from the order of their times: a request
// takes time from its first byte until it is stored, and clocks are set.
const disorder = time.Hour
