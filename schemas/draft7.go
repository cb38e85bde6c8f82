package schemas

import (
	"bytes"
	"encoding/json"
)

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
