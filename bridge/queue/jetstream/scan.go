package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
)

// stored is a message as it lies in the stream.
type stored struct {
	seq     uint64
	subject string
	header  nats.Header
	data    []byte
	at      time.Time
}

// entry returns what the message says of itself.
func (m stored) entry() (entry, error) {
	e, err := decode(m.header.Get(header))
	if err != nil {
		return e, fmt.Errorf("message %d: %w", m.seq, err)
	}
	return e, nil
}

// errEnough ends a scan early and without an error.
var errEnough = errors.New("enough")

const (
	singly   = 4                      // messages that a scan asks for one by one before it makes a consumer
	scanWait = 500 * time.Millisecond // for a message that should be there
	ahead    = 128                    // messages that a scan reads ahead
	aheadMax = 8 << 20                // and their bytes

	idleConsumer = 30 * time.Second // after which the server drops a reader that is gone
)

// scan calls f with the messages of a subject, which may be a pattern, from one
// place to another (not included), in their order.
func (q *connQueue) scan(ctx context.Context, subject string, from, to uint64, headersOnly bool, f func(stored) error) error {
	for n := 0; from < to; {
		m, err := q.next(ctx, subject, from) // the leader knows for sure
		if err != nil || m.seq == 0 || m.seq >= to {
			return err
		}
		if err := f(m); err != nil {
			return enough(err)
		}
		from = m.seq + 1
		if n++; n < singly {
			continue
		}
		from, err = q.streamed(ctx, subject, from, to, headersOnly, f)
		if err != nil {
			return enough(err)
		}
	}
	return nil
}

func enough(err error) error {
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// streamed is scan by a consumer of its own, as far as that sees. It returns where it came to.
func (q *connQueue) streamed(ctx context.Context, subject string, from, to uint64, headersOnly bool, f func(stored) error) (uint64, error) {
	c, err := q.store.js.OrderedConsumer(ctx, q.names.stream, natsjs.OrderedConsumerConfig{
		FilterSubjects: []string{subject}, DeliverPolicy: natsjs.DeliverByStartSequencePolicy, OptStartSeq: from, HeadersOnly: headersOnly,
		InactiveThreshold: idleConsumer,
	})
	if err != nil {
		return from, fmt.Errorf("read the stream: %w", err)
	}
	info := c.CachedInfo()
	defer func() { _ = q.js.DeleteConsumer(context.WithoutCancel(ctx), info.Name) }()
	if info.NumPending == 0 {
		return from, nil
	}
	it, err := c.Messages(natsjs.PullMaxMessagesWithBytesLimit(ahead, aheadMax))
	if err != nil {
		return from, fmt.Errorf("read the stream: %w", err)
	}
	defer it.Stop()
	for {
		wait, cancel := context.WithTimeout(ctx, scanWait)
		msg, err := it.Next(natsjs.NextContext(wait))
		cancel()
		if err != nil {
			if ctx.Err() != nil {
				return from, ctx.Err()
			}
			return from, nil // the caller asks the leader
		}
		meta, err := msg.Metadata()
		if err != nil {
			return from, err
		}
		seq := meta.Sequence.Stream
		if seq >= to {
			return seq, nil
		}
		if err := f(stored{seq, msg.Subject(), msg.Headers(), msg.Data(), meta.Timestamp}); err != nil {
			return from, err
		}
		if from = seq + 1; meta.NumPending == 0 {
			return from, nil
		}
	}
}

// next returns the first message of a subject at seq or later; its seq is 0 where there is none.
func (q *connQueue) next(ctx context.Context, subject string, seq uint64) (stored, error) {
	return q.read(ctx, func(ctx context.Context) (*natsjs.RawStreamMsg, error) {
		return q.js.GetMsg(ctx, seq, natsjs.WithGetMsgSubject(subject))
	})
}

// get returns the message at seq; its seq is 0 where there is none.
func (q *connQueue) get(ctx context.Context, seq uint64) (stored, error) {
	return q.read(ctx, func(ctx context.Context) (*natsjs.RawStreamMsg, error) { return q.js.GetMsg(ctx, seq) })
}

// newest returns the newest message of a subject; its seq is 0 where there is none.
func (q *connQueue) newest(ctx context.Context, subject string) (stored, error) {
	return q.read(ctx, func(ctx context.Context) (*natsjs.RawStreamMsg, error) {
		return q.js.GetLastMsgForSubject(ctx, subject)
	})
}

func (q *connQueue) read(ctx context.Context, f func(context.Context) (*natsjs.RawStreamMsg, error)) (m stored, err error) {
	err = q.store.again(ctx, func(ctx context.Context) error {
		raw, err := f(ctx)
		if err == nil {
			m = stored{raw.Sequence, raw.Subject, raw.Header, raw.Data, raw.Time}
		}
		return err
	})
	if errors.Is(err, natsjs.ErrMsgNotFound) {
		return stored{}, nil
	}
	if err != nil {
		return stored{}, q.store.endedOr(fmt.Errorf("read from NATS: %w", err))
	}
	return m, nil
}
