package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// calls lists the RudderStack calls that have a schema, written by hand.
func calls() []string { return []string{"alias", "group", "identify", "page", "screen", "track"} }

// rudderBatch makes the schema of a body for /v1/batch out of the schemas of
// the single calls, so that nothing is written twice and the batch stands alone.
func rudderBatch() (*schema, error) {
	message := &schema{AllOf: []schema{{Ref: "#/definitions/typed"}}}
	shared := bundle{}
	whole := members{{"message", message}, {"typed", typedSchema()}}
	for _, call := range calls() {
		raw, ok := Schema("rudder/" + call)
		if !ok {
			return nil, fmt.Errorf("rudder/%s.schema.json is missing", call)
		}
		body, err := shared.take(raw)
		if err != nil {
			return nil, fmt.Errorf("rudder/%s.schema.json: %w", call, err)
		}
		message.AllOf = append(message.AllOf, choice("type", call))
		whole = append(whole, member{call, body})
	}
	return &schema{
		Dialect:     draft7,
		ID:          base + "rudder/batch.schema.json",
		Title:       "RudderStack batch",
		Description: "The body of a POST to /v1/batch: messages of any call, each with its type. Made from the schemas of the calls.",
		Type:        types{"object"},
		Required:    []string{"batch"},
		Properties: members{{"batch", &schema{
			Type: types{"array"}, MinItems: 1, Items: &schema{Ref: "#/definitions/message"},
		}}},
		Definitions: append(whole, shared.definitions...),
	}, nil
}

// typedSchema asks for no more than the name of a call.
func typedSchema() *schema {
	return &schema{
		Type:       types{"object"},
		Required:   []string{"type"},
		Properties: members{{"type", &schema{Type: types{"string"}, Enum: calls()}}},
	}
}

// bundle gathers the definitions that several schemas have in common.
type bundle struct {
	definitions members
}

// take returns a schema without its name and without its definitions, which it
// keeps. Two schemas may not mean different things by one name.
func (b *bundle) take(raw []byte) (members, error) {
	all, err := readMembers(raw)
	if err != nil {
		return nil, err
	}
	var body members
	for _, m := range all {
		switch m.name {
		case "$schema", "$id", "title":
		case "definitions":
			definitions, err := readMembers(m.value.(json.RawMessage))
			if err != nil {
				return nil, err
			}
			for _, d := range definitions {
				if err := b.add(d); err != nil {
					return nil, err
				}
			}
		default:
			body = append(body, m)
		}
	}
	return body, nil
}

func (b *bundle) add(d member) error {
	for _, have := range b.definitions {
		if have.name != d.name {
			continue
		}
		if !bytes.Equal(have.value.(json.RawMessage), d.value.(json.RawMessage)) {
			return fmt.Errorf("definition %s is not what it is in other calls", d.name)
		}
		return nil
	}
	b.definitions = append(b.definitions, d)
	return nil
}

// readMembers reads an object and keeps the order of its members.
func readMembers(raw []byte) (members, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if open, err := dec.Token(); err != nil {
		return nil, err
	} else if open != json.Delim('{') {
		return nil, errors.New("expected an object")
	}
	var m members
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		m = append(m, member{fmt.Sprint(key), value})
	}
	return m, nil
}
