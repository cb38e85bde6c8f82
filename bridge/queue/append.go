package queue

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/body"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/sqldb"
	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
	"github.com/currentsbridge/currentsbridge/internal/progress"
)

// maxEvent is the most bytes that one event may have.
const maxEvent = 64 << 20

// Append stores a batch and returns once it is on disk. Items whose id is in the
// window, or earlier in the same batch, are duplicates and are not stored again;
// Append returns only once their first copy is on disk too. On an error nothing
// of the batch counts and its ids are not remembered; after ErrAway and
// ErrFailed that is undecided: what reached the disk counts. A batch without
// items changes nothing.
func (q *Queue) Append(ctx context.Context, b Batch) (Receipt, error) {
	if len(b.Items) == 0 {
		return Receipt{}, nil
	}
	if b.ReceivedAt.IsZero() {
		b.ReceivedAt = time.Now()
	}
	a, err := q.prepareAppend(b)
	if err != nil {
		return Receipt{}, err
	}
	if err := q.store.space.admit(a.size); err != nil {
		return Receipt{}, err
	}
	if err := q.store.writer.run(ctx, &a.op); err != nil {
		return Receipt{}, err
	}
	crashpoint.At("append.stored")
	a.free()
	return a.receipt, nil
}

// appending is an Append that waits for the writer, or is in it.
type appending struct {
	op
	q        *Queue
	received int64
	came     encoded // the pending events
	stored   encoded // those that are stored: without duplicates
	items    []appended
	stream   int64

	receipt Receipt
}

// encoded is events and the body that is made of them.
type encoded struct {
	events body.Events
	body   *[]byte // nil: there are none
}

func encode(connector, received int64, events body.Events) encoded {
	e := encoded{events, body.Buffer()}
	*e.body = body.Append(*e.body, connector, received, events)
	return e
}

// appended is what is kept of an item until it is committed.
type appended struct {
	Item
	letter    []byte // the bytes of a dead event
	duplicate bool
}

// prepareAppend copies and compresses what is to be stored, outside of the
// writer.
func (q *Queue) prepareAppend(b Batch) (*appending, error) {
	a := &appending{q: q, received: b.ReceivedAt.UnixMicro(), items: make([]appended, len(b.Items))}
	if b.Backfilled {
		a.stream = backfillStream
	}
	events := body.NewEvents()
	for i, it := range b.Items {
		if it.Start < 0 || it.End < it.Start || it.End > len(b.Body) {
			return nil, fmt.Errorf("item %d is outside of its body", i)
		}
		raw := b.Body[it.Start:it.End]
		if len(raw) > maxEvent {
			return nil, fmt.Errorf("%w: an event has %s", ErrTooLarge, progress.Bytes(int64(len(raw))))
		}
		e := &a.items[i]
		e.Item = it
		switch it.Fate {
		case Pending:
			events.Add(raw)
		case Dead:
			e.letter = append([]byte(nil), raw...)
			a.size += len(raw)
		}
	}
	if total := len(*events.All); total > body.MaxSize {
		return nil, fmt.Errorf("%w: all events have %s", ErrTooLarge, progress.Bytes(int64(total)))
	}
	if len(events.Lengths) > 0 {
		a.came = encode(q.id, a.received, events)
		a.size += len(*a.came.body)
	}
	a.need.Records = 1
	a.size += 64 * len(a.items)
	if q.store.shared && q.windowSize > 0 {
		a.need.Content = []sqldb.Content{{Connector: q.id, Hash: contentHash(b)}}
	}
	a.do = a.write
	return a, nil
}

// contentHash is the hash by which other bridges know the batch. It covers the
// events that have ids; others are never duplicates.
func contentHash(b Batch) []byte {
	h := sha256.New()
	for _, it := range b.Items {
		if it.ID != (Hash{}) {
			h.Write(appendHash(nil, it.ID))
		}
	}
	return h.Sum(nil)[:16]
}

func appendHash(dst []byte, id Hash) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(dst, id[0]), id[1])
}

