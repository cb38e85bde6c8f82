package pebble

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
)

const (
	eraseBytes   = 4 << 20 // bytes of records that one commit rewrites, about
	eraseRecords = 256     // and their number
)

// Erase implements queue.Queue. It returns once the bytes are in none of the
// store's files. It reads all history and all dead letters once, and then
// rewrites the files that something was erased from: the time it takes is that
// of reading. Appends, deliveries and retention go on meanwhile. Records and
// letters that cannot be read are logged, counted in Usage and passed over.
func (q *connQueue) Erase(ctx context.Context, match func(event []byte) bool) (queue.Erasure, error) {
	if err := q.store.enter(); err != nil {
		return queue.Erasure{}, err
	}
	defer q.store.leave()
	ctx, cancel := q.store.untilEnd(ctx)
	defer cancel()
	select {
	case <-q.store.wiper.turn:
		defer func() { q.store.wiper.turn <- struct{}{} }()
	case <-ctx.Done():
		return queue.Erasure{}, q.store.endedOr(ctx.Err())
	}
	e := eraser{queue: q, match: match}
	// Letters after records: an event that dies meanwhile was counted as pending,
	// and the caller, who has to come again for those, meets its record then.
	// A letter that was moved back meanwhile is in a record that came later.
	end, err := e.records(ctx, 1)
	err = errors.Join(err, e.letters(ctx))
	if err == nil {
		_, err = e.records(ctx, end)
	}
	if err == nil {
		crashpoint.At("erase.before-wipe")
		err = q.store.wipe(ctx, q)
	}
	return e.out, q.store.endedOr(err)
}

// endedOr returns queue.ErrClosed in the place of an error that came of the
// store's end.
func (s *Store) endedOr(err error) error {
	select {
	case <-s.done:
		if err != nil {
			return queue.ErrClosed
		}
	default:
	}
	return err
}

// untilEnd returns a context that ends with the store, too.
func (s *Store) untilEnd(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-ctx.Done():
		case <-s.done:
			cancel()
		}
	}()
	return ctx, cancel
}

// eraser is one Erase under way.
type eraser struct {
	queue *connQueue
	match func(event []byte) bool
	out   queue.Erasure
	body  []byte
}

// rewritten is a record without what was erased from it.
type rewritten struct {
	seq    uint64
	value  []byte
	events int // that were erased
}

// records goes through the records from one on that are there by now, in pieces,
// each of which is committed before the next is read. It returns where they end.
func (e *eraser) records(ctx context.Context, from uint64) (uint64, error) {
	q := e.queue
	q.commitMu.Lock()
	w := walk{queue: q, next: from, end: q.state.next}
	q.commitMu.Unlock()
	for more := true; more; {
		var changed []rewritten
		size := 0
		for size < eraseBytes && len(changed) < eraseRecords {
			if more = w.advance(ctx); !more {
				break
			}
			size += len(w.value) // of all that is read: no view of the store is kept for long
			r, err := e.rewrite(&w)
			if err != nil {
				w.skip(w.seq, err)
			} else if r.value != nil {
				changed = append(changed, r)
			}
		}
		if err := w.shut(); err != nil && w.err == nil {
			w.err = fmt.Errorf("read history: %w", err)
		}
		if err := e.commit(changed); err != nil {
			return w.end, err
		}
	}
	return w.end, w.close()
}

// rewrite makes the record at hand anew without what is to be erased; its value
// is nil where all stays.
func (e *eraser) rewrite(w *walk) (rewritten, error) {
	h := w.header
	out, err := w.outcomes()
	if err != nil {
		return rewritten{}, err
	}
	if e.body, err = h.Unpack(e.body); err != nil {
		return rewritten{}, err
	}
	r := rewritten{seq: w.seq}
	pending := 0
	for i, s := range h.Spans {
		switch {
		case s.Fate == wire.Erased || !e.match(e.body[s.Start:s.End:s.End]):
		case s.Fate != queue.Pending || out.settledAt(i):
			h.Spans[i].Fate = wire.Erased
			r.events++
		default:
			pending++
		}
	}
	e.out.Pending += pending
	if r.events > 0 || h.Strays(e.body) {
		r.value = h.Without(appendSeal(nil, seqKey(keyRecord, e.queue.conn, w.seq)), e.body)
	}
	return r, nil
}

// commit puts the rewritten records in the place of the old ones. Those that
// retention has deleted meanwhile stay deleted.
func (e *eraser) commit(changed []rewritten) error {
	q := e.queue
	if len(changed) == 0 {
		return nil
	}
	size := 0
	for _, r := range changed {
		size += seqKeyLen + len(r.value)
	}
	if err := q.store.disk.admitOutcome(size); err != nil {
		return err
	}
	q.rewriteMu.Lock()
	defer q.rewriteMu.Unlock()
	batch := q.store.db.NewBatch()
	defer batch.Close()
	erased := 0
	for _, r := range changed {
		if r.seq < q.history.gone.seq {
			continue
		}
		if err := batch.Set(seqKey(keyRecord, q.conn, r.seq), r.value, nil); err != nil {
			return q.store.fail(err)
		}
		erased += r.events
	}
	crashpoint.At("erase.before-commit")
	if err := q.rewriteRecords(batch); err != nil {
		return err
	}
	crashpoint.At("erase.committed")
	e.out.History += erased
	return nil
}

// letters purges the dead letters that match, of those that are there by now.
func (e *eraser) letters(ctx context.Context) error {
	q := e.queue
	next, upTo := uint64(1), q.deadEnd()
	for next < upTo {
		numbers, rest, err := e.matching(ctx, next, upTo)
		if err != nil {
			return err
		}
		n, err := q.moveDead(ctx, numbers, mover{q.countPurged, false})
		e.out.Dead += n
		if err != nil {
			return err
		}
		next = rest
	}
	return nil
}

// matching returns the numbers of some letters that match, from next on, and
// where to go on.
func (e *eraser) matching(ctx context.Context, next, upTo uint64) (numbers []uint64, rest uint64, err error) {
	q, size := e.queue, 0
	rest = upTo
	err = q.each(ctx, keyDead, next, upTo, unreadableLetter, func(number uint64, value []byte) error {
		if size >= deadPage || len(numbers) >= deadChunk {
			rest = number
			return errEnough
		}
		d, err := parseLetter(number, value)
		if err != nil {
			q.damagedAt(keyDead, number, unreadableLetter, err)
			return nil
		}
		size += len(d.Event)
		if e.match(d.Event) {
			numbers = append(numbers, number)
		}
		return nil
	})
	return numbers, rest, err
}

// rewriteRecords commits a batch that changes nothing of the queue's totals, and waits
// until it is on disk.
func (q *connQueue) rewriteRecords(batch *pebble.Batch) error {
	if f := q.store.failure.Load(); f != nil {
		return f.err
	}
	q.store.disk.wrote(batch.Len())
	if err := q.store.db.Apply(batch, pebble.Sync); err != nil {
		return q.store.fail(err)
	}
	return nil
}
