package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
)

// StartReplay implements queue.Queue. One of all bridges works on the replay,
// this one to begin with; another takes it over when that one is gone.
func (q *connQueue) StartReplay(ctx context.Context, order queue.ReplayOrder) (queue.Replay, error) {
	ctx, end, err := q.beginLong(ctx)
	if err != nil {
		return queue.Replay{}, err
	}
	defer end()
	if err := q.sync(ctx); err != nil {
		return queue.Replay{}, err
	}
	q.fold.mu.Lock()
	now, last := q.fold.replay, q.fold.totals.seq+1
	q.fold.mu.Unlock()
	if now.Active() {
		return queue.Replay{}, fmt.Errorf("number %d: %w", now.Number, queue.ErrReplaying)
	}
	next, err := q.receivedFrom(ctx, order.From, last)
	if err != nil {
		return queue.Replay{}, q.store.endedOr(err)
	}
	order.Types = append([]string(nil), order.Types...)
	r := wire.Replay{Replay: queue.Replay{Number: now.Number + 1, Order: order, StartedAt: q.store.opts.Now(), Next: next}, End: last}
	a, err := q.log(ctx, entry{kind: kindOrder, replay: r})
	if err == nil {
		err = q.settled(ctx, a.seq)
	}
	if err != nil {
		return queue.Replay{}, q.store.endedOr(err)
	}
	q.fold.mu.Lock()
	defer q.fold.mu.Unlock()
	if q.fold.replay.Number != r.Number || !q.fold.replay.StartedAt.Equal(r.StartedAt) {
		return queue.Replay{}, fmt.Errorf("number %d: %w", q.fold.replay.Number, queue.ErrReplaying)
	}
	return r.Copy(), nil
}

// receivedFrom returns a record before which none was received at from or later.
// What was received at a time was stored after it.
func (q *connQueue) receivedFrom(ctx context.Context, from time.Time, last uint64) (uint64, error) {
	if from.IsZero() {
		return 1, nil
	}
	start := from.Add(-disorder)
	c, err := q.store.js.OrderedConsumer(ctx, q.names.stream, natsjs.OrderedConsumerConfig{
		FilterSubjects: []string{q.names.of(wordRecord)}, HeadersOnly: true, InactiveThreshold: idleConsumer,
		DeliverPolicy: natsjs.DeliverByStartTimePolicy, OptStartTime: &start,
	})
	if err != nil {
		return 0, fmt.Errorf("look for the time in the stream: %w", err)
	}
	defer func() { _ = q.js.DeleteConsumer(context.WithoutCancel(ctx), c.CachedInfo().Name) }()
	if c.CachedInfo().NumPending == 0 {
		return 1, nil
	}
	msg, err := c.Next(natsjs.FetchMaxWait(attemptTime))
	if err != nil {
		return 1, nil // it takes longer then, that is all
	}
	meta, err := msg.Metadata()
	if err != nil {
		return 0, err
	}
	return min(meta.Sequence.Stream, last), nil
}

// EndReplay implements queue.Queue.
func (q *connQueue) EndReplay(ctx context.Context, number uint64) error {
	end, err := q.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	q.fold.mu.Lock()
	active := q.fold.replay.Active() && q.fold.replay.Number == number
	q.fold.mu.Unlock()
	if !active {
		return nil
	}
	return q.progress(ctx, queue.ReplayProgress{Number: number, End: true})
}

// SettleReplay implements queue.Queue.
func (q *connQueue) SettleReplay(ctx context.Context, p queue.ReplayProgress) error {
	end, err := q.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	return q.progress(ctx, p)
}

func (q *connQueue) progress(ctx context.Context, p queue.ReplayProgress) error {
	a, err := q.log(ctx, entry{kind: kindProgress, progress: p, received: q.store.opts.Now()})
	if err != nil {
		return q.store.endedOr(err)
	}
	q.seen(ctx, a.seq)
	return nil
}

// Replay implements queue.Queue.
func (q *connQueue) Replay(ctx context.Context) (queue.Replay, error) {
	end, err := q.begin(ctx)
	if err != nil {
		return queue.Replay{}, err
	}
	defer end()
	q.fold.mu.Lock()
	defer q.fold.mu.Unlock()
	return q.fold.replay.Copy(), nil
}

// FetchReplay implements queue.Queue. It also waits while another bridge works
// on the replay.
func (q *connQueue) FetchReplay(ctx context.Context, limit queue.Limit) (queue.Replay, []*queue.Record, error) {
	ctx, end, err := q.beginLong(ctx)
	if err != nil {
		return queue.Replay{}, nil, err
	}
	defer end()
	r, err := q.ownReplay(ctx)
	if err != nil {
		return queue.Replay{}, nil, q.store.endedOr(err)
	}
	var records []*queue.Record
	err = q.walk(ctx, r.Next, r.End, func(p *past) error {
		rec, bytes := q.replayed(p, r.Order)
		if rec == nil {
			return nil
		}
		if len(records) > 0 && (len(rec.Events) > limit.Events || bytes > limit.Bytes) {
			return errEnough
		}
		records = append(records, rec)
		if limit.Events, limit.Bytes = limit.Events-len(rec.Events), limit.Bytes-bytes; limit.Events <= 0 || limit.Bytes <= 0 {
			return errEnough
		}
		return nil
	})
	if err != nil {
		return queue.Replay{}, nil, q.store.endedOr(err)
	}
	return r.Copy(), records, nil
}

// ownReplay waits until a replay is under way and this bridge is to work on it.
func (q *connQueue) ownReplay(ctx context.Context) (wire.Replay, error) {
	for {
		q.fold.mu.Lock()
		r, owner, changed := q.fold.replay, q.fold.owner, q.fold.orders
		silent := time.Since(q.fold.ownerSeen) > 2*q.store.opts.AckWait
		q.fold.mu.Unlock()
		if r.Active() && owner == q.store.bridge {
			return r, nil
		}
		if r.Active() && (owner == 0 || silent) {
			if err := q.claimReplay(ctx, owner); err != nil {
				return r, err
			}
			continue
		}
		look := time.NewTimer(q.store.opts.AckWait)
		select {
		case <-changed:
		case <-look.C:
		case <-ctx.Done():
		}
		look.Stop()
		if err := ctx.Err(); err != nil {
			return r, err
		}
	}
}

// claimReplay takes the replay over from a bridge, or keeps it.
func (q *connQueue) claimReplay(ctx context.Context, from uint64) error {
	a, err := q.log(ctx, entry{kind: kindOwner, number: from})
	if err == nil {
		err = q.settled(ctx, a.seq)
	}
	if err != nil && ctx.Err() == nil && !errors.Is(err, queue.ErrClosed) {
		return fmt.Errorf("take the replay over: %w", err)
	}
	return err
}

// guardReplay tells the other bridges that this one works on the replay still.
func (q *connQueue) guardReplay(ctx context.Context) {
	q.fold.mu.Lock()
	due := q.fold.replay.Active() && q.fold.owner == q.store.bridge && time.Since(q.fold.ownerSeen) > q.store.opts.AckWait/2
	q.fold.mu.Unlock()
	if due {
		_ = q.claimReplay(ctx, q.store.bridge) // or with the next look
	}
}
