package pebble

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/cockroachdb/pebble/v2"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
)

// FetchReplay implements queue.Queue. A record that has pending events gives
// those that were delivered by now. One that cannot be read is logged, counted
// in Usage and passed over, as is history that was given up meanwhile.
func (q *connQueue) FetchReplay(ctx context.Context, limit queue.Limit) (queue.Replay, []*queue.Record, error) {
	for {
		if err := ctx.Err(); err != nil {
			return queue.Replay{}, nil, err
		}
		r, orders, err := q.underWay()
		if err != nil {
			return queue.Replay{}, nil, err
		}
		if orders == nil {
			records, err := q.reread(ctx, r, limit)
			if err != nil {
				return queue.Replay{}, nil, err
			}
			return r.Copy(), records, nil
		}
		select {
		case <-ctx.Done():
		case <-orders:
		case <-q.store.failed:
		case <-q.store.done:
		}
	}
}

// underWay returns the replay, or a channel that is closed when one begins.
func (q *connQueue) underWay() (wire.Replay, <-chan struct{}, error) {
	if err := q.store.enter(); err != nil {
		return wire.Replay{}, nil, err
	}
	defer q.store.leave()
	select {
	case <-q.store.done:
		return wire.Replay{}, nil, queue.ErrClosed
	default:
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.replay.Active() {
		return q.replay, nil, nil
	}
	if q.orders == nil {
		q.orders = make(chan struct{})
	}
	return wire.Replay{}, q.orders, nil
}

// reread reads the next records of a replay. It holds no lock but the one that
// keeps the store open, and gives that up when the store is to be closed.
func (q *connQueue) reread(ctx context.Context, r wire.Replay, limit queue.Limit) ([]*queue.Record, error) {
	if err := q.store.enter(); err != nil {
		return nil, err
	}
	defer q.store.leave()
	var records []*queue.Record
	till := r.Order.Till
	w := walk{queue: q, next: r.Next, end: r.End}
	for w.advance(ctx) {
		at := w.header.Received
		if !till.IsZero() && at.After(till.Add(disorder)) {
			break
		}
		if at.Before(r.Order.From) || !till.IsZero() && !at.Before(till) {
			continue
		}
		record, bytes := w.record()
		if record == nil {
			continue
		}
		if len(records) > 0 && (len(record.Events) > limit.Events || bytes > limit.Bytes) {
			break
		}
		records = append(records, record)
		limit.Events -= len(record.Events)
		limit.Bytes -= bytes
		if limit.Events <= 0 || limit.Bytes <= 0 {
			break
		}
	}
	if err := w.close(); err != nil {
		return nil, err
	}
	return records, nil
}

// walk goes through the records of a queue and what is known of them, all as
// it was at one moment. What cannot be read is reported and passed over.
type walk struct {
	queue     *connQueue
	next, end uint64 // the record to look at next, and where to stop

	seq    uint64 // of the record at hand
	header wire.Header
	value  []byte // valid until the next step
	err    error

	records  *pebble.Iterator // nil: to be opened
	missed   *pebble.Iterator
	partials *pebble.Iterator
	state    state
}

// advance goes to the next record that can be read; false: there is none, or
// something ended the walk, as close says.
func (w *walk) advance(ctx context.Context) bool {
	for w.next < w.end && w.err == nil {
		if w.err = w.ended(ctx); w.err != nil {
			return false
		}
		if w.records == nil {
			if w.err = w.open(); w.err != nil {
				return false
			}
		}
		if !w.records.SeekGE(seqKey(keyRecord, w.queue.conn, w.next)) {
			if err := w.records.Error(); err != nil {
				w.leap(err)
				continue
			}
			return false
		}
		key := w.records.Key()
		w.seq, _ = seqOf(key)
		w.next = w.seq + 1
		var err error
		if w.value, err = valueOf(w.records); err == nil {
			err = checkSeal(key, w.value)
		}
		if err == nil {
			w.header, err = parseHeader(w.value, nil)
		}
		if err == nil {
			return true
		}
		w.skip(w.seq, err)
	}
	return false
}

// unreadableRecord is said of a record of history that stays as it is until a
// repair.
const unreadableRecord = "a record of history cannot be read and is passed over"

// leap passes over keys that cannot be read.
func (w *walk) leap(err error) {
	_ = w.shut() // fails with what is at hand
	if !isDamage(err) {
		w.err = fmt.Errorf("read history: %w", err)
		return
	}
	w.next, w.err = w.queue.afterDamage(keyRecord, w.next, w.end, err, unreadableRecord)
}

// ended says why the walk has to end, if it has to.
func (w *walk) ended(ctx context.Context) error {
	select {
	case <-w.queue.store.done:
		return queue.ErrClosed
	default:
		return ctx.Err()
	}
}

// skip passes over a record that cannot be read. An iterator that has met an
// error may be of no more use, so the walk goes on with new ones.
func (w *walk) skip(seq uint64, err error) {
	w.next = seq + 1
	w.queue.damagedAt(keyRecord, seq, unreadableRecord, err)
	_ = w.shut() // fails with what has just been reported
}

// open takes the moment's view of the store.
func (w *walk) open() error {
	q := w.queue
	records, err := q.scan(keyRecord, w.next, w.end)
	if err != nil {
		return err
	}
	w.records = records
	clone := func(from, to []byte) (*pebble.Iterator, error) {
		it, err := records.Clone(pebble.CloneOptions{IterOptions: &pebble.IterOptions{LowerBound: from, UpperBound: to}})
		if err != nil {
			return nil, fmt.Errorf("scan history: %w", err)
		}
		return it, nil
	}
	if w.missed, err = clone(seqKey(keyMissed, q.conn, w.next), seqKey(keyMissed, q.conn, w.end)); err != nil {
		return errors.Join(err, w.shut())
	}
	if w.partials, err = clone(seqKey(keyPartial, q.conn, w.next), seqKey(keyPartial, q.conn, w.end)); err != nil {
		return errors.Join(err, w.shut())
	}
	totals, err := clone(connKey(keyState, q.conn), connKey(keyState, q.conn+1))
	if err != nil {
		return errors.Join(err, w.shut())
	}
	w.state = newState()
	if totals.First() {
		w.state, err = parseState(totals.Value())
	}
	if err = errors.Join(err, totals.Error(), totals.Close()); err != nil {
		return errors.Join(fmt.Errorf("totals: %w", err), w.shut())
	}
	return nil
}

// shut closes what open has opened.
func (w *walk) shut() error {
	var errs []error
	for _, it := range [...]**pebble.Iterator{&w.records, &w.missed, &w.partials} {
		if *it != nil {
			errs = append(errs, (*it).Close())
			*it = nil
		}
	}
	return errors.Join(errs...)
}

// close ends the walk and says what ended it before its end.
func (w *walk) close() error {
	if err := w.shut(); err != nil && w.err == nil {
		w.err = fmt.Errorf("read history: %w", err)
	}
	return w.err
}

// outcomes tells of the record at hand which events have an outcome by
// settlement, and which of those were not delivered. Events with a fate from
// the start are in neither, or in both.
type outcomes struct {
	done            bool // all have an outcome
	settled, missed wire.Bitset
}

// settledAt tells whether an event that was pending at first has an outcome.
func (o outcomes) settledAt(i int) bool { return o.done || o.settled.Has(i) }

// outcomes reads what became of the events of the record at hand.
func (w *walk) outcomes() (outcomes, error) {
	conn, n := w.queue.conn, len(w.header.Spans)
	if w.state.isDone(w.seq) {
		bits, err := bitsAt(w.missed, seqKey(keyMissed, conn, w.seq))
		if err == nil && bits != nil && len(bits) != wire.Words(n) {
			err = fmt.Errorf("its outcomes: %w", wire.ErrDamaged)
		}
		return outcomes{done: true, missed: bits}, err
	}
	bits, err := bitsAt(w.partials, seqKey(keyPartial, conn, w.seq))
	if err != nil || bits == nil {
		return outcomes{}, err
	}
	settled, missed, err := splitPartial(bits, n)
	return outcomes{settled: settled, missed: missed}, err
}

// bitsAt reads the set at key; nil: there is none.
func bitsAt(it *pebble.Iterator, key []byte) (wire.Bitset, error) {
	if !it.SeekGE(key) {
		return nil, it.Error()
	}
	if string(it.Key()) != string(key) {
		return nil, nil
	}
	value, err := valueOf(it)
	if err != nil {
		return nil, err
	}
	return parseBitset(value), nil
}

// record makes a record of the delivered events of the record at hand, with
// their size; nil: there are none.
func (w *walk) record() (*queue.Record, int) {
	h := w.header
	out, err := w.outcomes()
	if err != nil {
		w.skip(w.seq, err)
		return nil, 0
	}
	delivered := func(i int) bool {
		return h.Spans[i].Fate == queue.Pending && out.settledAt(i) && !out.missed.Has(i)
	}
	n, bytes := 0, 0
	for i, s := range h.Spans {
		if delivered(i) {
			n++
			bytes += s.End - s.Start
		}
	}
	if n == 0 {
		return nil, 0
	}
	body, err := h.Unpack(nil)
	if err != nil {
		w.skip(w.seq, err)
		return nil, 0
	}
	events := make([]queue.Event, 0, n)
	for i, s := range h.Spans {
		if delivered(i) {
			events = append(events, queue.Event{Index: i, Raw: body[s.Start:s.End:s.End]})
		}
	}
	return &queue.Record{
		Seq: w.seq, ReceivedAt: h.Received, Events: events,
		Origin: w.queue.origin + strconv.FormatUint(w.seq, 36),
	}, bytes
}
