package pebble

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
)

const letterVersion = 1

// deadLetter is a dead letter with the record and place that it comes from.
type deadLetter struct {
	queue.DeadLetter
	seq   uint64
	index int
}

// bury writes a dead letter into batch.
func (q *connQueue) bury(d deadLetter, batch *pebble.Batch) error {
	key := seqKey(keyDead, q.conn, d.Number)
	return batch.Set(key, d.append(appendSeal(nil, key)), nil)
}

// buryAtOnce writes the dead letters of events that arrived dead. Their numbers
// are counted later, with the rest of the batch.
func (q *connQueue) buryAtOnce(b queue.Batch, e *entry, seq uint64, batch *pebble.Batch) error {
	now, number := q.store.opts.Now(), q.state.nextDead
	for index, i := range e.items {
		it := &b.Items[i]
		if it.Fate != queue.Dead {
			continue
		}
		d := deadLetter{
			DeadLetter: queue.DeadLetter{
				Number: number, ReceivedAt: b.ReceivedAt, DiedAt: now,
				Reason: it.Reason, Event: b.Body[it.Start:it.End],
			},
			seq: seq, index: index,
		}
		if was := it.Letter; was != nil {
			d.DiedAt, d.Status, d.Answer, d.Attempts = was.DiedAt, was.Status, was.Answer, was.Attempts
		}
		if err := q.bury(d, batch); err != nil {
			return q.store.fail(err)
		}
		number++
	}
	return nil
}

func (d deadLetter) append(dst []byte) []byte {
	dst = append(dst, letterVersion)
	dst = binary.AppendVarint(dst, d.ReceivedAt.UnixNano())
	dst = binary.AppendVarint(dst, d.DiedAt.UnixNano())
	dst = binary.AppendVarint(dst, int64(d.Status))
	dst = binary.AppendVarint(dst, int64(d.Attempts))
	dst = binary.AppendUvarint(dst, d.seq)
	dst = binary.AppendUvarint(dst, uint64(d.index))
	dst = wire.AppendBytes(dst, []byte(wire.Shorten(d.Reason)))
	dst = wire.AppendBytes(dst, []byte(wire.Shorten(d.Answer)))
	return wire.AppendEvent(dst, d.Event)
}

func parseLetter(number uint64, value []byte) (deadLetter, error) {
	owner, value := unseal(value)
	if owned, _ := seqOf(owner); owner != nil && owned != number {
		return deadLetter{}, fmt.Errorf("dead letter %d is letter %d: %w", number, owned, wire.ErrDamaged)
	}
	r := wire.Reader{Data: value}
	version := r.Byte()
	d := deadLetter{DeadLetter: queue.DeadLetter{
		Number: number, ReceivedAt: time.Unix(0, r.Int()), DiedAt: time.Unix(0, r.Int()),
		Status: int(r.Int()), Attempts: int(r.Int()),
	}}
	d.seq = r.Uint()
	d.index = r.Length(wire.MaxBody)
	d.Reason = string(r.Bytes())
	d.Answer = string(r.Bytes())
	if r.Bad || version != letterVersion {
		return deadLetter{}, fmt.Errorf("dead letter %d: %w", number, wire.ErrDamaged)
	}
	event, err := r.Event()
	if err != nil {
		return deadLetter{}, fmt.Errorf("dead letter %d: %w", number, err)
	}
	d.Event = event
	return d, nil
}
