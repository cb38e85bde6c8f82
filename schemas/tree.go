package schemas

import (
	"strconv"

	"github.com/xeipuuv/gojsonschema"
)

// What the walk over the bytes refused is decoded and judged by gojsonschema,
// which says why.

func (v *Validator) decodeEvent(raw []byte) Verdict {
	doc, err := decode(raw)
	if err != nil {
		return notJSON(err)
	}
	var out Verdict
	out.Type = v.event(doc, "", &out)
	return out.done()
}

func (v *Validator) decodeBatch(raw []byte) Verdict {
	doc, err := decode(raw)
	if err != nil {
		return notJSON(err)
	}
	var out Verdict
	events, ok := list(doc, "events", &out)
	if ok {
		out.Drift = unknownFields(out.Drift, doc.(map[string]any), batchFields(), "", "a batch")
	}
	for i, event := range events {
		v.event(event, "/events/"+strconv.Itoa(i), &out)
	}
	return out.done()
}

func (v *Validator) decodeMessage(raw []byte) Verdict {
	doc, err := decode(raw)
	if err != nil {
		return notJSON(err)
	}
	var out Verdict
	out.Type = v.message(doc, "", &out)
	return out.done()
}

func (v *Validator) decodeMessageBatch(raw []byte) Verdict {
	doc, err := decode(raw)
	if err != nil {
		return notJSON(err)
	}
	var out Verdict
	messages, ok := list(doc, "batch", &out)
	if ok && len(messages) == 0 {
		out.Errors = append(out.Errors, Finding{"/batch", "minItems", "expected at least one message, got none"})
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
		out.Drift = append(out.Drift, unknownType(name, at))
	}
	out.Drift = rules.drift(out.Drift, event, at)
	return name
}

func unknownType(name, at string) Finding {
	return Finding{
		at + "/event_type", RuleUnknownEventType,
		"expected an event type of the glossary, got " + short(name),
	}
}

// message judges one message of a document and returns its type.
func (v *Validator) message(doc any, at string, out *Verdict) string {
	message, _ := doc.(map[string]any)
	call, _ := message["type"].(string)
	schema := v.typed.schema
	if rules, known := v.messages[call]; known {
		schema = rules.schema
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
		return fail("", "type", "expected object, got "+short(doc))
	}
	value, ok := body[key]
	if !ok {
		return fail("/"+key, "required", "expected a value, got none")
	}
	items, ok := value.([]any)
	if !ok {
		return fail("/"+key, "type", "expected array, got "+short(value))
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
