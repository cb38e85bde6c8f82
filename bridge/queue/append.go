package queue

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
	"github.com/currentsbridge/currentsbridge/internal/progress"
)

// maxEvent is the most bytes that one event, and maxRecord that the events of
// one record may have: SQLite takes values of up to a billion bytes, and both
// ends hold a record in memory.
const (
	maxEvent  = 64 << 20
	maxRecord = 256 << 20
)

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
	if err := q.store.room.admit(a.size); err != nil {
		return Receipt{}, err
	}
	if err := q.store.writer.run(ctx, &a.op); err != nil {
		return Receipt{}, err
	}
	crashpoint.At("append.stored")
	a.free()
	return a.receipt, nil
}

// appending is an Append on its way through the writer.
type appending struct {
	op
	q        *Queue
	received int64
	body     *[]byte // of the pending events; nil: there are none
	stored   *[]byte // the body that is stored: without duplicates
	items    []appended
	backfill bool
	joined   bool // stored was copied into that of a record

	receipt Receipt
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
	a := &appending{q: q, received: b.ReceivedAt.UnixMicro(), backfill: b.Backfilled, items: make([]appended, len(b.Items))}
	events := make([][]byte, 0, len(b.Items))
	total := 0
	for i, it := range b.Items {
		if it.Start < 0 || it.End < it.Start || it.End > len(b.Body) {
			return nil, fmt.Errorf("item %d is outside of its body", i)
		}
		raw := b.Body[it.Start:it.End]
		if len(raw) > maxEvent {
			return nil, fmt.Errorf("%w: %s", ErrTooLarge, progress.Bytes(int64(len(raw))))
		}
		e := &a.items[i]
		e.Item = it
		switch it.Fate {
		case Pending:
			events = append(events, raw)
			total += len(raw)
		case Dead:
			e.letter = append([]byte(nil), raw...)
			a.size += len(raw)
		}
	}
	if total > maxRecord {
		return nil, fmt.Errorf("%w: the batch has %s", ErrTooLarge, progress.Bytes(int64(total)))
	}
	if len(events) > 0 {
		a.body = buffers.Get().(*[]byte)
		*a.body = appendBody((*a.body)[:0], q.id, a.received, events)
		a.size += len(*a.body)
	}
	a.need.records = 1
	a.size += 64 * len(a.items)
	if q.store.shared && q.windowSize > 0 {
		a.need.content = []content{{q.id, contentHash(b)}}
	}
	a.do = a.write
	return a, nil
}

