package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/currentsbridge/currentsbridge/internal/crashpoint"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
)

// history is the records of a queue that are done and still there: those from
// gone to the low mark. Only the store's upkeep uses it, apart from opening;
// gone is changed under rewriteMu.
type history struct {
	gone  mark   // what is older was given up
	marks []mark // places where it can be cut, oldest first
	ids   uint64 // ids of records before this one are not in the store
}

// mark says that at a time the records before seq were done, which together
// with all before them have taken so many bytes.
type mark struct {
	seq, bytes uint64
	at         time.Time
}

func (m mark) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, m.seq)
	dst = binary.AppendUvarint(dst, m.bytes)
	return binary.AppendVarint(dst, m.at.UnixNano())
}

func parseMark(value []byte) (mark, error) {
	r := wire.Reader{Data: value}
	m := mark{seq: r.Uint(), bytes: r.Uint(), at: time.Unix(0, r.Int())}
	if err := r.Err(); err != nil {
		return mark{}, fmt.Errorf("mark in history: %w", err)
	}
	return m, nil
}

// lostMark is said of a mark that stays as it is until a repair.
const lostMark = "a mark in history cannot be read: history is cut at the next one"

// loadHistory reads the marks.
func (q *connQueue) loadHistory() error {
	value, err := q.store.get(connKey(keyGone, q.conn))
	if err != nil {
		return err
	}
	q.history.gone.seq = 1
	if value != nil {
		if q.history.gone, err = parseMark(value); err != nil {
			return err
		}
	}
	return q.each(context.Background(), keyMark, 0, end, lostMark, func(seq uint64, value []byte) error {
		m, err := parseMark(value)
		if err != nil {
			q.damagedAt(keyMark, seq, lostMark, err)
			return nil
		}
		q.history.marks = append(q.history.marks, m)
		return nil
	})
}

// newest is the latest place where history can be cut.
func (h *history) newest() mark {
	if n := len(h.marks); n > 0 {
		return h.marks[n-1]
	}
	return h.gone
}

// notAfter brings marks that a clock which ran ahead has set down to now, else
// what they stand for would be kept until the clock gets there. They are in order.
func (h *history) notAfter(now time.Time) {
	for i := len(h.marks) - 1; i >= 0 && h.marks[i].at.After(now); i-- {
		h.marks[i].at = now
	}
}

// note adds a mark at what is done by now, if the last one is older than every
// or at least step bytes ago. It goes to the store without a wait: a mark that
// is lost in a crash is made again.
func (q *connQueue) note(now time.Time, every time.Duration, step uint64) error {
	q.mu.Lock()
	m := mark{seq: q.durable.low, bytes: q.durable.done, at: now}
	q.mu.Unlock()
	q.history.notAfter(now)
	last := q.history.newest()
	if m.seq <= last.seq || (now.Sub(last.at) < every && m.bytes-last.bytes < step) {
		return nil
	}
	if err := q.store.db.Set(seqKey(keyMark, q.conn, m.seq), m.append(nil), pebble.NoSync); err != nil {
		return fmt.Errorf("mark history: %w", err)
	}
	crashpoint.At("history.marked")
	q.history.marks = append(q.history.marks, m)
	return nil
}

// size is how much history there is, in bytes.
func (q *connQueue) size() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.durable.done - q.history.gone.bytes
}

// cut gives up the history before the first n marks and returns its bytes.
func (q *connQueue) cut(n int) (uint64, error) {
	crashpoint.At("history.before-cut")
	to := q.history.marks[n-1]
	// Erase puts nothing back that goes here.
	q.rewriteMu.Lock()
	defer q.rewriteMu.Unlock()
	b := q.store.db.NewBatch()
	defer b.Close()
	err := errors.Join(
		b.DeleteRange(seqKey(keyRecord, q.conn, 0), seqKey(keyRecord, q.conn, to.seq), nil),
		b.DeleteRange(seqKey(keyMissed, q.conn, 0), seqKey(keyMissed, q.conn, to.seq), nil),
		b.DeleteRange(seqKey(keyMark, q.conn, 0), seqKey(keyMark, q.conn, to.seq+1), nil),
		b.Set(connKey(keyGone, q.conn), to.append(nil), nil),
		b.Commit(pebble.NoSync),
	)
	if err != nil {
		return 0, fmt.Errorf("give up history: %w", err)
	}
	crashpoint.At("history.cut")
	freed := to.bytes - q.history.gone.bytes
	q.history.gone = to
	q.history.marks = append([]mark(nil), q.history.marks[n:]...)
	return freed, nil
}

// oldestIDs returns a record before which no ids are in the window. Where the
// queue is not open, it is not known how large the window is.
func (q *connQueue) oldestIDs() uint64 {
	q.commitMu.Lock()
	defer q.commitMu.Unlock()
	if q.ids == nil {
		return 0
	}
	return q.idMarks.cut(q.ids.First())
}

// dropIDs deletes the ids of records that have none in the window any more.
func (q *connQueue) dropIDs() error {
	before := q.oldestIDs()
	if before <= q.history.ids {
		return nil
	}
	err := q.store.db.DeleteRange(seqKey(keyIDs, q.conn, 0), seqKey(keyIDs, q.conn, before), pebble.NoSync)
	if err != nil {
		return fmt.Errorf("delete old ids: %w", err)
	}
	crashpoint.At("history.ids-dropped")
	q.history.ids = before
	return nil
}
