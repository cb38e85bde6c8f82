package jetstream

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/klauspost/compress/s2"
	"github.com/nats-io/nats.go"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
)

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

// withLetters makes the messages of a record some of whose events are dead.
func (q *connQueue) withLetters(b queue.Batch, p *portion, number uint64) ([]*nats.Msg, error) {
	var messages []*nats.Msg
	now := q.store.opts.Now()
	for i, it := range p.letters {
		d := queue.DeadLetter{
			Number: number + uint64(i), ReceivedAt: b.ReceivedAt, DiedAt: now, Reason: it.Reason, Event: b.Body[it.Start:it.End],
		}
		if was := it.Letter; was != nil {
			d.DiedAt, d.Status, d.Answer, d.Attempts = was.DiedAt, was.Status, was.Answer, was.Attempts
		}
		m := q.letterMessage(d)
		messages = append(messages, m)
	}
	e := p.entry(b, q.store.bridge, number).encode()
	if len(e) > 2*maxHeader {
		return nil, fmt.Errorf("%w: too many different outcomes in one batch", queue.ErrTooLarge)
	}
	p.message.Header[header] = []string{e}
	return append(messages, p.message), nil
}
