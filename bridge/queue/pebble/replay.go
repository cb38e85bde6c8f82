package pebble

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
)

const (
	replayVersion = 1
	maxOrder      = 4 << 10 // bytes that a replay takes in the store, about
)

// StartReplay implements queue.Queue. Records that are stored later than the
// order are no part of the replay.
func (q *connQueue) StartReplay(ctx context.Context, order queue.ReplayOrder) (queue.Replay, error) {
	if err := q.enterReplay(ctx); err != nil {
		return queue.Replay{}, err
	}
	defer q.leaveReplay()
	if q.replay.Active() {
		return queue.Replay{}, fmt.Errorf("number %d: %w", q.replay.Number, queue.ErrReplaying)
	}
	next, err := q.receivedFrom(ctx, order.From)
	if err != nil {
		return queue.Replay{}, err
	}
	order.Types = append([]string(nil), order.Types...)
	r := wire.Replay{Replay: queue.Replay{
		Number: q.replay.Number + 1, Order: order, StartedAt: q.store.opts.Now(), Next: next,
	}}
	q.commitMu.Lock()
	r.End = q.state.next
	q.commitMu.Unlock()
	if err := q.storeReplay(r, 0); err != nil {
		return queue.Replay{}, err
	}
	return r.Copy(), nil
}

// EndReplay implements queue.Queue.
func (q *connQueue) EndReplay(ctx context.Context, number uint64) error {
	if err := q.enterReplay(ctx); err != nil {
		return err
	}
	defer q.leaveReplay()
	if !q.replay.Active() || q.replay.Number != number {
		return nil
	}
	r := q.replay
	r.EndedAt = q.store.opts.Now()
	return q.storeReplay(r, 0)
}

// Replay implements queue.Queue.
func (q *connQueue) Replay(ctx context.Context) (queue.Replay, error) {
	if err := ctx.Err(); err != nil {
		return queue.Replay{}, err
	}
	if err := q.store.enterToRead(); err != nil {
		return queue.Replay{}, err
	}
	defer q.store.leave()
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.replay.Copy(), nil
}

// SettleReplay implements queue.Queue.
func (q *connQueue) SettleReplay(ctx context.Context, p queue.ReplayProgress) error {
	if err := q.enterReplay(ctx); err != nil {
		return err
	}
	defer q.leaveReplay()
	r := q.replay
	if r.Active() && r.Number == p.Number {
		r.Next = max(r.Next, p.Next)
		r.Replayed += p.Replayed
		r.Refused += p.Refused
		r.Skipped += p.Skipped
		if p.End {
			r.EndedAt = q.store.opts.Now()
		}
	}
	return q.storeReplay(r, p.Replayed)
}

// enterReplay lets one caller at a time change the replay.
func (q *connQueue) enterReplay(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := q.store.enter(); err != nil {
		return err
	}
	if err := q.store.disk.admitOutcome(maxOrder); err != nil {
		q.store.leave()
		return err
	}
	q.replayMu.Lock()
	return nil
}

func (q *connQueue) leaveReplay() {
	q.replayMu.Unlock()
	q.store.leave()
}

// storeReplay commits the replay together with what it adds to the ledger, and
// makes it known once it is on disk. replayMu is held.
func (q *connQueue) storeReplay(r wire.Replay, replayed uint64) error {
	t, err := q.commitReplay(r, replayed)
	if err != nil {
		return err
	}
	crashpoint.At("replay.committed")
	if err := q.wait(t); err != nil {
		return err
	}
	crashpoint.At("replay.synced")
	q.mu.Lock()
	defer q.mu.Unlock()
	q.replay = r
	if r.Active() && q.orders != nil {
		close(q.orders)
		q.orders = nil
	}
	return nil
}

func (q *connQueue) commitReplay(r wire.Replay, replayed uint64) (ticket, error) {
	q.commitMu.Lock()
	defer q.commitMu.Unlock()
	batch := q.store.db.NewBatch()
	if r.Number > 0 {
		if err := batch.Set(connKey(keyReplay, q.conn), r.Append([]byte{replayVersion}), nil); err != nil {
			return ticket{}, errors.Join(q.store.fail(err), batch.Close())
		}
	}
	q.mu.Lock()
	q.state.ledger.Replayed += replayed
	q.mu.Unlock()
	crashpoint.At("replay.before-commit")
	return q.commit(batch)
}

// loadReplay reads the newest replay.
func (q *connQueue) loadReplay() error {
	value, err := q.store.get(connKey(keyReplay, q.conn))
	if err != nil || value == nil {
		return err
	}
	q.replay, err = parseReplay(value)
	return err
}

func parseReplay(value []byte) (wire.Replay, error) {
	rd := wire.Reader{Data: value}
	version := rd.Byte()
	r := rd.Replay()
	if rd.Bad || version != replayVersion {
		return wire.Replay{}, fmt.Errorf("replay: %w", wire.ErrDamaged)
	}
	return r, nil
}

// disorder is how far records may be from the order of their times: a request
// takes time from its first byte until it is stored, and clocks are set.
const disorder = time.Hour

// receivedFrom returns a record before which none was received at from or
// later. It reads the marks of history alone: what is done at a time was
// received before it. The marks are in the store as upkeep has them.
func (q *connQueue) receivedFrom(ctx context.Context, from time.Time) (uint64, error) {
	next := uint64(1)
	err := q.each(ctx, keyMark, 0, end, lostMark, func(seq uint64, value []byte) error {
		m, err := parseMark(value)
		if err != nil {
			q.damagedAt(keyMark, seq, lostMark, err)
			return nil
		}
		if !m.at.Add(disorder).Before(from) {
			return errEnough
		}
		next = m.seq
		return nil
	})
	return next, err
}
