package jetstream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
)

const (
	// frame is what a message takes beside body and ids, at most: headers, and
	// for a dead letter what was said of it.
	frame = 3*queue.MaxAnswer + 4096
	// maxHeader bounds what we write into a header; the server's limit is 64 KiB.
	maxHeader = 32 << 10
	// maxLetters is how many dead letters one batch of messages holds; the
	// server's limit is 1000 messages.
	maxLetters = 900
)

var errFirstCopy = errors.New("the first copy of an event in it could not be stored; send it again")

// appending is an Append under way: the ids it has added to the window, which
// may not count as stored before it is over.
type appending struct {
	from, to uint64
	done     chan struct{}
	err      error
}

// Append implements queue.Queue. A batch that is larger than the server's
// max_payload becomes several records. It is answered after the last one is
// stored; where that fails, those before it are delivered all the same.
func (q *connQueue) Append(ctx context.Context, b queue.Batch) (queue.Receipt, error) {
	end, err := q.begin(ctx)
	if err != nil {
		return queue.Receipt{}, err
	}
	defer end()
	if len(b.Items) == 0 {
		return queue.Receipt{}, nil
	}
	if err := wire.CheckBatch(b); err != nil {
		return queue.Receipt{}, err
	}
	if b.ReceivedAt.IsZero() {
		b.ReceivedAt = q.store.opts.Now()
	}
	if err := q.room(len(b.Body)); err != nil {
		return queue.Receipt{}, err
	}
	items, receipt, a, firsts := q.sift(b)
	parts, err := q.keep(ctx, b, items, receipt.Duplicates, firsts)
	q.over(a, err)
	if err != nil {
		return queue.Receipt{}, q.store.endedOr(err)
	}
	for _, p := range parts {
		p.correct(b, &receipt)
	}
	return receipt, nil
}

// room refuses what is above the limit for pending events.
func (q *connQueue) room(size int) error {
	if q.store.spent.Load() {
		return fmt.Errorf("%w: NATS has no room beside what outcomes need", queue.ErrFull)
	}
	pending, limit := q.packed()
	if limit <= 0 || pending+int64(min(size, minPayload)) <= limit {
		q.limited.Store(false)
		return nil
	}
	q.limited.Store(true)
	return fmt.Errorf("%w: %d bytes of connector %s are pending, and the limit is %d", queue.ErrFull, pending, q.name, limit)
}

// packed returns how many bytes are pending and how many may be; 0: any number.
func (q *connQueue) packed() (pending, limit int64) {
	q.fold.mu.Lock()
	defer q.fold.mu.Unlock()
	return q.fold.pending.bytes, q.store.limit.Load()
}

// overLimit tells whether batches are refused because too much is pending. It
// ends without another batch: where /readyz says that there is no room, a load
// balancer sends none.
func (q *connQueue) overLimit() bool {
	pending, limit := q.packed()
	return q.limited.Load() && limit > 0 && pending+minPayload > limit && pending > 0
}

// sift leaves out the duplicates and remembers the ids of the rest. firsts are
// the appends under way that hold first copies.
func (q *connQueue) sift(b queue.Batch) (items []int, r queue.Receipt, a *appending, firsts []*appending) {
	q.idMu.Lock()
	defer q.idMu.Unlock()
	for i := range b.Items {
		q.ids.Look(b.Items[i].ID)
	}
	a = &appending{from: q.ids.Next(), done: make(chan struct{})}
	items = make([]int, 0, len(b.Items))
	for i := range b.Items {
		it := &b.Items[i]
		pos, repeat := q.ids.Add(it.ID)
		if repeat {
			r.Duplicates++
			if pos < a.from {
				firsts = q.holder(firsts, pos)
			}
			continue
		}
		switch it.Fate {
		case queue.Filtered:
			r.Filtered++
		case queue.Dead:
			r.Dead++
		}
		items = append(items, i)
	}
	r.Accepted = len(items)
	a.to = q.ids.Next()
	q.underWay = append(q.underWay, a)
	q.ids.Trim()
	return items, r, a, firsts
}

