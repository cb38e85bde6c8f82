package schemas

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/xeipuuv/gojsonschema"
)

// Validator judges documents by the schemas of this package. Its schemas are
// compiled once, by NewValidator; its methods may be called from many
// goroutines at once and give the same verdict for the same bytes every time.
//
// Where a JSON object has a key twice, the last one counts. What a document may
// hold is limited by its length only, apart from nesting deeper than 10,000,
// which is invalid_json.
type Validator struct {
	types    []string
	events   map[string]*eventRules
	envelope eventRules

	messages map[string]*gojsonschema.Schema
	typed    *gojsonschema.Schema
}

// NewValidator compiles every schema, which takes some tens of milliseconds. An
// error means that the program was built from broken schemas.
func NewValidator() (*Validator, error) {
	g, err := Load()
	if err != nil {
		return nil, err
	}
	v := &Validator{
		events:   make(map[string]*eventRules, len(g.Events)),
		messages: make(map[string]*gojsonschema.Schema),
	}
	v.envelope.top = names(g.Envelope)
	if v.envelope.schema, err = compileDefinition("braze/batch", "envelope"); err != nil {
		return nil, err
	}
	for i := range g.Events {
		e := &g.Events[i]
		rules := &eventRules{
			name: e.Name, top: v.envelope.top,
			user: names(e.User), properties: names(e.Properties),
		}
		if rules.schema, err = compile("braze/" + e.Name); err != nil {
			return nil, err
		}
		v.types = append(v.types, e.Name)
		v.events[e.Name] = rules
	}
	for _, name := range Names() {
		call, ok := strings.CutPrefix(name, "rudder/")
		if !ok || call == "batch" {
			continue
		}
		if v.messages[call], err = compile(name); err != nil {
			return nil, err
		}
	}
	v.typed, err = compileDefinition("rudder/batch", "typed")
	return v, err
}

func compile(name string) (*gojsonschema.Schema, error) {
	raw, ok := Schema(name)
	if !ok {
		return nil, fmt.Errorf("there is no schema %s", name)
	}
	return compileRaw(name, raw)
}

// compileDefinition compiles one definition of a schema that refers to no other.
func compileDefinition(name, definition string) (*gojsonschema.Schema, error) {
	raw, _ := Schema(name)
	var doc struct {
		Definitions map[string]json.RawMessage `json:"definitions"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, err)
	}
	return compileRaw(name+"#"+definition, doc.Definitions[definition])
}

func compileRaw(name string, raw []byte) (*gojsonschema.Schema, error) {
	loader := gojsonschema.NewSchemaLoader()
	loader.Draft = gojsonschema.Draft7
	loader.AutoDetect = false
	s, err := loader.Compile(gojsonschema.NewBytesLoader(raw))
	if err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, err)
	}
	return s, nil
}

// Types lists the event types that the Validator knows, sorted.
func (v *Validator) Types() []string {
	return slices.Clone(v.types)
}

// Event judges one Braze event. An event of an unknown type needs the envelope
// only, and is drift.
func (v *Validator) Event(raw []byte) Verdict {
	doc, err := decode(raw)
	if err != nil {
		return notJSON(err)
	}
	var out Verdict
	out.Type = v.event(doc, "", &out)
	return out.done()
}

// Batch judges a request body as Braze posts it, {"events":[…]}. Findings lie
// under /events/ and the place of the event; an empty list is a probe of the
// credentials and valid.
func (v *Validator) Batch(raw []byte) Verdict {
	doc, err := decode(raw)
	if err != nil {
		return notJSON(err)
	}
	var out Verdict
	events, ok := list(doc, "events", &out)
	if ok {
		out.Drift = unknownFields(out.Drift, doc.(map[string]any), batchFields, "", "a batch")
	}
	for i, event := range events {
		v.event(event, "/events/"+strconv.Itoa(i), &out)
	}
	return out.done()
}

// Message judges one RudderStack message by the schema of its type: track,
// identify, page, screen, group or alias. Messages do not drift: RudderStack
// takes any field.
func (v *Validator) Message(raw []byte) Verdict {
	doc, err := decode(raw)
	if err != nil {
		return notJSON(err)
	}
	var out Verdict
	out.Type = v.message(doc, "", &out)
	return out.done()
}

// MessageBatch judges the body of a POST to /v1/batch, {"batch":[…]}. Findings
// lie under /batch/ and the place of the message; an empty list is one.
func (v *Validator) MessageBatch(raw []byte) Verdict {
	doc, err := decode(raw)
	if err != nil {
		return notJSON(err)
	}
	var out Verdict
	messages, ok := list(doc, "batch", &out)
	if ok && len(messages) == 0 {
		out.Errors = append(out.Errors, Finding{"/batch", "minItems", "expected at least one message, came none"})
	}
	for i, message := range messages {
		v.message(message, "/batch/"+strconv.Itoa(i), &out)
	}
	return out.done()
}

// event judges one event of a document, at the given place, and returns its type.
func (v *Validator) event(doc any, at string, out *Verdict) string {
	event, _ := doc.(map[string]any)
	name, _ := event["event_type"].(string)
	rules, known := v.events[name]
	if !known {
		rules = &v.envelope
	}
	judge(rules.schema, doc, at, out)
	if !known && name != "" {
		out.Drift = append(out.Drift, Finding{
			at + "/event_type", RuleUnknownEventType,
			"expected an event type of the glossary, came " + short(name),
		})
	}
	out.Drift = rules.drift(out.Drift, event, at)
	return name
}

// message judges one message of a document and returns its type.
func (v *Validator) message(doc any, at string, out *Verdict) string {
	message, _ := doc.(map[string]any)
	call, _ := message["type"].(string)
	schema, known := v.messages[call]
	if !known {
		schema = v.typed
	}
	judge(schema, doc, at, out)
	return call
}

// judge validates a tree that is already decoded: a raw loader hands it over as
// it is, the other loaders would write and read it again.
func judge(schema *gojsonschema.Schema, doc any, at string, out *Verdict) {
	result, err := schema.Validate(gojsonschema.NewRawLoader(doc))
	if err != nil {
		// A raw loader cannot fail; if it ever does, nothing is called valid.
		out.Errors = append(out.Errors, Finding{at, "internal", err.Error()})
		return
	}
	if !result.Valid() {
		out.Errors = append(out.Errors, findings(result.Errors(), at)...)
	}
}

// list takes the array out of a batch, by hand: the schema of a whole batch
// would try every event against every type.
func list(doc any, key string, out *Verdict) ([]any, bool) {
	fail := func(path, rule, detail string) ([]any, bool) {
		out.Errors = append(out.Errors, Finding{path, rule, detail})
		return nil, false
	}
	body, ok := doc.(map[string]any)
	if !ok {
		return fail("", "type", "expected object, came "+short(doc))
	}
	value, ok := body[key]
	if !ok {
		return fail("/"+key, "required", "expected a value, came nothing")
	}
	items, ok := value.([]any)
	if !ok {
		return fail("/"+key, "type", "expected array, came "+short(value))
	}
	return items, true
}

func notJSON(err error) Verdict {
	return Verdict{Errors: []Finding{{"", RuleInvalidJSON, err.Error()}}}
}

func (v *Verdict) done() Verdict {
	v.Valid = len(v.Errors) == 0
	return *v
}