func getHash(src []byte) Hash {
	return Hash{binary.LittleEndian.Uint64(src), binary.LittleEndian.Uint64(src[8:])}
}

// write runs in the writer, which alone uses the window.
func (a *appending) write(c *change) error {
	p := c.of(a.q)
	repeated := a.dedupe(p, len(c.Known) > 0 && c.Known[0])
	a.stored = a.came
	if repeated && a.came.body != nil {
		a.stored = a.withoutDuplicates()
	}
	r := Receipt{}
	for i := range a.items {
		e := &a.items[i]
		switch {
		case e.duplicate:
			r.Duplicates += e.count()
			continue
		case e.Fate == Pending:
		case e.Fate == Dead:
			r.Dead += e.count()
			err := a.q.insertLetter(c, DeadLetter{ReceivedAt: time.UnixMicro(a.received), Reason: e.Reason, Events: e.count(), Event: e.letter})
			if err != nil {
				return err
			}
		default:
			r.Filtered += e.count()
		}
		r.Accepted += e.count()
	}
	p.sums.add(delta{received: int64(r.Accepted + r.Duplicates), duplicates: int64(r.Duplicates),
		accepted: int64(r.Accepted), filtered: int64(r.Filtered), dead: int64(r.Dead)})
	if a.stream == backfillStream {
		p.sums[backfilled] += int64(r.Accepted)
	}
	a.receipt = r
	if len(a.stored.events.Lengths) == 0 {
		return nil
	}
	return c.addRecord(a.q, a.received, a.stream, a.stored)
}

// dedupe puts the ids into the window, and marks the items that are duplicates.
// known says that another bridge has stored the same batch.
func (a *appending) dedupe(p *part, known bool) (repeated bool) {
	w := a.q.window
	for i := range a.items {
		w.Look(a.items[i].ID)
	}
	for i := range a.items {
		e := &a.items[i]
		if e.ID == (Hash{}) {
			continue
		}
		e.duplicate = w.Add(e.ID) || known
		repeated = repeated || e.duplicate
		if !e.duplicate {
			p.hashes = appendHash(p.hashes, e.ID)
		}
	}
	return repeated
}

// withoutDuplicates makes what is stored. What came stays as it is, because the
// transaction may run again and find other duplicates.
func (a *appending) withoutDuplicates() encoded {
	kept := body.NewEvents()
	events := a.came.events.Split()
	for i := range a.items {
		if a.items[i].Fate != Pending {
			continue
		}
		if !a.items[i].duplicate {
			kept.Add(events[0])
		}
		events = events[1:]
	}
	return encode(a.q.id, a.received, kept)
}

// free gives back the buffers after the commit, but for the events of a record.
func (a *appending) free() {
	if a.stored.body != a.came.body {
		body.Give(a.came.events.All)
		body.Give(a.came.body)
	}
	if a.stored.body != nil && len(*a.stored.body) <= smallBody { // its record has a copy
		body.Give(a.stored.events.All)
	}
	body.Give(a.stored.body)
}

// part is what a transaction adds to one queue.
type part struct {
	sums    delta
	lastSeq int64  // newest record
	hashes  []byte // of new ids, 16 bytes each
	pruned  int64  // ids that it removes
	small   smallBatches
	fresh   []*claim                // new records
	states  map[int64]*sqldb.Record // claimed records that it changes, as they are then
	from    uint64                  // position in the window of its first id
	replay  bool                    // it starts a replay
	opened  bool                    // it opens the queue
}

// Batches that are smaller than smallBody are stored together with others of the
// same commit, up to joinedBody bytes, that came within joinedWithin of each
// other: a record costs more than an event.
const (
	smallBody    = 4 << 10
	joinedBody   = 16 << 10
	joinedWithin = int64(time.Second / time.Microsecond)
)

// smallBatches are to be stored as one record; without a body there are none.
type smallBatches struct {
	encoded
	received int64 // of the oldest
	stream   int64
}

