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
	if err := q.store.room.admit(a.op.size); err != nil {
		return Receipt{}, err
	}
	if err := q.store.writer.run(ctx, &a.op); err != nil {
		return Receipt{}, err
	}
	crashpoint.At("append.stored")
	return a.receipt, nil
}

// appending is an Append on its way through the writer.
type appending struct {
	op
	q        *Queue
	received int64
	body     *[]byte // of the pending events; nil: there are none
	hashes   []byte  // of the ids of all events, 16 bytes each
	items    []appended
	stored   int64 // bytes of body
	backfill bool
	from, to uint64 // positions in the window, while the transaction runs

	receipt Receipt
}

// appended is what is kept of an item until it is committed.
type appended struct {
	id     Hash
	fate   Fate
	reason string
	count  int
	size   int
	letter []byte // the bytes of a dead event
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
		*e = appended{id: it.ID, fate: it.Fate, reason: shorten(it.Reason), count: it.count(), size: len(raw)}
		switch it.Fate {
		case Pending:
			events = append(events, raw)
			total += len(raw)
		case Dead:
			e.letter = append([]byte(nil), raw...)
			a.op.size += len(raw)
		}
	}
	if total > maxRecord {
		return nil, fmt.Errorf("%w: the batch has %s", ErrTooLarge, progress.Bytes(int64(total)))
	}
	if len(events) > 0 {
		a.encode(events)
	}
	a.op.need.records = 1
	a.op.size += 64 * len(a.items)
	if q.store.shared && q.windowSize > 0 {
		a.hashContent(b)
	}
	a.op.do, a.op.undo, a.op.done = a.write, a.undo, a.finish
	return a, nil
}

func (a *appending) lane() lane {
	if a.backfill {
		return backfilled
	}
	return live
}

func (a *appending) encode(events [][]byte) {
	if a.body == nil {
		a.body = buffers.Get().(*[]byte)
	}
	*a.body = appendBody((*a.body)[:0], a.q.id, a.received, events)
	a.stored = int64(len(*a.body))
	a.op.size += len(*a.body)
}

// hashContent makes the hash by which other bridges know the batch. It covers
// the events that have ids; others are never duplicates.
func (a *appending) hashContent(b Batch) {
	h := sha256.New()
	for _, it := range b.Items {
		if it.ID != (Hash{}) {
			var id [16]byte
			putHash(id[:], it.ID)
			h.Write(id[:])
		}
	}
	a.op.need.content = []content{{a.q.id, h.Sum(nil)[:16]}}
}

func putHash(dst []byte, id Hash) {
	binary.LittleEndian.PutUint64(dst, id[0])
	binary.LittleEndian.PutUint64(dst[8:], id[1])
}

func getHash(src []byte) Hash {
	return Hash{binary.LittleEndian.Uint64(src), binary.LittleEndian.Uint64(src[8:])}
}

// write runs in the writer, which alone uses the window.
func (a *appending) write(c *change) error {
	q := a.q
	a.receipt = Receipt{}
	d := c.ledger(q)
	duplicates := a.dedupe(len(c.known) > 0 && c.known[0])
	if duplicates != nil && a.body != nil {
		if err := a.reencode(duplicates); err != nil {
			return err
		}
	}
	r := &a.receipt
	var events, size int64
	for i := range a.items {
		e := &a.items[i]
		switch {
		case duplicates != nil && duplicates[i]:
			r.Duplicates += e.count
			continue
		case e.fate == Pending:
			events++
			size += int64(e.size)
		case e.fate == Dead:
			r.Dead += e.count
		default:
			r.Filtered += e.count
		}
		r.Accepted += e.count
	}
	d.received += int64(r.Accepted + r.Duplicates)
	d.duplicates += int64(r.Duplicates)
	d.accepted += int64(r.Accepted)
	d.filtered += int64(r.Filtered)
	d.dead += int64(r.Dead)
	if a.backfill {
		d.backfilled += int64(r.Accepted)
	}
	if r.Accepted == 0 {
		return nil
	}
	return a.insert(c, d, duplicates, events, size)
}

const (
	insertRecord = `INSERT INTO record (seq, connector, received, events, pending, size, stored, backfilled) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
	insertIDs    = `INSERT INTO ids (seq, connector, events, hashes) VALUES (?, ?, ?, ?)`
)

func (a *appending) insert(c *change, d *delta, duplicates []bool, events, size int64) error {
	q := a.q
	seq := c.seq()
	d.lastSeq = max(d.lastSeq, seq)
	if events > 0 {
		err := c.exec(insertRecord, seq, q.id, a.received, events, events, size, a.stored, int64(a.lane()))
		if err == nil {
			err = c.exec(insertBody(q.store.db.body(seq)), seq, *a.body)
		}
		if err != nil {
			return err
		}
	}
	if n := len(a.hashes) / 16; n > 0 {
		if err := c.exec(insertIDs, seq, q.id, int64(n), a.hashes); err != nil {
			return err
		}
	}
	for i := range a.items {
		e := &a.items[i]
		if e.fate != Dead || duplicates != nil && duplicates[i] {
			continue
		}
		l := letterRow{seq: seq, index: i, received: a.received, reason: e.reason, events: e.count, event: e.letter}
		if err := q.insertLetter(c, l); err != nil {
			return err
		}
	}
	return nil
}

func insertBody(table string) string { return `INSERT INTO ` + table + ` (seq, data) VALUES (?, ?)` }

// dedupe puts the ids into the window and tells which items are duplicates; nil:
// none. known says that another bridge has stored the same batch.
func (a *appending) dedupe(known bool) (duplicates []bool) {
	w := a.q.window
	a.from = w.nextPos()
	a.hashes = a.hashes[:0]
	for i := range a.items {
		w.look(a.items[i].id)
	}
	for i := range a.items {
		id := a.items[i].id
		if id == (Hash{}) {
			continue
		}
		_, repeat := w.add(id)
		if repeat || known {
			if duplicates == nil {
				duplicates = make([]bool, len(a.items))
			}
			duplicates[i] = true
			continue
		}
		a.hashes = binary.LittleEndian.AppendUint64(a.hashes, id[0])
		a.hashes = binary.LittleEndian.AppendUint64(a.hashes, id[1])
	}
	a.to = w.nextPos()
	return duplicates
}

// reencode makes the body anew without the duplicates.
func (a *appending) reencode(duplicates []bool) error {
	decoded, err := decodeBody(*a.body)
	if err != nil {
		return err
	}
	kept := decoded.events[:0]
	next := 0
	for i := range a.items {
		if a.items[i].fate != Pending {
			continue
		}
		if !duplicates[i] {
			kept = append(kept, decoded.events[next])
		}
		next++
	}
	size := a.op.size // as it was queued
	a.encode(kept)
	a.op.size = size
	return nil
}

func (a *appending) undo() {
	a.q.window.forget(a.from, a.to)
}

func (a *appending) finish() {
	q := a.q
	q.window.trim()
	q.idsStored += int64(len(a.hashes) / 16)
	if a.body != nil {
		giveBuffer(a.body, *a.body)
		a.body = nil
	}
	if a.receipt.Accepted > a.receipt.Dead+a.receipt.Filtered {
		q.wakeUp()
	}
}

// shorten cuts a text to what is kept of it.
func shorten(text string) string {
	if len(text) > MaxAnswer {
		return text[:MaxAnswer]
	}
	return text
}
