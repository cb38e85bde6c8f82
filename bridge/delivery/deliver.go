package delivery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
)

// work sends one request after the other until ctx ends. A request in flight and
// the storing of its outcome may go on until hard ends.
func (s *Sender) work(ctx, hard context.Context) error {
	b := s.builder()
	for {
		r := s.next(ctx, s.main)
		if r == nil {
			return nil
		}
		if err := s.deliver(hard, b, r); err != nil {
			return err
		}
		b.drop()
	}
}

// deliver sends a request of pending events and stores its outcome.
func (s *Sender) deliver(hard context.Context, b *builder, r *request) error {
	if ok, err := s.load(hard, r); !ok {
		return err
	}
	if err := s.check(hard, b, r); err != nil {
		return err
	}
	if len(r.events) == 0 && !r.probe {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.main.leave(r)
		return nil
	}
	t, err := s.send(hard, b, s.main, r)
	switch {
	case err != nil || r.probe:
		return err
	case t.action == deliver:
		s.observeDelivered(t.events, t.response.ended)
		return s.settle(hard, queue.Settlement{Delivered: b.spansOf(t.events)})
	case t.action == die:
		return s.settle(hard, queue.Settlement{Dead: []queue.DeadEvent{s.letter(t)}})
	}
	crashpoint.At("delivery.between-halves")
	s.parked(t)
	return nil
}

// loader reads parked events again, each record once where its events follow each
// other.
type loader struct {
	queue  Queue
	record queue.Record
	gone   []uint64 // records that are not held any more
}

// event returns the bytes of an event; nil: it is not pending any more, or another
// bridge has it now.
func (l *loader) event(ctx context.Context, seq uint64, index int) ([]byte, error) {
	if l.record.Seq != seq {
		record, err := l.queue.Load(ctx, seq)
		switch {
		case errors.Is(err, queue.ErrNotHeld):
			record = &queue.Record{Seq: seq}
			l.gone = append(l.gone, seq)
		case err != nil:
			return nil, err
		}
		l.record = *record
	}
	for _, e := range l.record.Events {
		if e.Index == index {
			return e.Raw, nil
		}
	}
	return nil, nil
}

