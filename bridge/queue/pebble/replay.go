package pebble

import (
	"context"
	"errors"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// StartReplay implements queue.Queue.
func (q *connQueue) StartReplay(ctx context.Context, order queue.ReplayOrder) (queue.Replay, error) {
	return queue.Replay{}, errors.ErrUnsupported
}

// EndReplay implements queue.Queue.
func (q *connQueue) EndReplay(ctx context.Context, number uint64) error { return errors.ErrUnsupported }

// Replay implements queue.Queue.
func (q *connQueue) Replay(ctx context.Context) (queue.Replay, error) {
	return queue.Replay{}, errors.ErrUnsupported
}

// FetchReplay implements queue.Queue.
func (q *connQueue) FetchReplay(ctx context.Context, limit queue.Limit) (queue.Replay, []*queue.Record, error) {
	<-ctx.Done()
	return queue.Replay{}, nil, ctx.Err()
}

// SettleReplay implements queue.Queue.
func (q *connQueue) SettleReplay(ctx context.Context, p queue.ReplayProgress) error {
	return errors.ErrUnsupported
}

// Erase implements queue.Queue.
func (q *connQueue) Erase(ctx context.Context, match func(event []byte) bool) (queue.Erasure, error) {
	return queue.Erasure{}, errors.ErrUnsupported
}
