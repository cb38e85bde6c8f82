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

// note counts, once, what the glossary does not have in an event of this type, and
// what is missing of it in the message. It is called only for events in which there
// may be such a thing; after Braze has added a field, that is every event of a type.
func (s *shapes) note(watch *drift.Watch, event, eventType []byte, drifts bool, missing redactions) {
	if !watch.Begin(event) {
		return
	}
	for _, field := range missing.names() {
		watch.Redacted(field)
	}
	if !drifts {
		return
	}
	n := eventDrift{watch: watch}
	var isText bool
	if n.name, isText = currents.AppendText(nil, eventType); !isText {
		n.name = []byte("(no text)") // a value of another kind is no name, and may be personal
	}
	of := s.of(eventType)
	if of == nil && present(eventType) {
		watch.Count(n.name, nil)
	}
	for f := currents.Fields(event); f.Next(); {
		n.look("", &f, &s.top)
		if of == nil {
			continue // its fields are not known
		}
		var known *table
		var prefix string
		switch {
		case f.KeyIs("user"):
			prefix, known = "user.", &of.user
		case f.KeyIs("properties"):
			prefix, known = "properties.", &of.properties
		default:
			continue
		}
		inner := f.Inner()
		for inner.Next() {
			n.look(prefix, &inner, known)
		}
		f.Leave(&inner)
	}
}

// typeOf returns the raw event type; nil: there is none.
func typeOf(event []byte) (eventType []byte) {
	for f := currents.Fields(event); f.Next(); {
		if f.KeyIs("event_type") {
			eventType = f.Value()
		}
	}
	return eventType
}

// eventDrift is one event whose drift is counted.
type eventDrift struct {
	watch       *drift.Watch
	name, field []byte // what is counted: the type's name, and the field's
	key         [64]byte
}

// look counts the field at which f is where the table does not have it.
func (n *eventDrift) look(prefix string, f *currents.FieldIterator, known *table) {
	if known.find(f.PlainKey(n.key[:0])) < 0 {
		n.field = f.AppendKey(append(n.field[:0], prefix...))
		n.watch.Count(n.name, n.field)
	}
}
