package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
)

// errStopping ends a worker's batch: Run was told to end, or no outcome can be
// known or stored any more. What is not settled is released.
var errStopping = errors.New("delivery is stopping")

// worker delivers one batch after the other.
type worker struct {
	*Sender
	batch batch
	todo  []part
	spans []queue.Span
}

// part is what is still to be sent of a POST that is being cut in halves.
type part struct {
	span
	sent int // POSTs that its events have been in
}

// run delivers until ctx ends. A POST under way and the storing of its outcome
// may go on until hard ends.
func (w *worker) run(ctx, hard context.Context) error {
	limit := queue.Limit{
		Events: w.config.MaxEvents,
		// Messages are larger than events; what does not fit becomes a small
		// POST of its own, so a little less is fetched than fits.
		Bytes: w.config.MaxBody - w.config.MaxBody/8,
	}
	for failed := 0; ; {
		records, err := w.config.Queue.Fetch(ctx, limit)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if hopeless(err) {
				return fmt.Errorf("delivery: fetch: %w", err)
			}
			failed++
			w.log.Error("cannot read the queue", "error", err, "failed", failed)
			if !sleep(ctx, w.pacing.backoff(failed)) {
				return nil
			}
			continue
		}
		failed = 0
		w.batch.load(records)
		err = w.deliver(ctx, hard)
		w.batch.drop()
		w.config.Queue.Release(records...)
		switch {
		case errors.Is(err, errStopping):
			return nil
		case err != nil:
			return err
		}
	}
}

// deliver sends everything in the batch, in as many POSTs as it takes, one
// after the other: what one worker has in flight is never more than one POST.
func (w *worker) deliver(ctx, hard context.Context) error {
	if dead := w.batch.sift(); len(dead) > 0 {
		if err := w.settle(hard, queue.Settlement{Dead: dead}); err != nil {
			return err
		}
	}
	rest := span{0, len(w.batch.events)}
	for rest.len() > 0 {
		packed := w.batch.pack(rest)
		if err := w.send(ctx, hard, packed); err != nil {
			return err
		}
		rest.first = packed.end
	}
	return nil
}

// send delivers one packed POST, cutting it in halves where RudderStack refuses
// it, until each event has an outcome. Each outcome is on disk before the next
// part is sent. For k refused events among n this takes at most
// min(2n−1, 2k(⌈log₂ n⌉+1)+1) POSTs: each but the first is a half of one that
// was refused, and one is refused only for an event in it.
func (w *worker) send(ctx, hard context.Context, packed span) error {
	w.todo = append(w.todo[:0], part{span: packed})
	for len(w.todo) > 0 {
		last := len(w.todo) - 1
		now := w.todo[last]
		w.todo = w.todo[:last]
		if now.span != packed {
			// A part of a body that fitted fits.
			packed = w.batch.pack(now.span)
		}
		a, err := w.insist(ctx, hard, &now)
		if err != nil {
			return err
		}
		switch v := classify(a.status); {
		case v == accepted:
			w.spans = w.batch.settlement(now.span, w.spans)
			err = w.settle(hard, queue.Settlement{Delivered: w.spans})
		case now.len() == 1:
			err = w.settle(hard, queue.Settlement{Dead: []queue.DeadEvent{w.dead(now, v, a)}})
		default:
			crashpoint.At("delivery.between-halves")
			left, right := now.halves()
			w.todo = append(w.todo, part{right, now.sent}, part{left, now.sent})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *worker) dead(p part, v verdict, a answer) queue.DeadEvent {
	e := w.batch.events[p.first]
	w.log.Debug("event is dead", "record", e.seq, "index", e.index, "reason", v.reason(), "answer", a.describe())
	return queue.DeadEvent{
		Seq: e.seq, Index: e.index,
		Reason: v.reason(), Status: a.status, Answer: a.words, Attempts: p.sent,
	}
}

// insist sends what is packed until RudderStack has judged it, as the gate
// allows. It gives up only when ctx ends.
func (w *worker) insist(ctx, hard context.Context, p *part) (answer, error) {
	turn := contender{seq: w.batch.events[p.first].seq}
	for {
		pass, err := w.gate.enter(ctx, turn)
		if err != nil {
			return answer{}, errStopping
		}
		crashpoint.At("delivery.before-post")
		a := w.poster.post(hard, w.batch.body)
		crashpoint.At("delivery.answered")
		if a.cut {
			w.gate.abandon(pass)
			return answer{}, errStopping
		}
		p.sent++
		v := classify(a.status)
		w.observe(a, v, p.len())
		o := outcome{
			verdict: v, began: a.began, ended: a.ended,
			retryAfter: a.retryAfter, failed: turn.fails + 1, text: a.describe(),
		}
		turn.again, turn.round = w.gate.leave(pass, o)
		w.announce()
		if v != retry && v != misled {
			return a, nil
		}
		turn.fails++
	}
}

func (w *worker) observe(a answer, v verdict, events int) {
	post := Post{
		Status: a.status, Class: statusClass(a.status), Events: events,
		Bytes: len(w.batch.body), Latency: a.ended.Sub(a.began),
	}
	if v.reason() != "" {
		if events == 1 {
			post.Dead = v.reason()
		} else {
			post.Halved = true
		}
	}
	if v != accepted {
		w.log.Debug("POST failed", "answer", a.describe(), "events", events, "took", post.Latency)
	}
	w.config.Observer.Posted(post)
}

// settle stores an outcome and insists on it: sending again what RudderStack
// has would make duplicates, so it is only the storing that is tried again.
func (w *worker) settle(hard context.Context, s queue.Settlement) error {
	for failed := 1; ; failed++ {
		err := w.config.Queue.Settle(hard, s)
		switch {
		case err == nil:
			crashpoint.At("delivery.settled")
			return nil
		case hopeless(err):
			return fmt.Errorf("delivery: settle: %w", err)
		case hard.Err() != nil:
			w.log.Error("outcome not stored, its events will be sent again", "error", err)
			return errStopping
		}
		w.log.Error("cannot store an outcome, will try again", "error", err, "failed", failed)
		if !sleep(hard, w.pacing.backoff(failed)) {
			return errStopping
		}
	}
}

// hopeless says that the queue will not recover while it is open, so that
// sending more would only make duplicates.
func hopeless(err error) bool {
	return errors.Is(err, queue.ErrClosed) || errors.Is(err, queue.ErrFailed) || errors.Is(err, queue.ErrNotHeld)
}

// sleep waits and says whether it did so to the end.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
