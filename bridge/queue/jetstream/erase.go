package jetstream

import (
	"context"
	"errors"
	"fmt"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
)

const (
	eraseBytes   = 4 << 20 // bytes of records that are read before those that changed are deleted, about
	eraseRecords = 256     // and their number
)

// Erase implements queue.Queue. It reads all history and all dead letters once.
// A record of which something is erased is stored anew without it, and the old
// message is overwritten by the server. Events of it that are pending, and that
// another bridge has in hand just then, may be delivered twice.
func (q *connQueue) Erase(ctx context.Context, match func(event []byte) bool) (queue.Erasure, error) {
	ctx, end, err := q.beginLong(ctx)
	if err != nil {
		return queue.Erasure{}, err
	}
	defer end()
	q.eraseMu.Lock()
	defer q.eraseMu.Unlock()
	e := eraser{queue: q, match: match}
	if err := q.sync(ctx); err != nil {
		return e.out, err
	}
	// Letters after records: an event that dies meanwhile was counted as pending,
	// and the caller, who has to come again for those, meets its record then.
	// A letter that was moved back meanwhile is in a record that came later.
	last, err := e.records(ctx, 1)
	err = errors.Join(err, e.letters(ctx))
	if err == nil {
		_, err = e.records(ctx, last)
	}
	return e.out, q.store.endedOr(err)
}

// eraser is one Erase under way.
type eraser struct {
	queue *connQueue
	match func(event []byte) bool
	out   queue.Erasure
	body  []byte
	old   []uint64 // messages to be deleted
}

// records goes through the records from one on that are there by now, and
// returns where they end.
func (e *eraser) records(ctx context.Context, from uint64) (uint64, error) {
	q := e.queue
	q.fold.mu.Lock()
	to := q.fold.totals.seq + 1
	q.fold.mu.Unlock()
	size := 0
	err := q.walk(ctx, from, to, func(p *past) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if p.left { // by an erasure that was interrupted
			e.old = append(e.old, p.seq)
		}
		if err := e.record(ctx, p); err != nil {
			return err
		}
		if size += len(p.data); size >= eraseBytes || len(e.old) >= eraseRecords {
			size = 0
			return e.delete(ctx)
		}
		return nil
	})
	return to, errors.Join(err, e.delete(ctx))
}

// record erases what matches of one record.
func (e *eraser) record(ctx context.Context, p *past) error {
	var err error
	h := p.header
	if e.body, err = h.Unpack(e.body); err != nil {
		e.queue.store.opts.Logger.Error("a record in history cannot be read", "connector", e.queue.name, "record", p.seq, "error", err)
		return nil
	}
	erased, pending := 0, 0
	for i, s := range h.Spans {
		switch {
		case s.Fate == wire.Erased || !e.match(e.body[s.Start:s.End:s.End]):
		case p.out.has(i):
			h.Spans[i].Fate = wire.Erased
			erased++
		default:
			pending++
		}
	}
	e.out.Pending += pending
	if erased == 0 && !h.Strays(e.body) {
		return nil
	}
	if err := e.rewrite(ctx, p, h); err != nil {
		return err
	}
	e.out.History += erased
	return nil
}

// rewrite stores a record anew. It is delivered again where a part of it is pending.
func (e *eraser) rewrite(ctx context.Context, p *past, h wire.Header) error {
	q := e.queue
	_, record, err := splitBody(p.data)
	if err != nil {
		return err
	}
	body := h.Without(append([]byte(nil), p.data[:len(p.data)-len(record)]...), e.body)
	word := wordRecord
	if p.out.done {
		word = wordOld
	}
	nonce := q.store.nonce.Add(1)
	m := message(q.names.at(word, p.seq), entry{
		kind: kindRewritten, writer: q.store.bridge, nonce: nonce, number: p.seq, received: h.Received, events: len(h.Spans), size: len(body),
	}, body, q.idOf(nonce))
	a, err := q.store.publish(ctx, m)
	if err != nil {
		return err
	}
	e.old = append(e.old, p.at)
	return q.settled(ctx, a.seq)
}

// delete deletes the old messages, once no bridge can miss what they said.
func (e *eraser) delete(ctx context.Context) error {
	if len(e.old) == 0 {
		return nil
	}
	q := e.queue
	old := e.old
	e.old = nil
	if err := q.storeTotals(ctx); err != nil {
		return err
	}
	return inParallel(old, func(seq uint64) error { return q.erase(ctx, seq) })
}

// erase deletes a message and has the server overwrite its bytes.
func (q *connQueue) erase(ctx context.Context, seq uint64) error {
	err := q.store.again(ctx, func(ctx context.Context) error {
		err := q.js.SecureDeleteMsg(ctx, seq)
		if err == nil {
			return nil
		}
		if _, absent := q.js.GetMsg(ctx, seq); errors.Is(absent, natsjs.ErrMsgNotFound) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("delete message %d: %w", seq, err)
	}
	return nil
}

// letters purges the dead letters that match, of those that are there by now.
func (e *eraser) letters(ctx context.Context) error {
	q := e.queue
	q.fold.mu.Lock()
	to := q.fold.totals.seq + 1
	q.fold.mu.Unlock()
	err := q.eachLetter(ctx, 1, to, func(m stored, number uint64) error {
		d, err := parseLetter(number, m.data)
		if err != nil {
			q.store.opts.Logger.Error("a dead letter cannot be read", "connector", q.name, "number", number, "error", err)
			return nil
		}
		if !e.match(d.Event) {
			return nil
		}
		ended, err := q.endLetter(ctx, number, q.purgeLetter)
		if ended {
			e.out.Dead++
			e.old = append(e.old, m.seq)
		}
		return err
	})
	if err = errors.Join(err, e.delete(ctx)); err == nil {
		q.sweepLetters(ctx)
	}
	return err
}
