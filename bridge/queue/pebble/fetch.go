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

// Fetch implements queue.Queue. A record that cannot be read is logged, counted
// in Usage and set aside: it stays pending and does not hold up the others.
func (q *connQueue) Fetch(ctx context.Context, limit queue.Limit) ([]*queue.Record, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		records, news, err := q.take(limit)
		if len(records) > 0 || err != nil {
			return records, err
		}
		select {
		case <-ctx.Done():
		case <-news:
		case <-q.store.failed:
		case <-q.store.done:
		}
	}
}

// take hands out what is there. Where there is nothing it returns a channel
// that is closed when there may be.
func (q *connQueue) take(limit queue.Limit) ([]*queue.Record, <-chan struct{}, error) {
	if err := q.store.enter(); err != nil {
		return nil, nil, err
	}
	defer q.store.leave()
	var records []*queue.Record
	room := limit
	for {
		l, news := q.claim(room, len(records) == 0)
		if l == nil {
			return records, news, nil
		}
		record, err := q.load(l, room, len(records) == 0)
		if err != nil {
			q.setAside(l, err)
			continue
		}
		if record == nil { // no room for it: it is the first of the next Fetch
			return records, nil, nil
		}
		records = append(records, record)
		for i := range record.Events {
			room.Bytes -= len(record.Events[i].Raw)
		}
		if room.Events -= len(record.Events); room.Events <= 0 || room.Bytes <= 0 {
			return records, nil, nil
		}
	}
}

// claim picks the oldest record that is open and not handed out, if it fits.
func (q *connQueue) claim(room queue.Limit, first bool) (*lease, <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var seq uint64
	if len(q.returned) > 0 {
		if w := q.returned[0]; !first && (w.events > room.Events || w.bytes > room.Bytes) {
			return nil, nil
		}
		seq = q.returned.take().seq
	} else {
		q.cursor = q.state.open(q.cursor)
		if q.cursor >= q.durable.next {
			if q.news == nil {
				q.news = make(chan struct{})
			}
			return nil, q.news
		}
		seq = q.cursor
		q.cursor++
	}
	l := q.store.newLease()
	l.seq = seq
	if bits, ok := q.partial[seq]; ok {
		l.settled = append(l.settled[:0], bits...)
		l.partial = true
		delete(q.partial, seq)
	}
	q.held[seq] = l
	return l, nil
}

// load reads the record. It returns nil and gives the record back where it does
// not fit into room and is not the first.
func (q *connQueue) load(l *lease, room queue.Limit, first bool) (*queue.Record, error) {
	key := seqKey(keyRecord, q.conn, l.seq)
	value, closer, err := q.store.lookup(key)
	if err != nil {
		if errors.Is(err, pebble.ErrNotFound) {
			err = fmt.Errorf("it is not there: %w", wire.ErrDamaged)
		}
		return nil, err
	}
	defer closer.Close()
	if err := checkSeal(key, value); err != nil {
		return nil, err
	}
	h, err := parseHeader(value, l.spans)
	l.spans = h.Spans
	if err != nil {
		return nil, err
	}
	if !l.partial {
		l.settled = l.settled.Sized(len(l.spans))
	} else if err := l.split(); err != nil {
		return nil, err
	}
	events, bytes := l.pending()
	if !first && (events > room.Events || bytes > room.Bytes) {
		q.giveBack(l, waiting{l.seq, events, bytes})
		return nil, nil
	}
	if l.body, err = h.Unpack(l.body); err != nil {
		return nil, err
	}
	l.fill()
	q.mu.Lock()
	defer q.mu.Unlock()
	l.size, l.received, l.left = uint64(len(value)), h.Received, events
	return &queue.Record{
		Seq: l.seq, ReceivedAt: h.Received, Events: l.events,
		Origin: q.origin + strconv.FormatUint(l.seq, 36), Store: l,
	}, nil
}

// giveBack returns a record with open events to where it is fetched from.
func (q *connQueue) giveBack(l *lease, w waiting) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.held, l.seq)
	if l.partial {
		q.partial[l.seq] = l.outcomes()
	}
	q.returned.add(w)
	q.store.freeLease(l)
	q.tell()
}

// setAside keeps a record that cannot be read from being fetched again before
// the next start. It stays held, and so pending.
func (q *connQueue) setAside(l *lease, err error) {
	q.damagedAt(keyRecord, l.seq, "a record cannot be read and is set aside; it stays pending", err)
	q.mu.Lock()
	defer q.mu.Unlock()
	aside := &lease{seq: l.seq}
	q.held[l.seq] = aside
	if l.partial {
		q.partial[l.seq] = l.outcomes()
	}
	q.store.freeLease(l)
}

// Release implements queue.Queue.
func (q *connQueue) Release(records ...*queue.Record) {
	for _, r := range records {
		l, ok := r.Store.(*lease)
		if !ok {
			continue // given back before
		}
		r.Store, r.Events = nil, nil
		q.release(l)
	}
}

func (q *connQueue) release(l *lease) {
	if l.left > 0 {
		events, bytes := l.pending()
		q.giveBack(l, waiting{l.seq, events, bytes})
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.held, l.seq)
	q.store.freeLease(l)
}
