package jetstream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
)

const letterVersion = 1

// letterMessage makes the message of a dead letter. It is stored only where
// nobody else has that number.
func (q *connQueue) letterMessage(d queue.DeadLetter) *nats.Msg {
	body := appendLetter(nil, d)
	e := entry{kind: kindLetter, number: d.Number, received: d.ReceivedAt, size: len(body)}
	return expect(message(q.names.at(wordDead, d.Number), e, body, ""), 0)
}

func appendLetter(dst []byte, d queue.DeadLetter) []byte {
	dst = append(dst, letterVersion)
	dst = binary.AppendVarint(dst, d.ReceivedAt.UnixNano())
	dst = binary.AppendVarint(dst, d.DiedAt.UnixNano())
	dst = binary.AppendVarint(dst, int64(d.Status))
	dst = binary.AppendVarint(dst, int64(d.Attempts))
	dst = wire.AppendBytes(dst, []byte(wire.Shorten(d.Reason)))
	dst = wire.AppendBytes(dst, []byte(wire.Shorten(d.Answer)))
	return wire.AppendEvent(dst, d.Event)
}

func parseLetter(number uint64, value []byte) (queue.DeadLetter, error) {
	r := wire.Reader{Data: value}
	version := r.Byte()
	d := queue.DeadLetter{
		Number: number, ReceivedAt: time.Unix(0, r.Int()), DiedAt: time.Unix(0, r.Int()),
		Status: int(r.Int()), Attempts: int(r.Int()),
	}
	d.Reason, d.Answer = string(r.Bytes()), string(r.Bytes())
	if r.Bad || version != letterVersion {
		return queue.DeadLetter{}, fmt.Errorf("dead letter %d: %w", number, wire.ErrDamaged)
	}
	event, err := r.Event()
	if err != nil {
		return queue.DeadLetter{}, fmt.Errorf("dead letter %d: %w", number, err)
	}
	d.Event = event
	return d, nil
}

// publisher stores messages, all or none.
type publisher func(ctx context.Context, messages ...*nats.Msg) (ack, error)

// bury stores messages with dead letters in them, all or none. Make is given the
// first letter's number; it is called again where another bridge has taken it.
func (q *connQueue) bury(ctx context.Context, publish publisher, make func(number uint64) ([]*nats.Msg, error)) (ack, error) {
	q.buryMu.Lock()
	defer q.buryMu.Unlock()
	for began := time.Now(); ; {
		q.fold.mu.Lock()
		number := q.fold.nextDead
		q.fold.mu.Unlock()
		messages, err := make(number)
		if err != nil {
			return ack{}, err
		}
		a, err := publish(ctx, messages...)
		if err == nil {
			q.seen(ctx, a.seq) // the next number is known then
			return a, nil
		}
		if !errors.Is(err, errConflict) || time.Since(began) > q.store.opts.patience {
			return a, err
		}
		if err := q.sync(ctx); err != nil {
			return a, err
		}
	}
}
