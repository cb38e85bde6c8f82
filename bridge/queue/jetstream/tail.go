package jetstream

import (
	"context"
	"fmt"
	"sync"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"
)

const (
	tailExpiry    = 10 * time.Second
	tailHeartbeat = 2 * time.Second // a consumer that is silent for twice as long is made anew
	tailAhead     = 512
	// tailPatience is how long nothing may come though there is something. The
	// client library makes a consumer anew that is lost, but waits up to ten
	// seconds for each answer and between two attempts.
	tailPatience = 3 * time.Second
)

// tail is the reading of the stream's headers into the fold.
type tail struct {
	mu     sync.Mutex // one message is taken at a time, and none by what was stopped
	reader natsjs.ConsumeContext

	// Guarded by tidyMu: where the fold stood when it last moved or had nothing
	// to read, and when that was.
	at    uint64
	since time.Time
}

// follow starts the reading of the stream.
func (q *connQueue) follow(ctx context.Context) error {
	q.fold.mu.Lock()
	q.fold.last = q.fold.touched
	q.fold.mu.Unlock()
	return q.resume(ctx)
}

// resume goes on where the fold is, with a consumer of its own.
func (q *connQueue) resume(ctx context.Context) error {
	q.tail.mu.Lock()
	defer q.tail.mu.Unlock()
	q.tail.stop()
	q.fold.mu.Lock()
	from := q.fold.last + 1
	q.fold.mu.Unlock()
	c, err := q.store.js.OrderedConsumer(ctx, q.names.stream, natsjs.OrderedConsumerConfig{
		FilterSubjects: []string{q.names.all()}, HeadersOnly: true,
		DeliverPolicy: natsjs.DeliverByStartSequencePolicy, OptStartSeq: from,
		InactiveThreshold: idleConsumer,
	})
	if err != nil {
		return fmt.Errorf("follow the stream: %w", err)
	}
	var mine natsjs.ConsumeContext
	take := func(m natsjs.Msg) {
		q.tail.mu.Lock()
		defer q.tail.mu.Unlock()
		if mine == q.tail.reader {
			q.take(m)
		}
	}
	mine, err = c.Consume(take, natsjs.PullExpiry(tailExpiry), natsjs.PullHeartbeat(tailHeartbeat),
		natsjs.PullMaxMessages(tailAhead), natsjs.ConsumeErrHandler(func(_ natsjs.ConsumeContext, err error) {
			q.store.opts.Logger.Debug("reading the stream is interrupted", "connector", q.name, "error", err)
		}))
	if err != nil {
		return fmt.Errorf("follow the stream: %w", err)
	}
	q.tail.reader = mine
	return nil
}

// watch makes the reading anew where nothing came for a while, though the stream
// has messages up to last. tidyMu is held.
func (q *connQueue) watch(ctx context.Context, last uint64) {
	q.fold.mu.Lock()
	at := q.fold.last
	q.fold.mu.Unlock()
	if at >= last || at != q.tail.at {
		q.tail.at, q.tail.since = at, time.Now()
		return
	}
	if time.Since(q.tail.since) < tailPatience {
		return
	}
	q.tail.since = time.Now()
	if err := q.resume(ctx); err != nil && ctx.Err() == nil {
		q.store.opts.Logger.Warn("the stream cannot be read; trying again", "connector", q.name, "error", err)
	}
}

// stopReading ends the reading of the stream.
func (q *connQueue) stopReading() {
	q.tail.mu.Lock()
	defer q.tail.mu.Unlock()
	q.tail.stop()
}

// stop lets nothing more be taken. The library's Stop waits for an attempt that
// is under way, for up to 20 seconds, so nobody waits for that. mu is held.
func (t *tail) stop() {
	if t.reader != nil {
		go t.reader.Stop()
		t.reader = nil
	}
}

// take takes one message into account.
func (q *connQueue) take(msg natsjs.Msg) {
	meta, err := msg.Metadata()
	if err != nil {
		return
	}
	seq := meta.Sequence.Stream
	known, gap := q.fold.meets(seq)
	if known {
		return
	}
	if gap {
		q.reload(seq)
	}
	e, err := decode(msg.Headers().Get(header))
	if err != nil {
		q.store.opts.Logger.Error("a message in the stream is none of a bridge's, or damaged; it is passed over", "connector", q.name, "message", seq, "error", err)
	}
	q.fold.apply(seq, e)
}

// meets tells whether a message was taken into account, or messages before it
// were deleted that were not.
func (f *fold) meets(seq uint64) (known, gap bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return seq <= f.last, seq > max(f.last, f.totals.seq)+1
}

// reload takes over the stored totals: messages before seq were deleted before
// this bridge has read them. That is done only with what stored totals hold.
func (q *connQueue) reload(seq uint64) {
	for q.store.ctx.Err() == nil {
		t, s, at, err := q.load(q.store.ctx)
		if err == nil {
			if !q.fold.adopt(t, s, at) {
				q.store.opts.Logger.Error("messages are missing from the stream that no totals hold; was it purged by hand?", "connector", q.name, "before", seq)
			}
			return
		}
		q.store.opts.Logger.Warn("the totals cannot be read; trying again", "connector", q.name, "error", err)
		sleep(q.store.ctx, longPause)
	}
}

// adopt replaces the totals by newer ones; false: they are not newer. Records
// that are known and that the new totals leave out are pending as they came.
func (f *fold) adopt(t totals, s side, at uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if t.seq <= f.totals.seq {
		return false
	}
	for _, it := range f.pending.items {
		if it.seq > t.touched && it.left > 0 {
			t.pending.add(it)
		}
	}
	f.totals, f.side, f.covered, f.stored = t, s, t.seq, at
	return true
}

// load reads the stored totals and what belongs to them, and where they are.
func (q *connQueue) load(ctx context.Context) (totals, side, uint64, error) {
	m, err := q.newest(ctx, q.names.of(wordTotals))
	if err != nil || m.seq == 0 {
		return newTotals(), newSide(), 0, err
	}
	t, err := parseTotals(m.data)
	if err != nil {
		return t, newSide(), 0, err
	}
	s := newSide()
	err = q.scan(ctx, q.names.of(wordSegment), 1, m.seq, false, func(m stored) error { return s.read(m.data) })
	return t, s, m.seq, err
}

// sync waits until everything that is in the stream by now is taken into account.
func (q *connQueue) sync(ctx context.Context) error {
	var last uint64
	err := q.store.again(ctx, func(ctx context.Context) error {
		info, err := q.js.Info(ctx)
		if err == nil {
			last = info.State.LastSeq
			q.bytes.Store(int64(info.State.Bytes))
		}
		return err
	})
	if err != nil {
		return q.store.endedOr(fmt.Errorf("ask NATS about the stream: %w", err))
	}
	if last == 0 {
		return nil
	}
	if err := q.settled(ctx, last); err != nil {
		return q.store.endedOr(fmt.Errorf("read the stream up to its end: %w", err))
	}
	return nil
}

// settled waits until the message at seq is taken into account, for a bounded time.
func (q *connQueue) settled(ctx context.Context, seq uint64) error {
	ctx, cancel := context.WithTimeout(ctx, 3*q.store.opts.patience)
	defer cancel()
	return q.fold.wait(ctx, seq)
}

// sleep waits; false: ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