func (a *appending) lane() lane {
	if a.backfill {
		return exported
	}
	return live
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
	repeated := a.dedupe(p, len(c.known) > 0 && c.known[0])
	a.stored = a.body
	if repeated && a.body != nil {
		if err := a.reencode(); err != nil {
			return err
		}
	}
	r := Receipt{}
	var events, size int64
	for i := range a.items {
		e := &a.items[i]
		switch {
		case e.duplicate:
			r.Duplicates += e.count()
			continue
		case e.Fate == Pending:
			events++
			size += int64(e.End - e.Start)
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
	if a.backfill {
		p.sums[backfilled] += int64(r.Accepted)
	}
	a.receipt = r
	if events == 0 {
		return nil
	}
	a.joined = len(*a.stored) <= smallBody
	return c.addRecord(a.q, recordState{received: a.received, events: events, size: size, lane: a.lane(), body: a.stored})
}

// dedupe puts the ids into the window, and marks the items that are duplicates.
// known says that another bridge has stored the same batch.
func (a *appending) dedupe(p *part, known bool) (repeated bool) {
	w := a.q.window
	for i := range a.items {
		w.look(a.items[i].ID)
	}
	for i := range a.items {
		e := &a.items[i]
		if e.ID == (Hash{}) {
			continue
		}
		e.duplicate = w.add(e.ID) || known
		repeated = repeated || e.duplicate
		if !e.duplicate {
			p.hashes = appendHash(p.hashes, e.ID)
		}
	}
	return repeated
}

// reencode makes a body without the duplicates. The first one stays as it is,
// because the transaction may run again and find others.
func (a *appending) reencode() error {
	decoded, err := decodeBody(*a.body)
	if err != nil {
		return err
	}
	kept := decoded.events[:0]
	next := 0
	for i := range a.items {
		if a.items[i].Fate != Pending {
			continue
		}
		if !a.items[i].duplicate {
			kept = append(kept, decoded.events[next])
		}
		next++
	}
	a.stored = buffers.Get().(*[]byte)
	*a.stored = appendBody((*a.stored)[:0], a.q.id, a.received, kept)
	giveBuffer(decoded.all, *decoded.all)
	return nil
}

// free gives back the buffers of what is stored.
func (a *appending) free() {
	if a.joined { // else it is the record's
		giveBuffer(a.stored, *a.stored)
	}
	if a.stored != a.body {
		giveBuffer(a.body, *a.body)
	}
}

// part is what a transaction adds to one queue.
type part struct {
	sums    delta
	lastSeq int64       // newest record
	hashes  []byte      // of new ids, 16 bytes each
	small   recordState // small batches, to be stored as one record; no events: none
	fresh   []recordState
	states  map[int64]*recordState // claimed records that it changes, as they are then
	from    uint64                 // position in the window of its first id
	pruned  int64                  // ids that it removes
	order   bool                   // it begins a replay
}

// Batches that are smaller than smallBody are stored together with others of the
// same commit, up to joinedBody bytes, that came within joinedWithin of each
// other: a record costs more than an event.
const (
	smallBody    = 4 << 10
	joinedBody   = 16 << 10
	joinedWithin = int64(time.Second / time.Microsecond)
)

// addRecord stores pending events, now or before the commit. A body that is not
// small belongs to the record from then on.
func (c *change) addRecord(q *Queue, r recordState) error {
	if len(*r.body) > smallBody {
		return c.insertRecord(q, r)
	}
	s := &c.of(q).small
	if s.events > 0 && (s.lane != r.lane || len(*s.body)+len(*r.body) > joinedBody || max(r.received-s.received, s.received-r.received) > joinedWithin) {
		if err := c.insertSmall(q); err != nil {
			return err
		}
	}
	if s.events == 0 {
		s.received, s.lane, s.body = r.received, r.lane, buffers.Get().(*[]byte)
	}
	s.received = min(s.received, r.received)
	s.events += r.events
	s.size += r.size
	*s.body = append(*s.body, *r.body...)
	return nil
}

func (c *change) insertSmall(q *Queue) error {
	p := c.of(q)
	r := p.small
	p.small = recordState{}
	return c.insertRecord(q, r)
}

var (
	insertRecord = insert("record", "seq, connector, received, events, pending, size, stored, backfilled")
	insertIDs    = insert("ids", "seq, connector, hashes")
)

func (c *change) insertRecord(q *Queue, r recordState) error {
	p := c.of(q)
	r.seq, r.pending, r.stored = c.seq(), r.events, int64(len(*r.body))
	p.lastSeq = max(p.lastSeq, r.seq)
	p.fresh = append(p.fresh, r)
	err := c.exec(insertRecord, r.seq, q.id, r.received, r.events, r.pending, r.size, r.stored, int64(r.lane))
	if err == nil {
		err = c.exec(insert(q.store.db.body(r.seq), "seq, data"), r.seq, *r.body)
	}
	return err
}

// freshBytes bounds the bodies that a queue keeps in memory until they are claimed.
const freshBytes = 2 << 20

// committed applies what a transaction has added. Where all that is older has been
// claimed, new records are claimed too, with their bodies, and need not be read.
func (q *Queue) committed(p *part) {
	q.window.trim()
	q.idsStored.Add(int64(len(p.hashes)/16) - p.pruned)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.totals.add(p.sums)
	for seq, s := range p.states {
		if c := q.claims[seq]; c != nil { // else it was released meanwhile
			c.pending, c.outcome = s.pending, s.outcome
		}
	}
	for _, r := range p.fresh {
		if !q.store.shared && q.lanes[r.lane].cursor == q.last && q.fresh+len(*r.body) <= freshBytes {
			q.fresh += len(*r.body)
			q.lanes[r.lane].cursor = r.seq
			q.hold(&claim{recordState: r})
		} else {
			giveBuffer(r.body, *r.body)
		}
		if other := &q.lanes[1-r.lane]; other.cursor == q.last {
			other.cursor = r.seq
		}
		q.last = r.seq
	}
	if len(p.fresh) > 0 {
		wake(&q.more)
	}
	if p.order {
		wake(&q.orders)
	}
}

// end writes what the operations have left for the end of the transaction.
func (c *change) end(q *Queue) error {
	p := c.of(q)
	if p.small.events > 0 {
		if err := c.insertSmall(q); err != nil {
			return err
		}
	}
	if len(p.hashes) > 0 {
		if p.lastSeq == 0 { // nothing of the batches was pending
			p.lastSeq = c.seq()
		}
		if err := c.exec(insertIDs, p.lastSeq, q.id, p.hashes); err != nil {
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
	return c.exec(addToLedger, append(args, p.lastSeq, q.id, q.store.bridge)...)
}
