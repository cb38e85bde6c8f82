package schemas

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

const (
	draft7 = "http://json-schema.org/draft-07/schema#"
	// base begins the ids of the schemas. Nothing is fetched from there: no schema
	// refers to another.
	base = "https://github.com/currentsbridge/currentsbridge/schemas/"
)

// eventSchema makes the schema of one event type.
//
// It demands what the package comment says. Formats, units and known values change
// without notice, and a rule made of them would reject valid events later, so they
// are in "description" and "examples", which reject nothing.
func eventSchema(g *Glossary, e *EventType) *schema {
	s := envelopeSchema(g, e.Name)
	s.Dialect = draft7
	s.ID = base + "braze/" + e.Name + ".schema.json"
	s.Title = e.Name
	s.Description = describeEvent(e)
	s.fill("user", e.User)
	s.fill("properties", e.Properties)
	return s
}

// envelopeSchema makes the rules for the envelope. With an empty name, event_type
// may be any type.
func envelopeSchema(g *Glossary, name string) *schema {
	s := &schema{Type: types{"object"}}
	for _, f := range g.Envelope {
		rule := fieldSchema(f)
		switch f.Name {
		case "event_type":
			rule.Const = name
			if name == "" {
				rule.MinLength = 1
			}
		case "id":
			rule.MinLength = 1
		}
		s.add(f, rule)
	}
	return s
}

// fill puts the known fields into user or properties. Where one of them is
// required, so is the object.
func (s *schema) fill(name string, fields []Field) {
	i := slices.IndexFunc(s.Properties, func(m member) bool { return m.name == name })
	object := s.Properties[i].value.(*schema)
	object.Properties = members{} // even where it is empty: then every field is unknown
	for _, f := range fields {
		object.add(f, fieldSchema(f))
	}
	if len(object.Required) > 0 {
		object.Type = types{"object"}
		s.Required = append(s.Required, name)
	}
}

func (s *schema) add(f Field, rule *schema) {
	s.Properties = append(s.Properties, member{f.Name, rule})
	if f.Required {
		s.Required = append(s.Required, f.Name)
	}
}

func fieldSchema(f Field) *schema {
	s := &schema{Description: describeField(f), Examples: slices.Concat(f.Enum, f.Examples)}
	if f.Type == "array<string>" {
		s.Type = types{"array"}
		s.Items = &schema{Type: types{"string"}}
		if strings.Contains(f.Items, "may be null") {
			s.Items.Type = append(s.Items.Type, "null")
		}
	} else {
		s.Type = types{f.Type}
	}
	if !f.Required {
		s.Type = append(s.Type, "null")
	}
	return s
}

func describeEvent(e *EventType) string {
	words := []string{"What Braze Currents sends as " + e.Name + " (" + e.Family + " event)."}
	if e.RudderName != "" {
		words = append(words, "RudderStack calls it "+e.RudderName+".")
	}
	if e.Retired != "" {
		words = append(words, "Retired in "+e.Retired+": Braze no longer sends it.")
	}
	if e.Beta {
		words = append(words, "Beta: it may still change.")
	}
	if e.Note != "" {
		words = append(words, e.Note+".")
	}
	words = append(words, "Fields that are not listed are allowed.")
	return strings.Join(words, " ")
}

func describeField(f Field) string {
	var words []string
	say := func(label, what string) {
		if what != "" {
			words = append(words, label+what+".")
		}
	}
	say("", f.Description)
	say("Format: ", f.Format)
	say("Unit: ", f.Unit)
	say("Items: ", f.Items)
	if len(f.Enum) > 0 {
		say("", "Known values are given as examples; new ones may come")
	}
	say("Note: ", f.Note)
	if f.IsPersonal() {
		say("", "Personal data")
	}
	return strings.Join(words, " ")
}

// schema holds the keywords of JSON Schema (draft 7) that the generator uses,
// in the order in which they are written.
type schema struct {
	Dialect     string   `json:"$schema,omitempty"`
	ID          string   `json:"$id,omitempty"`
	Title       string   `json:"title,omitempty"`
	Description string   `json:"description,omitempty"`
	Type        types    `json:"type,omitempty"`
	Const       string   `json:"const,omitempty"`
	MinLength   int      `json:"minLength,omitempty"`
	Required    []string `json:"required,omitempty"`
	Properties  members  `json:"properties,omitzero"`
	Items       *schema  `json:"items,omitempty"`
	Enum        []string `json:"enum,omitempty"`
	Examples    []string `json:"examples,omitempty"`
}

// types is the keyword type: one name, or a list of them.
type types []string

// MarshalJSON implements json.Marshaler.
func (t types) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return json.Marshal(t[0])
	}
	return json.Marshal([]string(t))
}

// members is an object whose members keep their order.
type members []member

type member struct {
	name  string
	value any
}

// MarshalJSON implements json.Marshaler.
func (m members) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	out.WriteByte('{')
	for i, member := range m {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := enc.Encode(member.name); err != nil {
			return nil, err
		}
		out.WriteByte(':')
		if err := enc.Encode(member.value); err != nil {
			return nil, err
		}
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}