// load reads the bytes of a parked request's events again. Without ok that failed,
// and the request waits.
func (s *Sender) load(ctx context.Context, r *request) (ok bool, err error) {
	if len(r.events) == 0 || r.events[0].raw != nil { // a probe, or they have their bytes
		return true, nil
	}
	kept := make([]event, 0, len(r.events))
	l := loader{queue: s.config.Queue}
	for _, e := range r.events {
		if e.raw, err = l.event(ctx, e.seq, e.index); err != nil {
			break
		}
		if s.config.Mode == Events {
			e.id = string(appendID(nil, l.record.Origin, e.index))
		}
		if e.raw != nil {
			kept = append(kept, e)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.log.Error("cannot read parked events again, will try later", "error", err)
		r.trial.next = time.Now().Add(s.evidence.backoff(1, s.evidence.maxBackoff))
		s.main.putBack(r, time.Now())
		if isFatal(err) {
			return false, fmt.Errorf("delivery: load: %w", err)
		}
		return false, nil
	}
	for _, seq := range l.gone {
		if h, held := s.held[seq]; held {
			delete(s.held, seq)
			s.config.Queue.Release(h.record)
		}
	}
	s.main.events -= len(r.events) - len(kept)
	r.events = kept
	return true, nil
}

// check takes out of a fresh request what is not to be sent.
func (s *Sender) check(hard context.Context, b *builder, r *request) error {
	if r.suspect {
		return nil
	}
	n := len(r.events)
	kept, filtered, dead := b.check(r.events, nil)
	s.mu.Lock()
	r.events = kept
	s.main.events -= n - len(kept)
	s.mu.Unlock()
	if len(filtered)+len(dead) == 0 {
		return nil
	}
	return s.settle(hard, queue.Settlement{Filtered: filtered, Dead: dead})
}

// tried is a request that was sent, and what is to be done with its events.
type tried struct {
	events    []event // with their bytes
	response  response
	action    action
	trial     trial
	suspected bool // it is one event, and this failure is the second that counts
}

// send sends a request, or as much of it as fits, and asks the scheduler that it
// came from what to do. It returns errStopping where the request was cut off.
func (s *Sender) send(hard context.Context, b *builder, from *scheduler, r *request) (tried, error) {
	if n := b.build(r.events); n < len(r.events) {
		s.mu.Lock()
		from.keep(r.part(n, len(r.events)), time.Now())
		r.events = r.events[:n:n]
		s.mu.Unlock()
	}
	a := s.request(hard, b, r)
	if a.cut {
		s.mu.Lock()
		from.putBack(r, time.Now())
		s.mu.Unlock()
		return tried{}, errStopping
	}
	s.classify(&a, r.probe)
	wasCompressed := r.trial.response.compressed && r.trial.split.IsZero()

	s.mu.Lock()
	before, count := s.evidence.state, r.trial.count
	t := tried{events: r.events, response: a}
	t.action = from.done(r, a) // which drops the bytes of what is parked
	t.trial = r.trial
	t.suspected = len(t.events) == 1 && count == 1 && t.trial.count == 2
	changed := s.evidence.state != before
	gzipEnded := a.kind == accepted && s.compression.accepted(a.compressed, wasCompressed)
	s.changed.Broadcast()
	s.mu.Unlock()

	if gzipEnded {
		s.gzipChanged(false, "the destination refused compressed what it took uncompressed")
	}
	s.observe(t, r.probe)
	if changed {
		s.announce()
	}
	return t, nil
}

func (s *Sender) request(hard context.Context, b *builder, r *request) response {
	body, compressed := b.body, false
	s.mu.Lock()
	// An event alone is never compressed: it may die of the answer.
	compress := s.compression.on && s.evidence.inARow == 0 && !r.suspect && len(r.events) > 1
	s.mu.Unlock()
	if compress {
		if smaller := b.compressor.compress(body); smaller != nil {
			body, compressed = smaller, true
		}
	}
	s.config.Metrics.inFlight(1, len(r.events))
	defer s.config.Metrics.inFlight(-1, -len(r.events))
	crashpoint.At("delivery.before-post")
	a := s.poster.post(hard, body, compressed, r.suspect)
	crashpoint.At("delivery.answered") // a deferred call would not be inlined away
	return a
}

// classify says what kind of response it is.
func (s *Sender) classify(a *response, probe bool) {
	a.kind, a.own, a.text = classify(a.status, a.words, s.config.AcceptAny2XX), inOwnWords(a.status, a.words), a.describe()
	switch {
	case probe:
		a.own = a.status == http.StatusBadRequest && a.words == EmptyBatch(s.config.Mode)
	case a.broken && a.status/100 == 2 && !s.config.AcceptAny2XX:
		a.kind, a.text = unanswered, "the response broke off: "+a.text
	case a.kind == misdirected:
		a.text = "not RudderStack's answer: " + a.text
	}
}

func (s *Sender) observe(t tried, probe bool) {
	took, m := t.response.ended.Sub(t.response.began), s.config.Metrics
	if t.action != deliver || probe {
		s.log.Debug("request failed", "answer", t.response.describe(), "events", len(t.events), "probe", probe, "took", took)
	}
	m.requests.WithLabelValues(statusClass(t.response.status)).Inc()
	m.events.Add(float64(len(t.events)))
	m.bytes.Add(float64(t.response.bytes))
	m.duration.Observe(took.Seconds())
	if t.action == split {
		m.halved.Inc()
	}
}

// observeDelivered counts how long it took, for each record.
func (s *Sender) observeDelivered(events []event, at time.Time) {
	var seq uint64 // none has 0
	for _, e := range events {
		if e.seq == seq {
			continue
		}
		seq = e.seq
		s.mu.Lock()
		h := s.held[seq]
		s.mu.Unlock()
		if h.record != nil && !h.record.ReceivedAt.IsZero() {
			s.config.Metrics.latency.Observe(max(0, at.Sub(h.record.ReceivedAt).Seconds()))
		}
	}
}

// letter is a dead letter that says how often the event failed, over how long, and
// what was accepted meanwhile.
func (s *Sender) letter(t tried) queue.DeadEvent {
	e, o := t.events[0], t.trial.response
	s.mu.Lock()
	accepted := s.evidence.accepted - t.trial.before
	s.mu.Unlock()
	d := queue.DeadEvent{
		Seq: e.seq, Index: e.index, Reason: consequences[o.kind].reason, Status: o.status, Attempts: t.trial.attempts,
		Answer: fmt.Sprintf("%s\n(failed alone %d times in %s; meanwhile %d other requests were accepted)",
			o.words, t.trial.fails, t.trial.last.Sub(t.trial.first).Round(time.Second), accepted),
	}
	s.log.Warn("event goes to the dead letters", "record", d.Seq, "index", d.Index, "reason", d.Reason,
		"status", d.Status, "attempts", d.Attempts)
	return d
}

// parked releases the bytes of events that wait, and names in the log, once, an
// event that fails alone while others are accepted.
func (s *Sender) parked(t tried) {
	s.mu.Lock()
	for _, e := range t.events {
		if h, held := s.held[e.seq]; held {
			for i := range h.record.Events {
				h.record.Events[i].Raw = nil
			}
		}
	}
	s.mu.Unlock()
	if t.suspected {
		kind, id := describeEvent(t.events[0].raw)
		s.log.Warn("event is suspected: it fails alone while others are accepted",
			"record", t.events[0].seq, "index", t.events[0].index, "type", kind, "id", id, "status", t.response.status)
	}
}

// describeEvent returns an event's type and id. Of duplicates the last one counts.
func describeEvent(raw []byte) (kind, id string) {
	for f := currents.Fields(raw); f.Next(); {
		switch {
		case f.KeyIs("event_type"):
			text, _ := currents.AppendText(nil, f.Value())
			kind = string(text)
		case f.KeyIs("id"):
			text, _ := currents.AppendText(nil, f.Value())
			id = string(text)
		}
	}
	return kind, id
}

func (s *Sender) builder() *builder {
	return &builder{config: &s.config}
}
