package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

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
// A valid document costs little: its bytes are looked at where they lie.
type Validator struct {
	types    []string
	events   map[string]*rules
	envelope rules

	messages map[string]*rules  // by call
	typed    *bytecheck.Checker // of those without a good type

	indexes sync.Pool // of *bytecheck.Index
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
		events:   make(map[string]*rules, len(g.Events)),
		messages: make(map[string]*rules),
	}
	if err := v.compileEvents(g); err != nil {
		return nil, err
	}
	return v, v.compileMessages()
}

func (v *Validator) compileEvents(g *Glossary) (err error) {
	top := names(g.Envelope)
	if v.envelope.checker, err = compile("of an event", envelopeSchema(g, "")); err != nil {
		return err
	}
	v.envelope.checker.NoteUnknown(inTop, top)
	for i := range g.Events {
		e := &g.Events[i]
		checker, err := compile(e.Name, eventBody(g, e))
		if err != nil {
			return err
		}
		checker.NoteUnknown(inTop, top)
		checker.NoteUnknown(inProperties, names(e.Properties), "properties")
		checker.NoteUnknown(inUser, names(e.User), "user")
		v.types = append(v.types, e.Name)
		v.events[e.Name] = &rules{e.Name, checker}
	}
	return nil
}

func (v *Validator) compileMessages() (err error) {
	for _, call := range calls() {
		raw, _ := Schema("rudder/" + call)
		checker, err := compile(call, json.RawMessage(raw))
		if err != nil {
			return err
		}
		v.messages[call] = &rules{call, checker}
	}
	v.typed, err = compile("of a message", typedSchema())
	return err
}

// calls lists the RudderStack calls that have a schema, written by hand.
func calls() []string { return []string{"alias", "group", "identify", "page", "screen", "track"} }

// typedSchema asks for no more than the name of a call.
func typedSchema() *schema {
	return &schema{
		Type:       types{"object"},
		Required:   []string{"type"},
		Properties: members{{"type", &schema{Type: types{"string"}, Enum: calls()}}},
	}
}

// compile compiles a *schema, or one written by hand.
func compile(name string, from any) (*bytecheck.Checker, error) {
	raw, err := json.Marshal(from)
	if err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, err)
	}
	checker, err := bytecheck.Compile(raw)
	if err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, err)
	}
	return checker, nil
}

// Types lists the event types that the Validator knows, sorted.
func (v *Validator) Types() []string {
	return slices.Clone(v.types)
}

// Event judges one Braze event. An event of an unknown type needs the envelope
// only, and is drift.
func (v *Validator) Event(raw []byte) (out Verdict) {
	x := v.read(raw, &out)
	if len(out.Errors) == 0 {
		out.Type = v.event(x, &out)
	}
	return v.done(x, out)
}

// Message judges one RudderStack message by the schema of its type: track,
// identify, page, screen, group or alias. Messages do not drift: RudderStack
// takes any field.
func (v *Validator) Message(raw []byte) (out Verdict) {
	x := v.read(raw, &out)
	if len(out.Errors) == 0 {
		out.Type = v.message(x, &out)
	}
	return v.done(x, out)
}

// read reads a document, or notes that it is none.
func (v *Validator) read(raw []byte, out *Verdict) *bytecheck.Index {
	x, ok := v.indexes.Get().(*bytecheck.Index)
	if !ok {
		x = &bytecheck.Index{}
	}
	if !x.Read(raw) {
		out.Errors = []Finding{{"", RuleInvalidJSON, notJSON(raw)}}
	}
	return x
}

// done ends a verdict, and keeps the index for the next one.
func (v *Validator) done(x *bytecheck.Index, out Verdict) Verdict {
	out.Valid = len(out.Errors) == 0
	if !x.Large() { // a huge document has made it so
		x.Forget()
		v.indexes.Put(x)
	}
	return out
}

// event judges an event and returns its type.
func (v *Validator) event(x *bytecheck.Index, out *Verdict) (name string) {
	of := &v.envelope
	typ, ok := x.Member(0, "event_type")
	if ok && x.Kind(typ) == bytecheck.String {
		text := x.Text(typ)
		if known := v.events[string(text)]; known != nil { // without a copy of the text
			of, name = known, known.name
		} else {
			name = string(text)
		}
	}
	out.add(of.checker.Check(x, 0))
	if of.name == "" && name != "" {
		out.Drift = append(out.Drift, Finding{"/event_type", RuleUnknownEventType,
			"expected an event type of the glossary, got " + x.Short(typ)})
	}
	out.Drift = of.drift(out.Drift, x)
	return name
}

// message judges a message and returns its type.
func (v *Validator) message(x *bytecheck.Index, out *Verdict) (call string) {
	checker := v.typed
	if typ, ok := x.Member(0, "type"); ok && x.Kind(typ) == bytecheck.String {
		text := x.Text(typ)
		if known := v.messages[string(text)]; known != nil { // without a copy of the text
			checker, call = known.checker, known.name
		} else {
			call = string(text)
		}
	}
	out.add(checker.Check(x, 0))
	return call
}

// add adds what was found.
func (out *Verdict) add(found []bytecheck.Finding) {
	for _, f := range found {
		out.Errors = append(out.Errors, Finding{f.Path, f.Rule, f.Detail})
	}
}

// notJSON says why a text is no JSON document.
func notJSON(raw []byte) string {
	dec := json.NewDecoder(bytes.NewReader(raw))
	var doc json.RawMessage
	var syntax *json.SyntaxError
	switch err := dec.Decode(&doc); {
	case err == nil:
		return fmt.Sprintf("expected one JSON document, got more after byte %d", dec.InputOffset())
	case errors.Is(err, io.EOF):
		return "expected a JSON document, got none"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "expected a JSON document, got one that is cut off"
	case errors.As(err, &syntax):
		return fmt.Sprintf("expected a JSON document, got one that is broken at byte %d: %v", syntax.Offset, err)
	default:
		return fmt.Sprintf("expected a JSON document: %v", err)
	}
}
