package mapping

import (
	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/drift"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// shapes is what the glossary says of events, to find what it does not say.
type shapes struct {
	top   table // fields of the envelope
	types table
	list  []shape // by number of types
}

// shape is what the glossary says of one event type.
type shape struct {
	user       table
	properties table
	moved      []int8 // by number of properties: which of the moved ones it is, or notMoved
}

func newShapes(g *schemas.Glossary) *shapes {
	s := &shapes{list: make([]shape, len(g.Events))}
	for _, f := range g.Envelope {
		s.top.add(f.Name)
	}
	for i := range g.Events {
		e, of := &g.Events[i], &s.list[s.types.add(g.Events[i].Name)]
		for _, f := range e.User {
			of.user.add(f.Name)
		}
		for _, f := range e.Properties {
			of.properties.add(f.Name)
			of.moved = append(of.moved, int8(movedIndex([]byte(f.Name))))
		}
	}
	return s
}

// of returns the shape of a raw event type; nil: the glossary does not have it.
func (s *shapes) of(eventType []byte) *shape {
	i := s.number(eventType)
	if i < 0 {
		return nil
	}
	return &s.list[i]
}

// number returns the number of a raw event type; -1: the glossary does not have
// it.
func (s *shapes) number(eventType []byte) int {
	if len(eventType) < 2 || eventType[0] != '"' {
		return -1
	}
	if i := s.types.find(eventType[1 : len(eventType)-1]); i >= 0 {
		return i
	}
	var buf [64]byte
	return s.types.find(plainText(eventType, buf[:0])) // it may be written with escapes
}

// place returns which of the moved properties key is, or unknown.
func (s *shape) place(key []byte) int {
	i := s.properties.find(key)
	if i < 0 {
		return unknown
	}
	return int(s.moved[i])
}

// note counts what the glossary does not have in an event, and what is missing
// of it in the message. It is for the rare event in which something unusual was
// seen, and looks closely.
func (s *shapes) note(watch *drift.Watch, event []byte, drifts bool, missing redactions) {
	n := eventDrift{watch: watch, event: event}
	if missing != 0 && n.first() {
		for _, field := range missing.names() {
			watch.Redacted(field)
		}
	}
	if !drifts {
		return
	}
	for f := currents.Fields(event); f.Next(); {
		if f.KeyIs("event_type") {
			n.eventType = f.Value()
		}
	}
	of := s.of(n.eventType)
	if of == nil && present(n.eventType) {
		n.count("", nil)
	}
	for f := currents.Fields(event); f.Next(); {
		inner := f.Inner()
		switch {
		case s.top.find(f.PlainKey(n.key[:0])) < 0:
			n.count("", f.AppendKey(nil))
		case of == nil: // its fields are not known
		case f.KeyIs("user"):
			n.unknown("user.", &inner, &of.user)
		case f.KeyIs("properties"):
			n.unknown("properties.", &inner, &of.properties)
		}
	}
}

// eventDrift is one event whose drift is counted.
type eventDrift struct {
	watch            *drift.Watch
	event, eventType []byte
	known, again     bool
	key              [64]byte
}

func (n *eventDrift) unknown(prefix string, f *currents.FieldIterator, known *table) {
	for f.Next() {
		if known.find(f.PlainKey(n.key[:0])) < 0 {
			n.count(prefix, f.AppendKey(nil))
		}
	}
}

// first reports whether the event was not counted before. The Watch is asked
// once.
func (n *eventDrift) first() bool {
	if !n.known {
		n.known, n.again = true, !n.watch.Begin(n.event)
	}
	return !n.again
}

func (n *eventDrift) count(prefix string, key []byte) {
	if !n.first() {
		return
	}
	name := []byte("(no text)") // a value of another kind is no name, and may be personal
	if text, ok := currents.AppendText(nil, n.eventType); ok {
		name = text
	}
	n.watch.Count(name, append([]byte(prefix), key...))
}