// addRecord stores pending events, now or before the commit. They belong to the
// record from then on.
func (c *change) addRecord(q *Queue, received int64, of int64, e encoded) error {
	if len(*e.body) > smallBody {
		return c.insertRecord(q, received, of, e)
	}
	s := &c.of(q).small
	if s.body != nil && (s.stream != of || len(*s.body)+len(*e.body) > joinedBody || max(received-s.received, s.received-received) > joinedWithin) {
		if err := c.insertSmall(q); err != nil {
			return err
		}
	}
	if s.body == nil {
		*s = smallBatches{encoded{body.NewEvents(), body.Buffer()}, received, of}
	}
	s.received = min(s.received, received)
	s.events.Join(e.events)
	*s.body = append(*s.body, *e.body...)
	return nil
}

func (c *change) insertSmall(q *Queue) error {
	p := c.of(q)
	s := p.small
	p.small = smallBatches{}
	return c.insertRecord(q, s.received, s.stream, s.encoded)
}

var (
	insertRecord = sqldb.Insert("record", "seq, connector, received, events, pending, size, stored, backfilled")
	insertIDs    = sqldb.Insert("ids", "seq, connector, hashes")
)

func (c *change) insertRecord(q *Queue, received int64, of int64, e encoded) error {
	p := c.of(q)
	n := int64(len(e.events.Lengths))
	r := &claim{Record: sqldb.Record{Seq: c.seq(), Received: received, Events: n, Pending: n, Size: int64(len(*e.events.All)),
		Stored: int64(len(*e.body)), Stream: of}, fresh: e.events}
	p.lastSeq = max(p.lastSeq, r.Seq)
	p.fresh = append(p.fresh, r)
	err := c.Exec(insertRecord, r.Seq, q.id, r.Received, r.Events, r.Pending, r.Size, r.Stored, r.Stream)
	if err == nil {
		err = c.Exec(sqldb.Insert(q.store.db.Body(r.Seq), "seq, data"), r.Seq, *e.body)
	}
	return err
}

// freshBytes bounds the events that a queue keeps in memory until they are claimed.
const freshBytes = 4 << 20

// committed applies what a transaction has added. Where all that is older has been
// claimed, new records are claimed too, with their events, and need not be read.
func (q *Queue) committed(p *part) {
	if p.opened { // it takes part in what the store does
		q.store.mu.Lock()
		q.store.byName[q.name] = q
		q.store.mu.Unlock()
	}
	q.window.Trim()
	q.idsStored.Add(int64(len(p.hashes)/16) - p.pruned)
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.store.shared { // else Ledger reads them
		q.totals.add(p.sums)
	}
	for seq, s := range p.states {
		if c := q.claims[seq]; c != nil { // else it was released meanwhile
			c.Pending, c.Outcome = s.Pending, s.Outcome
		}
	}
	for _, r := range p.fresh {
		if !q.store.shared && q.streams[r.Stream].cursor == q.last && q.fresh+r.Size <= freshBytes {
			q.fresh += r.Size
			q.streams[r.Stream].cursor = r.Seq
			q.makeReady(r)
		} else {
			body.Give(r.fresh.All)
		}
		if other := &q.streams[1-r.Stream]; other.cursor == q.last {
			other.cursor = r.Seq
		}
		q.last = r.Seq
	}
	if len(p.fresh) > 0 {
		wake(&q.more)
	}
	if p.replay {
		wake(&q.orders)
	}
}

// end writes what the operations have left for the end of the transaction.
func (c *change) end(q *Queue) error {
	p := c.of(q)
	if p.small.body != nil {
		if err := c.insertSmall(q); err != nil {
			return err
		}
	}
	if len(p.hashes) > 0 {
		if p.lastSeq == 0 { // nothing of the batches was pending
			p.lastSeq = c.seq()
		}
		if err := c.Exec(insertIDs, p.lastSeq, q.id, p.hashes); err != nil {
			return err
		}
	}
	if p.sums == (delta{}) {
		return nil
	}
	args := make([]any, 0, sums+3)
	for _, n := range p.sums {
		args = append(args, n)
	}
	return c.Exec(addToLedger, append(args, p.lastSeq, q.id, c.Ledger)...)
}
