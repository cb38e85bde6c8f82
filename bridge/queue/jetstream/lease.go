package jetstream

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
)

// Words that a consumer understands as acknowledgements.
const (
	ackDone     = "+ACK"
	ackProgress = "+WPI"
	ackGiveBack = "-NAK"
)

// lease is a record that this bridge holds. The queue's mu guards it.
type lease struct {
	seq     uint64
	replies []string  // where its messages are acknowledged
	touched time.Time // when the server last heard of it
	pooled  time.Time // since when it waits to be handed out

	received time.Time
	spans    []wire.Span
	body     []byte
	bytes    int // of the events that are not settled
	settled  wire.Bitset
	left     int

	out     bool   // it is handed out
	claimed uint64 // the place of its newest outcome
	acked   bool
}

const idSize = 16

// splitBody takes a record's message apart into ids and record.
func splitBody(data []byte) (ids, record []byte, err error) {
	r := wire.Reader{Data: data}
	n := r.Length(len(data) / idSize)
	if r.Bad || n*idSize > len(r.Data) {
		return nil, nil, fmt.Errorf("record: %w", wire.ErrDamaged)
	}
	return r.Data[:n*idSize], r.Data[n*idSize:], nil
}

// idAt returns the id at place i of ids.
func idAt(ids []byte, i int) queue.Hash {
	at := ids[i*idSize:]
	return queue.Hash{binary.LittleEndian.Uint64(at), binary.LittleEndian.Uint64(at[8:])}
}

// newLease reads a record's message.
func newLease(seq uint64, data []byte) (*lease, error) {
	_, record, err := splitBody(data)
	if err != nil {
		return nil, err
	}
	h, err := wire.ParseHeader(record, nil)
	if err != nil {
		return nil, err
	}
	body, err := h.Unpack(nil)
	if err != nil {
		return nil, err
	}
	return &lease{seq: seq, received: h.Received, spans: h.Spans, body: body, settled: wire.Bitset(nil).Sized(len(h.Spans))}, nil
}

// open tells whether event i waits for an outcome.
func (l *lease) open(i int) bool { return !l.settled.Has(i) }

// settle notes that event i has an outcome.
func (l *lease) settle(i int) {
	if l.open(i) {
		l.settled.Set(i)
		l.left--
		l.bytes -= l.spans[i].End - l.spans[i].Start
	}
}

// refresh takes over what the totals know of the record; false: it is done.
func (l *lease) refresh(f *fold) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	it := f.pending.find(l.seq)
	l.settled, l.left, l.bytes = l.settled.Sized(len(l.spans)), 0, 0
	for i, s := range l.spans {
		if it == nil || it.has(i) {
			l.settled.Set(i)
		} else {
			l.left++
			l.bytes += s.End - s.Start
		}
	}
	return l.left > 0
}

// record makes what is handed out.
func (l *lease) record(origin string) *queue.Record {
	r := &queue.Record{Seq: l.seq, ReceivedAt: l.received, Origin: origin, Store: l, Events: make([]queue.Event, 0, l.left)}
	for i, s := range l.spans {
		if l.open(i) {
			r.Events = append(r.Events, queue.Event{Index: i, Raw: l.body[s.Start:s.End:s.End]})
		}
	}
	return r
}

// put takes a lease into the pool. mu is held.
func (q *connQueue) put(l *lease) {
	i, found := slices.BinarySearchFunc(q.pool, l.seq, func(l *lease, seq uint64) int { return cmp.Compare(l.seq, seq) })
	if found {
		return
	}
	l.pooled = time.Now()
	q.pool = slices.Insert(q.pool, i, l)
	close(q.more)
	q.more = make(chan struct{})
}

// drop lets go of a lease with the given word to the server. mu is held.
func (q *connQueue) drop(l *lease, word string) {
	q.answer(l, word)
	delete(q.held, l.seq)
}

// answer says something to the server about a lease's messages. Where that gets
// lost they come again, after the ack wait.
func (q *connQueue) answer(l *lease, word string) {
	for _, reply := range l.replies {
		_ = q.store.nc.Publish(reply, []byte(word))
	}
	l.touched = time.Now()
	if word == ackDone {
		l.acked = true
	}
}

// finish acknowledges a lease that has nothing left, once the totals say so
// too. Where they say otherwise it waits for delivery again. mu is held.
func (q *connQueue) finish(l *lease) {
	if l.left > 0 || l.acked {
		return
	}
	q.fold.mu.Lock()
	sure := q.fold.totals.seq >= l.claimed
	q.fold.mu.Unlock()
	switch {
	case !sure: // heartbeats come back to it
	case l.refresh(q.fold):
		if !l.out {
			q.put(l)
		}
	default:
		q.answer(l, ackDone)
		if !l.out {
			delete(q.held, l.seq)
		}
	}
}

// Release implements queue.Queue.
func (q *connQueue) Release(records ...*queue.Record) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range records {
		l, ok := r.Store.(*lease)
		if !ok || !l.out || q.held[l.seq] != l {
			continue
		}
		l.out = false
		switch {
		case q.gone:
		case l.acked:
			delete(q.held, l.seq)
		case l.left == 0:
			q.finish(l)
		default:
			q.put(l)
		}
	}
}

// heartbeats tell the server that this bridge lives and holds its records.
func (q *connQueue) heartbeats() {
	const beats = 4 // in an ack wait
	every := q.store.opts.AckWait / beats
	for sleep(q.store.ctx, every) {
		q.beat(every)
	}
}

func (q *connQueue) beat(every time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	for _, l := range q.held {
		switch {
		case l.acked:
		case l.left == 0 && l.claimed > 0:
			q.finish(l)
		}
		if !l.acked && now.Sub(l.touched) >= every/2 {
			q.answer(l, ackProgress)
		}
	}
	if q.waiting > 0 {
		return
	}
	// What nobody here asks for any more, others may have.
	q.pool = slices.DeleteFunc(q.pool, func(l *lease) bool {
		idle := now.Sub(l.pooled) > q.store.opts.AckWait
		if idle {
			q.drop(l, ackGiveBack)
		}
		return idle
	})
}

// giveBack gives everything back and waits, for a bounded time, until the
// server has it.
func (q *connQueue) giveBack() {
	q.mu.Lock()
	q.gone = true
	var replies []string
	for _, l := range q.held {
		if !l.acked {
			replies = append(replies, l.replies...)
		}
	}
	q.held, q.pool = map[uint64]*lease{}, nil
	q.mu.Unlock()
	nc := q.store.nc
	if q.pulls != nil {
		_ = q.pulls.Unsubscribe()
	}
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil || len(replies) == 0 {
		return
	}
	for _, reply := range replies {
		_ = nc.PublishRequest(reply, inbox, []byte(ackGiveBack))
	}
	deadline := time.Now().Add(attemptTime)
	for range replies {
		if _, err := sub.NextMsg(time.Until(deadline)); err != nil {
			return
		}
	}
}

// delivery is a message that the server has handed to this bridge.
type delivery struct {
	msg  *nats.Msg
	seq  uint64 // of the record
	at   uint64 // in the stream
	back bool   // another bridge, or this one, had it before
}
