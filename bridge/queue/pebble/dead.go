package pebble

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/klauspost/compress/s2"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
)

const (
	deadPage  = 16 << 20 // bytes of events that one Dead returns, and one commit moves
	deadChunk = 1000     // letters that one commit moves
)

// Dead implements queue.Queue.
func (q *connQueue) Dead(ctx context.Context, after uint64, limit int) ([]queue.DeadLetter, error) {
	if err := q.store.enter(); err != nil {
		return nil, err
	}
	defer q.store.leave()
	upTo := q.deadEnd()
	if limit <= 0 || after+1 >= upTo {
		return nil, ctx.Err()
	}
	var letters []queue.DeadLetter
	bytes := 0
	err := q.each(ctx, keyDead, after+1, upTo, unreadableLetter, func(number uint64, value []byte) error {
		if len(letters) >= limit || bytes >= deadPage {
			return errEnough
		}
		d, err := parseLetter(number, value)
		if err != nil {
			q.damagedAt(keyDead, number, unreadableLetter, err)
			return nil
		}
		bytes += len(d.Event)
		letters = append(letters, d.DeadLetter)
		return nil
	})
	return letters, err
}

// deadEnd is above the numbers of all dead letters that are on disk.
func (q *connQueue) deadEnd() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.durable.nextDead
}

// unreadableLetter is said of a letter that stays where it is, and counts as
// dead, until a repair.
const unreadableLetter = "a dead letter cannot be read and is passed over"

// ReplayDead implements queue.Queue. What moves in one commit is one new record.
func (q *connQueue) ReplayDead(ctx context.Context, numbers ...uint64) (int, error) {
	if err := q.store.enter(); err != nil {
		return 0, err
	}
	defer q.store.leave()
	return q.moveDead(ctx, numbers, mover{q.revive, true})
}

// PurgeDead implements queue.Queue.
func (q *connQueue) PurgeDead(ctx context.Context, numbers ...uint64) (int, error) {
	if err := q.store.enter(); err != nil {
		return 0, err
	}
	defer q.store.leave()
	return q.moveDead(ctx, numbers, mover{q.countPurged, false})
}

// countPurged counts letters that are gone for good. Both locks are held.
func (q *connQueue) countPurged(letters []deadLetter, _ *pebble.Batch) {
	q.state.ledger.Dead -= uint64(len(letters))
	q.state.ledger.Purged += uint64(len(letters))
}

// mover says what becomes of letters that are taken out of the store.
type mover struct {
	move  func([]deadLetter, *pebble.Batch) // called under both locks
	keeps bool                              // their events are stored again
}

// moveDead takes the letters out of the store, in as many commits as it needs,
// and gives those of each commit to m. The caller has entered.
func (q *connQueue) moveDead(ctx context.Context, numbers []uint64, m mover) (int, error) {
	moved := 0
	for len(numbers) > 0 {
		if err := ctx.Err(); err != nil {
			return moved, err
		}
		t, n, rest, err := q.moveSome(numbers, m)
		if err != nil {
			return moved, err
		}
		crashpoint.At("dead.committed")
		if err := q.wait(t); err != nil {
			return moved, err
		}
		crashpoint.At("dead.synced")
		moved += n
		numbers = rest
	}
	return moved, nil
}

// moveSome hands one commit to the log and returns how many letters it moves
// and the numbers that it has not come to.
func (q *connQueue) moveSome(numbers []uint64, m mover) (ticket, int, []uint64, error) {
	q.commitMu.Lock()
	defer q.commitMu.Unlock()
	batch := q.store.db.NewBatch()
	letters, rest, err := q.exhume(numbers, batch)
	if err != nil {
		return ticket{}, 0, nil, err
	}
	size := batch.Len()
	for _, d := range letters {
		if m.keeps {
			size += len(d.Event)
		}
	}
	if err := q.store.disk.admitOutcome(size); err != nil {
		return ticket{}, 0, nil, err
	}
	if len(letters) > 0 {
		q.mu.Lock()
		m.move(letters, batch)
		q.mu.Unlock()
	}
	crashpoint.At("dead.before-commit")
	t, err := q.commit(batch)
	return t, len(letters), rest, err
}

// exhume reads letters and deletes them in batch. commitMu is held, so that
// nobody else can move them.
func (q *connQueue) exhume(numbers []uint64, batch *pebble.Batch) (letters []deadLetter, rest []uint64, err error) {
	seen := map[uint64]bool{}
	bytes := 0
	for i, number := range numbers {
		if len(letters) == deadChunk || bytes >= deadPage {
			return letters, numbers[i:], nil
		}
		key := seqKey(keyDead, q.conn, number)
		value, err := q.store.get(key)
		if err != nil {
			if !isDamage(err) {
				return nil, nil, err
			}
			q.damagedAt(keyDead, number, unreadableLetter, err)
			continue
		}
		if value == nil || seen[number] {
			continue
		}
		seen[number] = true
		d, err := parseLetter(number, value)
		if err != nil {
			q.damagedAt(keyDead, number, unreadableLetter, err)
			continue
		}
		if err := batch.Delete(key, nil); err != nil {
			return nil, nil, fmt.Errorf("delete dead letter %d: %w", number, err)
		}
		bytes += len(d.Event)
		letters = append(letters, d)
	}
	return letters, nil, nil
}

// revive makes a new record of the letters. Their ids are in the window as they
// were, so that Braze cannot bring them a second time.
func (q *connQueue) revive(letters []deadLetter, batch *pebble.Batch) {
	e := q.store.newEntry()
	defer q.store.freeEntry(e)
	e.spans, e.body, e.ids = e.spans[:0], e.body[:0], e.ids[:0]
	for _, d := range letters {
		start := len(e.body)
		e.body = append(e.body, d.Event...)
		e.spans = append(e.spans, wire.Span{Start: start, End: len(e.body)})
	}
	now := q.store.opts.Now()
	e.packed = s2.Encode(e.packed[:cap(e.packed)], e.body)
	e.header = wire.AppendHeader(e.header[:0], now, e.spans, len(e.body))
	q.setRecord(batch, q.state.next, e)
	st := &q.state
	st.ledger.Dead -= uint64(len(letters))
	st.stored += uint64(len(e.header) + len(e.packed))
	if st.low == st.next {
		q.oldest = oldest{st.next, now}
	}
	st.next++
}
