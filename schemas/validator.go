package schemas

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/xeipuuv/gojsonschema"

	"github.com/currentsbridge/currentsbridge/schemas/internal/bytecheck"
)

// Validator judges documents by the schemas of this package. Its schemas are
// compiled once, by NewValidator; its methods may be called from many
// goroutines at once and give the same verdict for the same bytes every time.
//
// Where a JSON object has a key twice, the last one counts. What a document may
// hold is limited by its length only, apart from nesting deeper than 10,000,
// which is invalid_json.
//
// A valid document costs little: its bytes are looked at where they lie. Only
// one that is found invalid is decoded, to say what is wrong with it.
type Validator struct {
	types    []string
	events   map[string]*eventRules
	envelope eventRules

	messages map[string]*messageRules
	typed    rules

	eventList   *bytecheck.Checker
	messageList *bytecheck.Checker

	indexes indexes
}

// rules are a schema, compiled twice.
type rules struct {
	schema  *gojsonschema.Schema
	checker *bytecheck.Checker // says the same, faster and without a reason
}

type messageRules struct {
	name string
	rules
}

// NewValidator returns the Validator of the glossary that is built in.
func NewValidator() (*Validator, error) {
	g, err := Load()
	if err != nil {
		return nil, err
	}
	return g.Validator()
}

// Validator compiles the schemas of every event type of the glossary, and those
// of RudderStack's calls, which takes some tens of milliseconds. An error means
// that the program was built from broken schemas.
func (g *Glossary) Validator() (*Validator, error) {
	v := &Validator{
		events:   make(map[string]*eventRules, len(g.Events)),
		messages: make(map[string]*messageRules),
	}
	if err := v.compileEvents(g); err != nil {
		return nil, err
	}
	return v, v.compileMessages()
}

func (v *Validator) compileEvents(g *Glossary) (err error) {
	v.envelope.top = names(g.Envelope)
	if v.envelope.rules, err = compileRules("of an event", envelopeSchema(g, "")); err != nil {
		return err
	}
	v.envelope.noteUnknown()
	for i := range g.Events {
		e := &g.Events[i]
		event := &eventRules{
			name: e.Name, top: v.envelope.top,
			user: names(e.User), properties: names(e.Properties),
		}
		if event.rules, err = compileRules(e.Name, eventBody(g, e)); err != nil {
			return err
		}
		event.noteUnknown()
		v.types = append(v.types, e.Name)
		v.events[e.Name] = event
	}
	v.eventList, err = bytecheck.Compile([]byte(`{"type":"object","required":["events"],"properties":{"events":{"type":"array"}}}`))
	if err == nil {
		v.eventList.NoteUnknown(inTop, batchFields().list())
	}
	return err
}

func (v *Validator) compileMessages() (err error) {
	for _, call := range calls() {
		message := &messageRules{name: call}
		raw, _ := Schema("rudder/" + call)
		if message.rules, err = compileRules(call, json.RawMessage(raw)); err != nil {
			return err
		}
		v.messages[call] = message
	}
	if v.typed, err = compileRules("of a message", typedSchema()); err != nil {
		return err
	}
	v.messageList, err = bytecheck.Compile([]byte(`{"type":"object","required":["batch"],"properties":{"batch":{"type":"array","minItems":1}}}`))
	return err
}

// compileRules compiles a *schema, or one written by hand.
func compileRules(name string, from any) (r rules, err error) {
	raw, err := json.Marshal(from)
	if err != nil {
		return rules{}, fmt.Errorf("schema %s: %w", name, err)
	}
	if r.schema, err = compileSchema(raw); err != nil {
		return rules{}, fmt.Errorf("schema %s: %w", name, err)
	}
	if r.checker, err = bytecheck.Compile(raw); err != nil {
		return rules{}, fmt.Errorf("schema %s: %w", name, err)
	}
	return r, nil
}

func compileSchema(raw []byte) (*gojsonschema.Schema, error) {
	loader := gojsonschema.NewSchemaLoader()
	loader.Draft = gojsonschema.Draft7
	loader.AutoDetect = false
	return loader.Compile(gojsonschema.NewBytesLoader(raw))
}

// Types lists the event types that the Validator knows, sorted.
func (v *Validator) Types() []string {
	return slices.Clone(v.types)
}

// Event judges one Braze event. An event of an unknown type needs the envelope
// only, and is drift.
func (v *Validator) Event(raw []byte) Verdict {
	x := v.indexes.take()
	defer v.indexes.give(x)
	if x.Read(raw) {
		var out Verdict
		if name, ok := v.walkEvent(x, 0, spot{}, &out); ok {
			out.Type = name
			return out.done()
		}
	}
	return v.decodeEvent(raw)
}

// Batch judges a request body as Braze posts it, {"events":[…]}. Findings lie
// under /events/ and the place of the event; an empty list is a probe of the
// credentials and valid.
func (v *Validator) Batch(raw []byte) Verdict {
	x := v.indexes.take()
	defer v.indexes.give(x)
	if x.Read(raw) && v.eventList.Valid(x, 0) {
		var out Verdict
		out.Drift = driftOf(out.Drift, x, 0, inTop, batchFields(), "", "a batch")
		events, _ := x.Member(0, "events")
		x.Items(events, func(i int, item bytecheck.Node) {
			at := spot{"/events/", i}
			if _, ok := v.walkEvent(x, item, at, &out); !ok {
				v.event(decoded(x, item), at.String(), &out)
			}
		})
		return out.done()
	}
	return v.decodeBatch(raw)
}

// Message judges one RudderStack message by the schema of its type: track,
// identify, page, screen, group or alias. Messages do not drift: RudderStack
// takes any field.
func (v *Validator) Message(raw []byte) Verdict {
	x := v.indexes.take()
	defer v.indexes.give(x)
	if x.Read(raw) {
		if name, ok := v.walkMessage(x, 0); ok {
			return Verdict{Type: name, Valid: true}
		}
	}
	return v.decodeMessage(raw)
}

// MessageBatch judges the body of a POST to /v1/batch, {"batch":[…]}. Findings
// lie under /batch/ and the place of the message; an empty list is one.
func (v *Validator) MessageBatch(raw []byte) Verdict {
	x := v.indexes.take()
	defer v.indexes.give(x)
	if x.Read(raw) && v.messageList.Valid(x, 0) {
		var out Verdict
		messages, _ := x.Member(0, "batch")
		x.Items(messages, func(i int, item bytecheck.Node) {
			if _, ok := v.walkMessage(x, item); !ok {
				v.message(decoded(x, item), spot{"/batch/", i}.String(), &out)
			}
		})
		return out.done()
	}
	return v.decodeMessageBatch(raw)
}
