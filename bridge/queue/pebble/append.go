package pebble

import (
	"context"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"
	"github.com/klauspost/compress/s2"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
)

// maxBuffer is the largest buffer that is kept for another use.
const maxBuffer = 4 << 20

// entry is the memory that one Append needs.
type entry struct {
	packed []byte // the body, compressed
	body   []byte // the body, where it is not the request's
	header []byte
	ids    []byte
	spans  []wire.Span
	items  []int // for each span, which item it is
	bytes  int   // of the events that are stored
}

func (s *Store) newEntry() *entry {
	if e, ok := s.entries.Get().(*entry); ok {
		return e
	}
	return new(entry)
}

func (s *Store) freeEntry(e *entry) {
	if cap(e.packed)+cap(e.body) <= maxBuffer {
		s.entries.Put(e)
	}
}

// Append implements queue.Queue.
func (q *connQueue) Append(ctx context.Context, b queue.Batch) (queue.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return queue.Receipt{}, err
	}
	if err := q.store.enter(); err != nil {
		return queue.Receipt{}, err
	}
	defer q.store.leave()
	if len(b.Items) == 0 {
		return queue.Receipt{}, nil
	}
	if err := wire.CheckBatch(b); err != nil {
		return queue.Receipt{}, err
	}
	if b.ReceivedAt.IsZero() {
		b.ReceivedAt = q.store.opts.Now()
	}
	if err := q.store.disk.admit(len(b.Body)); err != nil {
		return queue.Receipt{}, err
	}
	e := q.store.newEntry()
	defer q.store.freeEntry(e)
	// Outside of the lock, for the usual case that all of the body is stored.
	e.packed = s2.Encode(e.packed[:cap(e.packed)], b.Body)
	receipt, t, err := q.record(b, e)
	if err != nil {
		return queue.Receipt{}, err
	}
	crashpoint.At("append.committed")
	if err := q.wait(t); err != nil {
		return queue.Receipt{}, err
	}
	crashpoint.At("append.synced")
	return receipt, nil
}

// record sifts out the duplicates and hands the batch to the log. Where all are
// duplicates it still commits: once that is on disk, so are the first copies.
func (q *connQueue) record(b queue.Batch, e *entry) (queue.Receipt, ticket, error) {
	q.commitMu.Lock()
	defer q.commitMu.Unlock()
	from := q.ids.Next()
	receipt := q.sift(b, e)
	batch := q.store.db.NewBatchWithSize(len(e.packed) + len(e.ids) + 8*len(e.spans) + 512)
	t, err := q.write(b, e, receipt, batch)
	if err != nil {
		q.ids.Forget(from, q.ids.Next())
		return queue.Receipt{}, ticket{}, err
	}
	q.ids.Trim()
	return receipt, t, nil
}

// sift puts what is no duplicate into e and remembers its ids.
func (q *connQueue) sift(b queue.Batch, e *entry) queue.Receipt {
	for i := range b.Items {
		q.ids.Look(b.Items[i].ID)
	}
	var receipt queue.Receipt
	e.spans, e.items, e.ids, e.bytes = e.spans[:0], e.items[:0], e.ids[:0], 0
	for i := range b.Items {
		it := &b.Items[i]
		if _, repeat := q.ids.Add(it.ID); repeat {
			receipt.Duplicates++
			continue
		}
		if it.ID != (queue.Hash{}) {
			e.ids = binary.LittleEndian.AppendUint64(e.ids, it.ID[0])
			e.ids = binary.LittleEndian.AppendUint64(e.ids, it.ID[1])
		}
		switch it.Fate {
		case queue.Filtered:
			receipt.Filtered++
		case queue.Dead:
			receipt.Dead++
		}
		e.spans = append(e.spans, wire.Span{Start: it.Start, End: it.End, Fate: it.Fate})
		e.items = append(e.items, i)
		e.bytes += it.End - it.Start
	}
	receipt.Accepted = len(e.spans)
	return receipt
}

// write commits the sifted batch: record, ids, dead letters and totals.
func (q *connQueue) write(b queue.Batch, e *entry, r queue.Receipt, batch *pebble.Batch) (ticket, error) {
	before := q.state.totals
	seq := before.next
	size := 0
	if r.Accepted > 0 {
		body := len(b.Body)
		if r.Duplicates > 0 && 2*e.bytes < body {
			body = e.repack(b)
		}
		e.header = wire.AppendHeader(e.header[:0], b.ReceivedAt, e.spans, body)
		size = len(e.header) + len(e.packed)
		q.setRecord(batch, seq, e)
	}
	if r.Dead > 0 {
		if err := q.buryAtOnce(b, e, seq, batch); err != nil {
			return ticket{}, err
		}
	}
	q.mu.Lock()
	q.count(b, r, seq, uint64(size))
	q.mu.Unlock()
	if len(e.ids) > 0 {
		q.idMarks.add(q.ids.Next()-uint64(len(e.ids)/idSize), seq)
	}
	crashpoint.At("append.before-commit")
	return q.commit(batch)
}

func (q *connQueue) setRecord(batch *pebble.Batch, seq uint64, e *entry) {
	var key [seqKeyLen]byte
	op := batch.SetDeferred(seqKeyLen, sealLength+len(e.header)+len(e.packed))
	copy(op.Key, appendSeqKey(key[:0], keyRecord, q.conn, seq))
	rest := op.Value[len(appendSeal(op.Value[:0], key[:])):]
	copy(rest[copy(rest, e.header):], e.packed)
	_ = op.Finish() // returns nil always: there is no index
	if len(e.ids) > 0 {
		op = batch.SetDeferred(seqKeyLen, len(e.ids))
		copy(op.Key, appendSeqKey(key[:0], keyIDs, q.conn, seq))
		copy(op.Value, e.ids)
		_ = op.Finish()
	}
}

// repack makes a body of what is stored alone, and returns its length.
func (e *entry) repack(b queue.Batch) int {
	e.body = e.body[:0]
	for i, s := range e.spans {
		start := len(e.body)
		e.body = append(e.body, b.Body[s.Start:s.End]...)
		e.spans[i].Start, e.spans[i].End = start, len(e.body)
	}
	e.packed = s2.Encode(e.packed[:cap(e.packed)], e.body)
	return len(e.body)
}

// count brings the totals up to date with a new record. Both locks are held.
func (q *connQueue) count(b queue.Batch, r queue.Receipt, seq, size uint64) {
	st := &q.state
	st.ledger.Received += uint64(len(b.Items))
	st.ledger.Duplicates += uint64(r.Duplicates)
	st.ledger.Accepted += uint64(r.Accepted)
	st.ledger.Filtered += uint64(r.Filtered)
	st.ledger.Dead += uint64(r.Dead)
	st.nextDead += uint64(r.Dead)
	if r.Accepted == 0 {
		return
	}
	st.next++
	st.stored += size
	if r.Accepted == r.Filtered+r.Dead {
		st.complete(seq, size)
	} else if st.low == seq {
		q.oldest = oldest{seq, b.ReceivedAt}
	}
}
