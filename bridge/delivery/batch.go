package delivery

import (
	"slices"
	"strconv"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// event is one pending event among those that a worker holds.
type event struct {
	seq   uint64
	index int
	raw   []byte
	id    string // messageId where the event has none

	received time.Time
}

// span is a run of a worker's events, from first up to but not including end.
type span struct{ first, end int }

func (s span) len() int { return s.end - s.first }

// halves cuts a span of two or more in two. The first half is never the
// longer one, so that isolating one event among n takes ⌈log₂ n⌉ cuts.
func (s span) halves() (span, span) {
	middle := s.first + s.len()/2
	return span{s.first, middle}, span{middle, s.end}
}

// batch is what a worker holds of fetched records, with the buffers that it
// uses again and again.
type batch struct {
	mode      Mode
	mapper    Mapper
	wants     func(event []byte) bool // beside Mapper.Keeps; nil: all
	maxEvents int
	maxBody   int

	events []event
	ids    []byte // scratch
	ends   []int  // scratch
	body   []byte // of the span packed last

	scan  currents.Batch
	alone []byte // one event as it would be sent, to be scanned
}

// load takes the events of the records, oldest first.
func (b *batch) load(records []*queue.Record) {
	b.events = b.events[:0]
	for _, r := range records {
		for _, e := range r.Events {
			b.events = append(b.events, event{seq: r.Seq, index: e.Index, raw: e.Raw, received: r.ReceivedAt})
		}
	}
	if b.mode == Events {
		b.nameEvents(records)
	}
}

// nameEvents gives each event the id that it gets where Braze gave none: the
// record's origin and the place in it, so that it is the same each time the
// event is sent. All names share one string, which costs one allocation.
func (b *batch) nameEvents(records []*queue.Record) {
	b.ids, b.ends = b.ids[:0], b.ends[:0]
	for _, r := range records {
		for _, e := range r.Events {
			b.ids = append(b.ids, r.Origin...)
			b.ids = append(b.ids, '-')
			b.ids = strconv.AppendInt(b.ids, int64(e.Index), 10)
			b.ends = append(b.ends, len(b.ids))
		}
	}
	all, start := string(b.ids), 0
	for i, end := range b.ends {
		b.events[i].id = all[start:end]
		start = end
	}
}

// sift takes out what is not to be sent: what the connector's filter keeps
// back, and for the dead letters what RudderStack would lose without a word or
// what cannot be mapped. Intake has looked already, but by the rules and the
// mode of that day: they may have been changed since, and replayed dead letters
// do not pass intake again.
func (b *batch) sift() (filtered []queue.Span, dead []queue.DeadEvent) {
	b.events = slices.DeleteFunc(b.events, func(e event) bool {
		reason := currents.NotAnObject
		if len(e.raw) > 0 && e.raw[0] == '{' {
			if b.wants != nil && !b.wants(e.raw) || !b.mapper.Keeps(e.raw) {
				filtered = appendSpan(filtered, e)
				return true
			}
			reason = b.problem(e)
		}
		if reason != "" {
			dead = append(dead, queue.DeadEvent{Seq: e.seq, Index: e.index, Reason: string(reason)})
		}
		return reason != ""
	})
	return filtered, dead
}

// problem is the reason not to send an event. For the mode Events it looks no
// closer: /v1/batch drops nothing silently. For Webhook it looks at the event
// as it would be sent, since the mapper may have taken an id out of it.
func (b *batch) problem(e event) currents.Reason {
	if b.mode == Events {
		return ""
	}
	b.alone = b.mapper.Append(b.alone[:0], e.raw, e.id)
	if err := b.scan.ScanEvent(b.alone); err != nil {
		return currents.NotAnObject
	}
	return b.scan.Events[0].WebhookProblem()
}

// drop forgets the events, whose bytes belong to the queue again, and lets go
// of a buffer that one huge event has blown up.
func (b *batch) drop() {
	clear(b.events)
	b.events = b.events[:0]
	if cap(b.body) > 2*b.maxBody {
		b.body = nil
	}
	if cap(b.alone) > 1<<20 {
		b.alone = nil
		b.scan.Reset()
	}
}

// pack builds the body of as many events from s on as fit, at least one, and
// returns how far it came.
func (b *batch) pack(s span) span {
	s.end = min(s.end, s.first+b.maxEvents)
	head := `{"batch":[`
	if b.mode == Webhook {
		head = `{"events":[`
	}
	const tail = `]}`
	body := append(b.body[:0], head...)
	for i := s.first; i < s.end; i++ {
		before := len(body)
		if i > s.first {
			body = append(body, ',')
		}
		e := &b.events[i]
		body = b.mapper.Append(body, e.raw, e.id)
		if len(body)+len(tail) > b.maxBody && i > s.first {
			body = body[:before]
			s.end = i
		}
	}
	b.body = append(body, tail...)
	return s
}

// settlement returns the outcome of events that RudderStack took: for each
// record, the runs of events that follow each other. It uses into again.
func (b *batch) settlement(s span, into []queue.Span) []queue.Span {
	into = into[:0]
	for _, e := range b.events[s.first:s.end] {
		into = appendSpan(into, e)
	}
	return into
}

// appendSpan adds an event to the last run where it follows it, else as a run
// of its own.
func appendSpan(spans []queue.Span, e event) []queue.Span {
	if n := len(spans) - 1; n >= 0 && spans[n].Seq == e.seq && spans[n].Last+1 == e.index {
		spans[n].Last = e.index
		return spans
	}
	return append(spans, queue.Span{Seq: e.seq, First: e.index, Last: e.index})
}