// holder adds the append under way that has added the id at pos.
func (q *connQueue) holder(firsts []*appending, pos uint64) []*appending {
	if len(q.underWay) == 0 || pos < q.underWay[0].from {
		return firsts
	}
	for _, a := range q.underWay {
		if a.from <= pos && pos < a.to {
			for _, f := range firsts {
				if f == a {
					return firsts
				}
			}
			return append(firsts, a)
		}
	}
	return firsts
}

// over ends an append: without success its ids are forgotten.
func (q *connQueue) over(a *appending, err error) {
	q.idMu.Lock()
	if err != nil {
		q.ids.Forget(a.from, a.to)
	}
	for i, other := range q.underWay {
		if other == a {
			q.underWay = append(q.underWay[:i], q.underWay[i+1:]...)
			break
		}
	}
	q.idMu.Unlock()
	a.err = err
	close(a.done)
}

// keep stores what was sifted, after the first copies of its duplicates are.
func (q *connQueue) keep(ctx context.Context, b queue.Batch, items []int, duplicates int, firsts []*appending) ([]*portion, error) {
	parts, err := q.split(b, items, nil)
	if err != nil {
		return nil, err
	}
	for _, first := range firsts {
		select {
		case <-first.done:
			if first.err != nil {
				return nil, errFirstCopy
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if len(parts) == 0 {
		return nil, q.countRepeats(ctx, duplicates)
	}
	parts[0].duplicates = duplicates
	var last uint64
	for _, p := range parts {
		if last, err = q.storePortion(ctx, b, p); err != nil {
			return nil, err
		}
	}
	q.store.full.Store(false)
	q.seen(ctx, last)
	return parts, nil
}

// seen waits for the ledger to show what is stored. It is stored, whether the
// ledger shows it in time or not.
func (q *connQueue) seen(ctx context.Context, seq uint64) {
	ctx, cancel := context.WithTimeout(ctx, q.store.opts.patience)
	defer cancel()
	_ = q.fold.wait(ctx, seq)
}

// countRepeats stores that so many events came which are stored already.
func (q *connQueue) countRepeats(ctx context.Context, n int) error {
	e := entry{kind: kindCounts, duplicates: n, received: q.store.opts.Now()}
	a, err := q.log(ctx, e)
	if err == nil {
		q.seen(ctx, a.seq)
	}
	return err
}

// log stores a message that has nothing but a header.
func (q *connQueue) log(ctx context.Context, e entry) (ack, error) {
	e.writer, e.nonce = q.store.bridge, q.store.nonce.Add(1)
	return q.store.publishOutcome(ctx, message(q.names.of(wordLog), e, nil, q.idOf(e.nonce)))
}

// idOf makes an id for a message that this bridge stores once.
func (q *connQueue) idOf(nonce uint64) string { return fmt.Sprintf("%x-%x", q.store.bridge, nonce) }

// storePortion stores one record, with its dead letters. Where its content is
// stored already, by this bridge a moment ago or by another one, the events
// count as duplicates.
func (q *connQueue) storePortion(ctx context.Context, b queue.Batch, p *portion) (uint64, error) {
	p.nonce = q.store.nonce.Add(1)
	q.fold.mu.Lock()
	p.at = 0
	q.fold.mine[p.nonce] = &p.at
	q.fold.mu.Unlock()
	defer func() {
		q.fold.mu.Lock()
		delete(q.fold.mine, p.nonce)
		q.fold.mu.Unlock()
	}()
	var a ack
	var err error
	if len(p.letters) == 0 {
		p.message.Header[header] = []string{p.entry(b, q.store.bridge, 0).encode()}
		a, err = q.store.publish(ctx, p.message)
	} else {
		a, err = q.bury(ctx, q.store.publish, func(number uint64) ([]*nats.Msg, error) { return q.withLetters(b, p, number) })
	}
	repeat := a.repeat
	if errors.Is(err, errRepeat) {
		repeat, err = true, q.sync(ctx)
	}
	if err != nil || !repeat || q.isMine(ctx, p, a.seq) {
		return a.seq, err
	}
	p.repeated = true
	return a.seq, q.countRepeats(ctx, p.events+p.duplicates)
}

// isMine tells whether what is stored was stored by this very call, whose
// first acknowledgement got lost.
func (q *connQueue) isMine(ctx context.Context, p *portion, seq uint64) bool {
	q.seen(ctx, seq)
	q.fold.mu.Lock()
	defer q.fold.mu.Unlock()
	return p.at > 0
}
