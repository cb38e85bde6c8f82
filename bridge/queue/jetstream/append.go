package jetstream

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"crypto/sha256"

	"github.com/klauspost/compress/s2"
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

// portion is a part of a batch that one record holds.
type portion struct {
	items      []int // of the batch
	duplicates int
	events     int // of which are dead, or all
	message    *nats.Msg
	letters    []*queue.Item
	nonce      uint64
	at         uint64 // where the fold met it
	repeated   bool   // its content was stored before
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
	if len(b.Body) > wire.MaxBody {
		return queue.Receipt{}, fmt.Errorf("body of %d bytes: the limit is %d", len(b.Body), wire.MaxBody)
	}
	for i, it := range b.Items {
		if it.Start < 0 || it.End < it.Start || it.End > len(b.Body) {
			return queue.Receipt{}, fmt.Errorf("item %d: [%d:%d] is not in the body of %d bytes", i, it.Start, it.End, len(b.Body))
		}
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

// correct counts the events of a portion that was stored before as duplicates.
func (p *portion) correct(b queue.Batch, r *queue.Receipt) {
	if !p.repeated {
		return
	}
	r.Accepted -= len(p.items)
	r.Duplicates += len(p.items)
	for _, i := range p.items {
		switch b.Items[i].Fate {
		case queue.Filtered:
			r.Filtered--
		case queue.Dead:
			r.Dead--
		}
	}
}

// room refuses what is above the limit for pending events.
func (q *connQueue) room(size int) error {
	limit := q.store.limit.Load()
	if limit <= 0 {
		return nil
	}
	q.fold.mu.Lock()
	pending := q.fold.pending.bytes
	q.fold.mu.Unlock()
	if pending+int64(min(size, minPayload)) <= limit {
		return nil
	}
	return q.store.noRoom(fmt.Errorf("%d bytes of connector %s are pending, and the limit is %d", pending, q.name, limit))
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
	return q.store.publish(ctx, message(q.names.of(wordLog), e, nil, q.idOf(e.nonce)))
}

// idOf makes an id for a message that this bridge stores once.
func (q *connQueue) idOf(nonce uint64) string { return fmt.Sprintf("%x-%x", q.store.bridge, nonce) }

// split makes records of the items, each small enough for one message.
func (q *connQueue) split(b queue.Batch, items []int, parts []*portion) ([]*portion, error) {
	if len(items) == 0 {
		return parts, nil
	}
	p := &portion{items: items}
	body, err := p.encode(b, len(items) == len(b.Items))
	if err != nil {
		return nil, err
	}
	limit := int(q.store.nc.MaxPayload()) - frame
	if len(body) > limit || len(p.letters) > maxLetters || len(items) > maxEvents {
		if len(items) == 1 {
			return nil, fmt.Errorf("%w: %d bytes, packed, and the NATS server's max_payload is %d; %d of it are needed beside the event",
				queue.ErrTooLarge, len(body), q.store.nc.MaxPayload(), frame)
		}
		half := len(items) / 2
		if parts, err = q.split(b, items[:half], parts); err != nil {
			return nil, err
		}
		return q.split(b, items[half:], parts)
	}
	p.message = &nats.Msg{Subject: q.names.of(wordRecord), Data: body, Header: nats.Header{}}
	p.message.Header[headerID] = []string{q.contentID(b, p)}
	if len(p.letters) == 0 { // else it must hold numbers, which are drawn later
		if e := p.entry(b, q.store.bridge, 0); len(e.encode()) > maxHeader {
			half := len(items) / 2
			if parts, err = q.split(b, items[:half], parts); err != nil {
				return nil, err
			}
			return q.split(b, items[half:], parts)
		}
	}
	return append(parts, p), nil
}

// encode returns the body of the record's message: ids, then the record.
func (p *portion) encode(b queue.Batch, whole bool) ([]byte, error) {
	spans, ids, bytes := make([]wire.Span, 0, len(p.items)), 0, 0
	for _, i := range p.items {
		it := &b.Items[i]
		spans = append(spans, wire.Span{Start: it.Start, End: it.End, Fate: it.Fate})
		bytes += it.End - it.Start
		if it.ID != (queue.Hash{}) {
			ids++
		}
		if it.Fate == queue.Dead {
			p.letters = append(p.letters, it)
		}
		if it.Fate > queue.Dead {
			return nil, fmt.Errorf("item %d: there is no fate %d", i, it.Fate)
		}
	}
	p.events = len(spans)
	body := b.Body
	if !whole { // the rest of the body is of no use here
		body = make([]byte, 0, bytes)
		for i, s := range spans {
			start := len(body)
			body = append(body, b.Body[s.Start:s.End]...)
			spans[i].Start, spans[i].End = start, len(body)
		}
	}
	const perSpan = 8
	dst := make([]byte, 0, idSize*ids+perSpan*len(spans)+s2.MaxEncodedLen(len(body))+2*perSpan)
	dst = binary.AppendUvarint(dst, uint64(ids))
	for _, i := range p.items {
		if id := b.Items[i].ID; id != (queue.Hash{}) {
			dst = binary.LittleEndian.AppendUint64(dst, id[0])
			dst = binary.LittleEndian.AppendUint64(dst, id[1])
		}
	}
	dst = wire.AppendHeader(dst, b.ReceivedAt, spans, len(body))
	packed := s2.Encode(dst[len(dst):cap(dst)], body)
	return append(dst, packed...), nil // which is where it lies already
}

// contentID makes an id of the record's events, so that the same batch which
// another bridge has stored is not stored again. Where no event has an id, the
// same content may come twice and be meant so.
func (q *connQueue) contentID(b queue.Batch, p *portion) string {
	sum := sha256.New()
	known := false
	for _, i := range p.items {
		it := &b.Items[i]
		known = known || it.ID != (queue.Hash{})
		var length [8]byte
		binary.LittleEndian.PutUint64(length[:], uint64(it.End-it.Start))
		sum.Write(length[:])
		sum.Write(b.Body[it.Start:it.End])
	}
	if !known {
		return q.idOf(q.store.nonce.Add(1))
	}
	const enough = 16
	return hex.EncodeToString(sum.Sum(nil)[:enough])
}

// entry makes the header of a portion. Its letters' numbers begin with number.
func (p *portion) entry(b queue.Batch, bridge, number uint64) entry {
	e := entry{
		kind: kindRecord, writer: bridge, nonce: p.nonce, received: b.ReceivedAt, events: p.events,
		duplicates: p.duplicates, size: len(p.message.Data),
	}
	c := claim{events: p.events}
	for i, item := range p.items {
		fate := b.Items[item].Fate
		if fate == queue.Pending {
			continue
		}
		if n := len(c.runs); n > 0 && c.runs[n-1].fate == fate && c.runs[n-1].first+c.runs[n-1].count == i {
			c.runs[n-1].count++
		} else {
			c.runs = append(c.runs, run{first: i, count: 1, fate: fate, number: number})
		}
		if fate == queue.Dead {
			number++
		}
	}
	if len(c.runs) > 0 {
		e.claims = []claim{c}
	}
	return e
}

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
		a, err = q.bury(ctx, func(number uint64) ([]*nats.Msg, error) { return q.withLetters(b, p, number) })
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

// withLetters makes the messages of a record some of whose events are dead.
func (q *connQueue) withLetters(b queue.Batch, p *portion, number uint64) ([]*nats.Msg, error) {
	var messages []*nats.Msg
	now := q.store.opts.Now()
	for i, it := range p.letters {
		m := q.letterMessage(queue.DeadLetter{
			Number: number + uint64(i), ReceivedAt: b.ReceivedAt, DiedAt: now, Reason: it.Reason, Event: b.Body[it.Start:it.End],
		})
		messages = append(messages, m)
	}
	e := p.entry(b, q.store.bridge, number).encode()
	if len(e) > 2*maxHeader {
		return nil, fmt.Errorf("%w: too many different outcomes in one batch", queue.ErrTooLarge)
	}
	p.message.Header[header] = []string{e}
	return append(messages, p.message), nil
}

// rememberFor is how long a start waits for one reading of the stream.
const rememberFor = 10 * time.Minute

// remember fills the window with the newest ids in the stream.
func (q *connQueue) remember(ctx context.Context, limit int) error {
	if limit <= 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, rememberFor)
	defer cancel()
	q.fold.mu.Lock()
	from, to := uint64(1), q.fold.totals.seq+1
	for _, m := range q.fold.idMarks {
		if q.fold.ids-m.value >= uint64(limit) {
			from = m.seq
		}
	}
	q.fold.mu.Unlock()
	for _, subject := range []string{q.names.below(wordOld), q.names.below(wordRecord), q.names.of(wordRecord)} {
		if err := q.scan(ctx, subject, from, to, false, q.rememberIDs); err != nil {
			return err
		}
	}
	return nil
}

func (q *connQueue) rememberIDs(m stored) error {
	ids, _, err := splitBody(m.data)
	if err != nil {
		q.store.opts.Logger.Error("a record's ids cannot be read; repeats of its events are not caught", "connector", q.name, "message", m.seq)
		return nil
	}
	for i := range len(ids) / idSize {
		q.ids.Add(idAt(ids, i))
	}
	q.ids.Trim()
	return nil
}
