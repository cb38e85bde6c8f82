package schemas

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"sync"
)

// Glossary lists everything that Braze Currents sends over its Custom HTTP
// connector: the project's source of truth about event types and fields. It comes
// from Load, LoadFile or Parse, and must not be changed once it is shared. Lists of
// fields keep the order of the file.
type Glossary struct {
	Source        string // where the facts were published and up to when
	SchemaVersion int    // of Braze's schemas; some types and fields may be newer
	Date          string // on which Braze published it (YYYY-MM-DD)
	// Envelope holds the fields of every event: event_type, id, time, user and
	// properties.
	Envelope []Field
	// Names holds what is known of a field by its name alone, whatever the event
	// type, sorted by name. Type, Required, PII and Since are not set there.
	Names  []Field
	Events []EventType // every event type, retired ones too, sorted by name

	index map[string]int
}

// EventType is one kind of event, such as users.messages.email.Open. Its JSON is
// that of the file, apart from the fields.
type EventType struct {
	Name       string `json:"event_type"`                 // what Braze writes into event_type
	Family     string `json:"family"`                     // message, behavior, user, agent or optimizer
	RudderName string `json:"rudderstack_name,omitempty"` // in RudderStack's documentation (Email Opened); empty: none
	Beta       bool   `json:"beta,omitempty"`             // Braze may still change the type
	Since      string `json:"since,omitempty"`            // the schema version that brought it, such as v11; empty: an older one
	Note       string `json:"note,omitempty"`             // what else there is to know
	// Retired is the month (YYYY-MM) in which Braze stopped sending the type; empty
	// for a current one. Retired types are still valid.
	Retired string `json:"retired,omitempty"`
	// User and Properties list the fields of these objects. User is empty for an event
	// that has no person, such as agentconsole.ToolInvocation.
	User       []Field `json:"-"`
	Properties []Field `json:"-"`
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
	// Required fields are present in every event of the type and not null. Others
	// may be missing or null.
	Required    bool   `json:"required"`
	PII         bool   `json:"pii,omitempty"`         // Braze flags it as personal data
	Since       string `json:"since,omitempty"`       // the schema version that brought it, such as v11; empty: an older one
	Description string `json:"description,omitempty"` // what the field is
	// Personal marks what this project flags beside Braze: fields that people
	// fill with their own words, or that name a person or a device. It depends on the
	// name of the field alone.
	Personal bool     `json:"personal,omitempty"`
	Format   string   `json:"format,omitempty"`   // how a string is written, such as uuid or E.164
	Unit     string   `json:"unit,omitempty"`     // of a number, such as milliseconds
	Items    string   `json:"items,omitempty"`    // what the elements of an array are
	Enum     []string `json:"enum,omitempty"`     // the values known; a new one may come at any time
	Examples []string `json:"examples,omitempty"` // some values out of many
	Note     string   `json:"note,omitempty"`     // what else there is to know
}

// IsPersonal reports whether Braze or this project flags the field as personal
// data.
func (f *Field) IsPersonal() bool { return f.PII || f.Personal }

// builtIn parses the glossary that is built in, once: that takes some milliseconds.
var builtIn = sync.OnceValues(func() (*Glossary, error) {
	raw, err := files.ReadFile("glossary.json")
	if err != nil {
		return nil, fmt.Errorf("read the glossary: %w", err)
	}
	return Parse(raw)
})

// Load returns the glossary that is built in; each call returns a copy of its own.
// An error means that the program was built from a broken glossary.
func Load() (*Glossary, error) {
	g, err := builtIn()
	if err != nil {
		return nil, err
	}
	out := *g
	out.Envelope, out.Names, out.Events = cloneFields(g.Envelope), cloneFields(g.Names), slices.Clone(g.Events)
	for i := range out.Events {
		e := &out.Events[i]
		e.User, e.Properties = cloneFields(e.User), cloneFields(e.Properties)
	}
	return &out, nil
}

func cloneFields(fields []Field) []Field {
	fields = slices.Clone(fields)
	for i := range fields {
		f := &fields[i]
		f.Enum, f.Examples = slices.Clone(f.Enum), slices.Clone(f.Examples)
	}
	return fields
}

// LoadFile reads a glossary from a file, such as a newer one that mockrudder
// glossary refresh has written. An empty path is the glossary that is built in.
// The error names every mistake in the file.
func LoadFile(path string) (*Glossary, error) {
	if path == "" {
		return Load()
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the glossary: %w", err)
	}
	g, err := Parse(raw)
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

// Current lists the names of the event types that are not retired, sorted.
func (g *Glossary) Current() []string {
	var names []string
	for i := range g.Events {
		if g.Events[i].Retired == "" {
			names = append(names, g.Events[i].Name)
		}
	}
	return names
}

// Version names the glossary for people: "schema version 12 (2026-09-02), 102
// current event types".
func (g *Glossary) Version() string {
	return fmt.Sprintf("schema version %d (%s), %d current event types", g.SchemaVersion, g.Date, len(g.Current()))
}

// Release names the glossary that is built in without reading all of it:
// "schema version 12 (2026-09-02)". Version of a loaded Glossary says more.
func Release() string {
	raw, err := files.ReadFile("glossary.json")
	if err != nil {
		return "no glossary"
	}
	begin := regexp.MustCompile(`"schema_version": (\d+),\s+"date": "([^"]+)"`).FindSubmatch(raw)
	if begin == nil {
		return "no glossary"
	}
	return fmt.Sprintf("schema version %s (%s)", begin[1], begin[2])
}

// FieldNamed finds a field in a list.
func FieldNamed(fields []Field, name string) (*Field, bool) {
	i := slices.IndexFunc(fields, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return nil, false
	}
	return &fields[i], true
}

// with returns the field with what is known of its name where it says nothing
// itself.
func (f Field) with(name Field) Field {
	own, known := reflect.ValueOf(&f).Elem(), reflect.ValueOf(name)
	for i := range own.NumField() {
		if own.Field(i).IsZero() {
			own.Field(i).Set(known.Field(i))
		}
	}
	return f
}

// without is the inverse of with: it takes away what is known of the name.
func (f Field) without(name Field) Field {
	own, known := reflect.ValueOf(&f).Elem(), reflect.ValueOf(name)
	for i := range own.NumField() {
		if reflect.DeepEqual(own.Field(i).Interface(), known.Field(i).Interface()) {
			own.Field(i).SetZero()
		}
	}
	f.Name = name.Name
	return f
}
