package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// Glossary is the list of everything Braze Currents sends over its Custom HTTP
// connector: the project's one source of truth about event types and fields.
// It comes from Load; lists keep the order of glossary.json.
type Glossary struct {
	// Source says where the facts were published and up to when.
	Source string
	// Envelope holds the fields of every event: event_type, id, time, user and
	// properties.
	Envelope []Field
	// Events holds every event type, sorted by name.
	Events []EventType

	index map[string]int
}

// EventType is one kind of event, such as users.messages.email.Open.
type EventType struct {
	// Name is what Braze writes into event_type.
	Name string
	// Family is message, behavior, user or agent.
	Family string
	// RudderName is the readable name that RudderStack's documentation gives
	// the event (Email Opened); empty where there is none.
	RudderName string
	// Legacy marks a type that Braze keeps for old accounts only.
	Legacy bool
	// Beta marks a type that Braze has not promised to keep as it is.
	Beta bool
	// User lists the fields of the object user; empty for an event that has no
	// person, such as agentconsole.ToolInvocation.
	User []Field
	// Properties lists the fields of the object properties.
	Properties []Field
}

// Field is one field of the envelope, of user or of properties.
//
// Name, Type and Required are the contract: Braze never changes a field's type
// and never takes a required field away. The rest says what values look like
// today, for generators and for people; no schema enforces it.
type Field struct {
	Name string `json:"-"`
	// Type is string, integer, number, boolean, object or array<string>. An
	// integer may be larger than 2^53. An object is free inside, apart from
	// user and properties themselves.
	Type string `json:"type"`
	// Required fields are there in every event of the type and are not null.
	// Others may be missing or null.
	Required bool `json:"required"`
	// PII marks personal data.
	PII bool `json:"pii"`
	// Format describes how a string is written, such as uuid or E.164.
	Format string `json:"format"`
	// Unit is the unit of a number, such as milliseconds.
	Unit string `json:"unit"`
	// Items describes the elements of an array.
	Items string `json:"items"`
	// Enum lists the values known; a new one may come at any time.
	Enum []string `json:"enum"`
	// Examples lists some values out of many.
	Examples []string `json:"examples"`
	// Note is what else there is to know.
	Note string `json:"note"`
}

// Load parses the embedded glossary.json. Each call returns a copy of its own,
// which takes some milliseconds: keep it. An error means that the program
// was built from a broken glossary.
func Load() (*Glossary, error) {
	raw, err := files.ReadFile("glossary.json")
	if err != nil {
		return nil, fmt.Errorf("read the glossary: %w", err)
	}
	g, err := parseGlossary(raw)
	if err != nil {
		return nil, fmt.Errorf("parse the glossary: %w", err)
	}
	return g, nil
}

// LoadFile reads a glossary from a file. An empty path is the glossary that is
// built in. The error of a file that cannot be used says what is wrong in it.
func LoadFile(path string) (*Glossary, error) {
	if path == "" {
		return Load()
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the glossary: %w", err)
	}
	g, err := parseGlossary(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return g, nil
}

// Event finds an event type by its exact name.
func (g *Glossary) Event(name string) (*EventType, bool) {
	i, ok := g.index[name]
	if !ok {
		return nil, false
	}
	return &g.Events[i], true
}

func parseGlossary(raw []byte) (*Glossary, error) {
	var doc struct {
		Source   string    `json:"source"`
		Envelope fieldList `json:"envelope"`
		Events   []struct {
			Name       string    `json:"event_type"`
			Family     string    `json:"family"`
			RudderName string    `json:"rudderstack_name"`
			Legacy     bool      `json:"legacy"`
			Beta       bool      `json:"beta"`
			User       fieldList `json:"user"`
			Properties fieldList `json:"properties"`
		} `json:"events"`
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&doc); err != nil {
		return nil, err
	}
	g := &Glossary{
		Source:   doc.Source,
		Envelope: doc.Envelope,
		Events:   make([]EventType, 0, len(doc.Events)),
		index:    make(map[string]int, len(doc.Events)),
	}
	for _, e := range doc.Events {
		if _, twice := g.index[e.Name]; twice {
			return nil, fmt.Errorf("event type %s stands there twice", e.Name)
		}
		g.index[e.Name] = len(g.Events)
		g.Events = append(g.Events, EventType{
			Name: e.Name, Family: e.Family, RudderName: e.RudderName,
			Legacy: e.Legacy, Beta: e.Beta,
			User: e.User, Properties: e.Properties,
		})
	}
	return g, nil
}

// fieldList reads a JSON object of fields and keeps their order, which a Go map
// would lose.
type fieldList []Field

// UnmarshalJSON implements json.Unmarshaler.
func (l *fieldList) UnmarshalJSON(raw []byte) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if open, err := dec.Token(); err != nil {
		return err
	} else if open != json.Delim('{') {
		return errors.New("fields are not an object")
	}
	seen := make(map[string]bool)
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		// A JSON object's key is always a string.
		f := Field{Name: key.(string)}
		if seen[f.Name] {
			return fmt.Errorf("field %s stands there twice", f.Name)
		}
		seen[f.Name] = true
		if err := dec.Decode(&f); err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
		*l = append(*l, f)
	}
	_, err := dec.Token()
	return err
}
