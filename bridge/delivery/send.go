package delivery

import (
	"context"
	"net/http"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
)

// part is what is still to be sent of a POST that is being cut in halves.
type part struct {
	span
	sent  int  // POSTs that its events have been in
	plain bool // it is not packed
}

// send delivers one packed POST, cutting it in halves where RudderStack refuses
// it, until each event has an outcome. Each outcome is recorded before the next
// part is sent. For k refused events among n this takes at most
// min(2n−1, 2k(⌈log₂ n⌉+1)+1) POSTs: each but the first is a half of one that
// was refused, and one is refused only for an event in it.
func (w *worker) send(ctx, hard context.Context, whole span) error {
	filled := whole
	// A packed body that was refused, and of which nothing is refused plain.
	doubted, cleared := false, false
	w.todo = append(w.todo[:0], part{span: whole})
	for len(w.todo) > 0 {
		last := len(w.todo) - 1
		now := w.todo[last]
		w.todo = w.todo[:last]
		if now.span != filled {
			// A part of a body that fitted fits.
			filled = w.batch.pack(now.span)
		}
		a, err := w.insist(ctx, hard, &now)
		if err != nil {
			return err
		}
		switch v := classify(a.status); {
		case v == accepted:
			w.delivered(a, now.span)
			w.spans = w.batch.settlement(now.span, w.spans)
			err = w.record(hard, queue.Settlement{Delivered: w.spans})
		case now.len() == 1:
			cleared = true
			err = w.record(hard, queue.Settlement{Dead: []queue.DeadEvent{w.dead(now, v, a)}})
		default:
			crashpoint.At("delivery.between-halves")
			plain := now.plain || a.packed && v == refused
			doubted = doubted || a.packed && v == refused
			cleared = cleared || !a.packed
			left, right := now.halves()
			w.todo = append(w.todo, part{right, now.sent, plain}, part{left, now.sent, plain})
		}
		if err != nil {
			return err
		}
	}
	if doubted && !cleared {
		w.packing.mismatch()
	}
	return nil
}

func (w *worker) dead(p part, v verdict, a answer) queue.DeadEvent {
	e := w.batch.events[p.first]
	w.log.Debug("event is refused", "record", e.seq, "index", e.index, "reason", v.reason(), "answer", a.describe())
	return queue.DeadEvent{
		Seq: e.seq, Index: e.index,
		Reason: v.reason(), Status: a.status, Answer: a.words, Attempts: p.sent,
	}
}

// insist sends what the batch's body holds until RudderStack has judged it, as
// the gate allows. It gives up only when ctx ends.
func (w *worker) insist(ctx, hard context.Context, p *part) (answer, error) {
	turn := contender{seq: w.rank(p)}
	unpacked := false // because of an answer that may be about the packing
	for {
		if w.pay != nil && !w.pay(ctx, p.len()) {
			return answer{}, errStopping
		}
		pass, err := w.gate.enter(ctx, turn)
		if err != nil {
			return answer{}, errStopping
		}
		a := w.try(ctx, hard, *p, pass)
		if a.cut {
			w.gate.abandon(pass)
			return answer{}, errStopping
		}
		p.sent++
		v := classify(a.status)
		w.observe(a, v, p.len())
		if a.packed && (a.status == http.StatusUnsupportedMediaType || a.status == http.StatusInternalServerError) {
			// So answers who cannot unpack; RudderStack itself with 500. It is
			// sent as it is before the destination is judged by it.
			w.gate.abandon(pass)
			p.plain, unpacked = true, true
			continue
		}
		o := outcome{
			verdict: v, began: a.began, ended: a.ended,
			retryAfter: a.retryAfter, failed: turn.fails + 1, text: a.describe(),
		}
		w.gate.leave(pass, o, &turn)
		w.announce()
		if v != retry && v != misled {
			if unpacked && turn.fails == 0 {
				w.packing.mismatch()
			}
			return a, nil
		}
		if a.status != http.StatusTooManyRequests {
			w.packing.doubt()
		}
		turn.fails++
	}
}

// try makes one POST.
func (w *worker) try(ctx, hard context.Context, p part, pass ticket) answer {
	body, packed := w.batch.body, false
	if pass.well {
		on, ask, number := w.packing.wanted(time.Now())
		if ask {
			w.asks.Go(func() { w.ask(ctx, number) })
		}
		// An event alone is never packed: it may die of the answer.
		if on && !p.plain && p.len() > 1 {
			if smaller := w.packer.pack(body); smaller != nil {
				body, packed = smaller, true
			}
		}
	}
	w.config.Observer.Began(p.len())
	defer w.config.Observer.Ended(p.len())
	crashpoint.At("delivery.before-post")
	a := w.poster.post(hard, body, packed)
	crashpoint.At("delivery.answered") // a deferred call would not be inlined away
	return a
}

// ask asks the destination whether it takes packed bodies. POSTs go on
// meanwhile, as they are.
func (s *Sender) ask(ctx context.Context, number uint64) {
	if why := s.poster.ask(ctx); ctx.Err() == nil {
		s.packing.told(number, why, time.Now())
	}
}

func (w *worker) observe(a answer, v verdict, events int) {
	post := Post{
		Status: a.status, Class: statusClass(a.status), Events: events,
		Bytes: a.bytes, Packed: a.packed, Replay: w.replay, Latency: a.ended.Sub(a.began),
	}
	if v.reason() != "" {
		if events == 1 {
			post.Dead = v.reason()
		} else {
			post.Halved = true
		}
	}
	if v != accepted {
		w.log.Debug("POST failed", "answer", a.describe(), "events", events, "packed", a.packed, "took", post.Latency)
	}
	w.config.Observer.Posted(post)
}

// delivered tells the observer how long it took for each record in the span.
func (w *worker) delivered(a answer, s span) {
	if w.replay {
		return
	}
	var seq uint64 // none has 0
	for i := s.first; i < s.end; i++ {
		e := &w.batch.events[i]
		if e.seq != seq && !e.received.IsZero() {
			w.config.Observer.Delivered(max(0, a.ended.Sub(e.received)))
		}
		seq = e.seq
	}
}
