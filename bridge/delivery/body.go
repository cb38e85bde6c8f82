package delivery

import (
	"strconv"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/sourceloss"
)

// builder makes the bodies of one worker's requests. Its buffers are used again
// and again.
type builder struct {
	config *Config

	body       []byte // built last
	compressor compressor
	spans      []queue.Span
	ids        []byte // of events that have none
	ends       []int  // of each in ids

	alone []byte // one event as it would be sent
}

// check keeps of events what is to be sent. The others are what the connector's
// filter keeps back (wants, where it is not nil, beside the mapper) and, for the
// dead letters, what RudderStack would lose silently or what cannot be
// mapped. Intake has looked already, but by the rules and the mode of that day:
// they may have been changed since, and replayed dead letters do not pass intake
// again.
func (b *builder) check(events []event, wants func([]byte) bool) (kept []event, filtered []queue.Span, dead []queue.DeadEvent) {
	kept = events[:0]
	for _, e := range events {
		reason := currents.NotAnObject
		if len(e.raw) > 0 && e.raw[0] == '{' {
			if wants != nil && !wants(e.raw) || !b.config.Mapper.Keeps(e.raw) {
				filtered = appendSpan(filtered, e)
				continue
			}
			// /v1/batch drops nothing silently. For Webhook the event counts as it would be
			// sent, since the mapper may have taken an id out of it.
			if reason = ""; b.config.Mode == Webhook {
				b.alone = b.config.Mapper.Append(b.alone[:0], e.raw, e.id)
				reason = sourceloss.Of(b.alone).Reason
			}
		}
		if reason == "" {
			kept = append(kept, e)
		} else {
			dead = append(dead, queue.DeadEvent{Seq: e.seq, Index: e.index, Reason: string(reason)})
		}
	}
	return kept, filtered, dead
}

// build makes the body of as many of the events as fit, at least one where there is
// one, and returns how many these are. It is valid until the next call.
func (b *builder) build(events []event) int {
	head := `{"batch":[`
	if b.config.Mode == Webhook {
		head = `{"events":[`
	}
	const tail = `]}`
	body := append(b.body[:0], head...)
	n := len(events)
	for i := range events {
		before := len(body)
		if i > 0 {
			body = append(body, ',')
		}
		body = b.config.Mapper.Append(body, events[i].raw, events[i].id)
		if len(body)+len(tail) > int(b.config.MaxBody) && i > 0 {
			body, n = body[:before], i
			break
		}
	}
	b.body = append(body, tail...)
	return n
}

// drop releases buffers that one huge event has enlarged.
func (b *builder) drop() {
	if max(cap(b.body), cap(b.alone), b.compressor.compressed.Cap()) > 2*int(b.config.MaxBody) {
		*b = builder{config: b.config}
	}
}

// spansOf returns the runs of events that follow each other in a record. It is
// valid until the next call.
func (b *builder) spansOf(events []event) []queue.Span {
	b.spans = b.spans[:0]
	for _, e := range events {
		b.spans = appendSpan(b.spans, e)
	}
	return b.spans
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

// eventsOf returns the events of the records, oldest first. In the mode Events
// each gets the id that it has where Braze gave none: the record's origin and the
// place in it, so that it is the same each time the event is sent.
func (b *builder) eventsOf(records []*queue.Record) []event {
	n := 0
	for _, r := range records {
		n += len(r.Events)
	}
	list := make([]event, 0, n)
	// All ids share one string, which costs one allocation.
	b.ids, b.ends = b.ids[:0], b.ends[:0]
	for _, r := range records {
		for _, e := range r.Events {
			list = append(list, event{seq: r.Seq, index: e.Index, raw: e.Raw})
			if b.config.Mode == Events {
				b.ids = appendID(b.ids, r.Origin, e.Index)
				b.ends = append(b.ends, len(b.ids))
			}
		}
	}
	all, start := string(b.ids), 0
	for i, end := range b.ends {
		list[i].id, start = all[start:end], end
	}
	return list
}

func appendID(dst []byte, origin string, index int) []byte {
	dst = append(dst, origin...)
	dst = append(dst, '-')
	return strconv.AppendInt(dst, int64(index), 10)
}
