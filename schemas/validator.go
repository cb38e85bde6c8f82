package schemas

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/currentsbridge/currentsbridge/schemas/internal/bytecheck"
)

// Validator validates documents against the schemas of this package. Its methods
// may be called from many goroutines at once and give the same verdict for the
// same bytes every time.
//
// Where a JSON object has a key twice, the last one counts. Nesting deeper than
// 10,000 is invalid_json. Nothing is decoded in a valid document.
type Validator struct {
	events   map[string]*rules // by event type
	envelope *rules            // of other events
	messages map[string]*rules // by call
	typed    *rules            // of other messages

	documents sync.Pool
}

// rules are those of one event type or call; without a name, of all others.
type rules struct {
	name    string
	checker *bytecheck.Checker
}

// builtInValidator is compiled once, because that takes some tens of milliseconds.
var builtInValidator = sync.OnceValues(func() (*Validator, error) {
	g, err := builtIn()
	if err != nil {
		return nil, err
	}
	return g.Validator()
})

// NewValidator returns the Validator of the glossary that is built in.
func NewValidator() (*Validator, error) { return builtInValidator() }

// Validator compiles the schemas of every event type of the glossary, and those
// of RudderStack's calls, which takes some tens of milliseconds. An error means
// that the program was built from broken schemas.
func (g *Glossary) Validator() (*Validator, error) {
	v := &Validator{events: make(map[string]*rules, len(g.Events)), messages: make(map[string]*rules)}
	v.documents.New = func() any { return &bytecheck.Document{} }
	var failed error
	compile := func(name string, from any) *rules {
		raw, err := json.Marshal(from)
		failed = errors.Join(failed, err)
		checker, err := bytecheck.Compile(raw)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("schema %q: %w", name, err))
		}
		return &rules{name, checker}
	}
	v.envelope = compile("", envelopeSchema(g, ""))
	for i := range g.Events {
		e := &g.Events[i]
		v.events[e.Name] = compile(e.Name, eventSchema(g, e))
	}
	v.typed = compile("", typedSchema())
	for _, call := range calls() {
		raw, _ := Schema("rudder/" + call)
		v.messages[call] = compile(call, json.RawMessage(raw))
	}
	return v, failed
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

// Event validates one Braze event. For an event of an unknown type, which is drift,
// only the envelope is checked.
func (v *Validator) Event(raw []byte) Verdict {
	document := v.documents.Get().(*bytecheck.Document)
	defer v.documents.Put(document)
	if !document.Read(raw) {
		return Verdict{Errors: notJSON(raw)}
	}
	named := document.Member("event_type")
	typ, of := rulesFor(named, v.events, v.envelope)
	found, unknown := document.Check(of.checker, true)
	out := Verdict{Type: typ, Valid: len(found) == 0, Errors: findings(found)}
	if of.name == "" && typ != "" {
		out.Drift = []Finding{{"/event_type", RuleUnknownEventType, "expected an event type of the glossary, got " + bytecheck.Short(named)}}
	}
	out.Drift = append(out.Drift, drift(unknown, of.name)...)
	return out
}

// Message validates one RudderStack message against the schema of its type: track,
// identify, page, screen, group or alias. Messages have no drift: RudderStack
// accepts any field.
func (v *Validator) Message(raw []byte) Verdict {
	document := v.documents.Get().(*bytecheck.Document)
	defer v.documents.Put(document)
	if !document.Read(raw) {
		return Verdict{Errors: notJSON(raw)}
	}
	typ, of := rulesFor(document.Member("type"), v.messages, v.typed)
	found, _ := document.Check(of.checker, false)
	return Verdict{Type: typ, Valid: len(found) == 0, Errors: findings(found)}
}

// rulesFor returns the type that a member of a document names, and its rules.
func rulesFor(named []byte, known map[string]*rules, others *rules) (typ string, of *rules) {
	if len(named) == 0 || named[0] != '"' {
		return "", others
	}
	name := bytecheck.Text(named)
	if of := known[string(name)]; of != nil {
		return of.name, of
	}
	return string(name), others
}

func findings(found []bytecheck.Finding) (out []Finding) {
	for _, f := range found {
		out = append(out, Finding(f))
	}
	return out
}

// notJSON says why a text is not a JSON document.
func notJSON(raw []byte) []Finding {
	dec := json.NewDecoder(bytes.NewReader(raw))
	var doc json.RawMessage
	var syntax *json.SyntaxError
	detail := "expected a JSON document"
	switch err := dec.Decode(&doc); {
	case err == nil:
		detail = fmt.Sprintf("expected one JSON document, got more after byte %d", dec.InputOffset())
	case errors.Is(err, io.EOF):
		detail += ", got none"
	case errors.Is(err, io.ErrUnexpectedEOF):
		detail += ", got one that is cut off"
	case errors.As(err, &syntax):
		detail += fmt.Sprintf(", got one that is broken at byte %d: %v", syntax.Offset, err)
	default:
		detail += fmt.Sprintf(": %v", err)
	}
	return []Finding{{"", RuleInvalidJSON, detail}}
}

// drift makes findings of the unknown fields of an event: those at the top first,
// then those of properties and user, by name. Of a name given twice the last value
// counts. Objects within properties are the customer's own and have no known fields.
func drift(unknown []bytecheck.Finding, typ string) (found []Finding) {
	slices.SortStableFunc(unknown, func(a, b bytecheck.Finding) int {
		return cmp.Or(strings.Count(a.Path, "/")-strings.Count(b.Path, "/"), strings.Compare(a.Path, b.Path))
	})
	for i, u := range unknown {
		if i+1 < len(unknown) && unknown[i+1].Path == u.Path {
			continue
		}
		in := cmp.Or(typ, "an event")
		if section, _, inner := strings.Cut(u.Path[1:], "/"); inner {
			in = "the " + section + " of " + in
		}
		found = append(found, Finding{u.Path, RuleUnknownField, "expected a field that the glossary knows in " + in + ", got " + u.Detail})
	}
	return found
}
