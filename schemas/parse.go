package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// document is glossary.json.
type document struct {
	Source        string         `json:"source"`
	SchemaVersion int            `json:"schema_version"`
	Date          string         `json:"date"`
	Envelope      fieldList      `json:"envelope"`
	Names         fieldList      `json:"fields"`
	Events        []eventOfAFile `json:"events"`
}

type eventOfAFile struct {
	EventType
	User       fieldList `json:"user"`
	Properties fieldList `json:"properties"`
}

// Parse reads a glossary in the form of schemas/glossary.json. The error names
// every mistake, a line each, or the place at which the text is not JSON.
func Parse(raw []byte) (*Glossary, error) {
	var doc document
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&doc); err != nil {
		if where := (*json.SyntaxError)(nil); errors.As(err, &where) {
			err = fmt.Errorf("line %d: %w", 1+bytes.Count(raw[:min(int(where.Offset), len(raw))], []byte("\n")), err)
		}
		return nil, fmt.Errorf("parse the glossary: %w", err)
	}
	if dec.More() {
		return nil, errors.New("parse the glossary: expected one JSON document, got more behind it")
	}
	check := checks{seen: make(map[string]bool)}
	g := &Glossary{
		Source: doc.Source, SchemaVersion: doc.SchemaVersion, Date: doc.Date,
		Envelope: doc.Envelope.fields, Names: doc.Names.fields,
	}
	check.document(&doc)
	for i := range doc.Events {
		e := &doc.Events[i]
		check.event(e)
		e.EventType.User, e.EventType.Properties = e.User.fields, e.Properties.fields
		g.Events = append(g.Events, e.EventType)
	}
	if err := errors.Join(check.wrong...); err != nil {
		return nil, fmt.Errorf("the glossary has mistakes:\n%w", err)
	}
	g.complete()
	return g, nil
}

// complete sorts the events, gives each field what is known of its name, and
// makes the index.
func (g *Glossary) complete() {
	byName := func(a, b Field) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(g.Names, byName)
	slices.SortFunc(g.Events, func(a, b EventType) int { return strings.Compare(a.Name, b.Name) })
	enrich := func(fields []Field) {
		for i, f := range fields {
			if at, ok := slices.BinarySearchFunc(g.Names, f, byName); ok {
				fields[i] = f.with(g.Names[at])
			}
		}
	}
	enrich(g.Envelope)
	g.index = make(map[string]int, len(g.Events))
	for i := range g.Events {
		e := &g.Events[i]
		enrich(e.User)
		enrich(e.Properties)
		g.index[e.Name] = i
	}
}

// checks collects the mistakes in a glossary.
type checks struct {
	wrong []error
	seen  map[string]bool
}

func (c *checks) add(format string, args ...any) {
	c.wrong = append(c.wrong, fmt.Errorf(format, args...))
}

func (c *checks) document(doc *document) {
	if doc.SchemaVersion < 1 {
		c.add("schema_version: expected a number from 1, got %d", doc.SchemaVersion)
	}
	if _, err := time.Parse(time.DateOnly, doc.Date); err != nil {
		c.add("date: expected YYYY-MM-DD, got %q", doc.Date)
	}
	if len(doc.Events) == 0 {
		c.add("events: expected at least one event type, got none")
	}
	c.fields("envelope", &doc.Envelope, true)
	for name, kind := range map[string]string{"event_type": "string", "id": "string", "time": "integer", "user": "object", "properties": "object"} {
		if f, ok := FieldNamed(doc.Envelope.fields, name); !ok || f.Type != kind {
			c.add("envelope: expected the field %s with the type %s", name, kind)
		}
	}
	c.fields("fields", &doc.Names, false)
	slices.SortFunc(c.wrong, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
}

func (c *checks) event(e *eventOfAFile) {
	if !typeName.MatchString(e.Name) {
		c.add("events: %q is no name of an event type; expected words of letters, digits, - and _ with dots between them", e.Name)
	}
	if c.seen[e.Name] {
		c.add("%s: the event type is listed twice", e.Name)
	}
	c.seen[e.Name] = true
	if e.Family == "" {
		c.add("%s: the family is missing", e.Name)
	}
	if _, err := time.Parse("2006-01", e.Retired); err != nil && e.Retired != "" {
		c.add("%s: retired: expected YYYY-MM, got %q", e.Name, e.Retired)
	}
	c.fields(e.Name+": user", &e.User, true)
	c.fields(e.Name+": properties", &e.Properties, true)
}

// typeName is the form of names that are safe as names of files.
var typeName = regexp.MustCompile(`^[\w-]+(\.[\w-]+)*$`)

// fields checks a list. The facts by name have no type.
func (c *checks) fields(at string, list *fieldList, typed bool) {
	for _, err := range list.wrong {
		c.add("%s: %w", at, err)
	}
	for _, f := range list.fields {
		switch {
		case f.Name == "":
			c.add("%s: a field has no name", at)
		case typed && !slices.Contains(fieldTypes(), f.Type):
			c.add("%s: %s: expected one of the types %s, got %q", at, f.Name, strings.Join(fieldTypes(), ", "), f.Type)
		case !typed && (f.Type != "" || f.Required || f.PII || f.Since != ""):
			c.add("%s: %s: type, required, pii and since belong to an event type and not here", at, f.Name)
		}
	}
}

// fieldTypes lists the values of Field.Type.
func fieldTypes() []string {
	return []string{"string", "integer", "number", "boolean", "object", "array<string>"}
}

// fieldList reads a JSON object of fields and keeps their order, which a Go map
// would lose, and collects the mistakes.
type fieldList struct {
	fields []Field
	wrong  []error
}

// UnmarshalJSON implements json.Unmarshaler, for text that is valid JSON.
func (l *fieldList) UnmarshalJSON(raw []byte) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return errors.New("expected an object of fields")
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		f := Field{}
		err = dec.Decode(&f)
		f.Name = name.(string)
		if _, twice := FieldNamed(l.fields, f.Name); twice {
			err = errors.New("the field is listed twice")
		}
		if err != nil {
			l.wrong = append(l.wrong, fmt.Errorf("%s: %w", f.Name, err))
		} else {
			l.fields = append(l.fields, f)
		}
	}
	return nil
}

// MarshalJSON implements json.Marshaler. What is known of a name has no type, and
// is required nowhere.
func (l fieldList) MarshalJSON() ([]byte, error) {
	type known struct {
		Field
		Type     *string `json:"type,omitempty"`
		Required *bool   `json:"required,omitempty"`
	}
	var list members
	for _, f := range l.fields {
		var value any = f
		if f.Type == "" {
			value = known{Field: f}
		}
		list = append(list, member{f.Name, value})
	}
	return list.MarshalJSON()
}
