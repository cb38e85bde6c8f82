package schemas

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

//go:generate go run ./generate

// The directories are named whole so that the generator still builds when
// somebody has removed every schema that it is about to write.
//
//go:embed glossary.json braze rudder
var files embed.FS

const suffix = ".schema.json"

// Names lists the schemas that are built in, sorted: braze/ and an event type or
// batch, rudder/ and a call or batch. Each name is one for Schema.
func Names() []string {
	// Glob fails on a bad pattern only.
	paths, _ := fs.Glob(files, "*/*"+suffix)
	names := make([]string, 0, len(paths))
	for _, path := range paths {
		names = append(names, strings.TrimSuffix(path, suffix))
	}
	return names
}

// Schema returns a JSON Schema (draft 7) by its name, such as
// braze/users.messages.email.Open or rudder/track, as it stands on disk. Every
// schema stands alone and refers to no other file. The bytes are the caller's.
func Schema(name string) ([]byte, bool) {
	raw, err := files.ReadFile(name + suffix)
	return raw, err == nil
}

// Files makes the schemas of the glossary: for each event type, for a request
// body of Braze's and for one of RudderStack's, by their path below schemas/.
func (g *Glossary) Files() (map[string][]byte, error) {
	batch, err := rudderBatch()
	if err != nil {
		return nil, err
	}
	made := map[string]*schema{
		"braze/batch" + suffix:  batchSchema(g),
		"rudder/batch" + suffix: batch,
	}
	for i := range g.Events {
		e := &g.Events[i]
		made["braze/"+e.Name+suffix] = eventSchema(g, e)
	}
	out := make(map[string][]byte, len(made))
	for path, s := range made {
		if out[path], err = render(s); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return out, nil
}

// Encode writes the glossary in the form of glossary.json, which Parse reads.
func (g *Glossary) Encode() ([]byte, error) {
	encode := func(fields []Field, facts bool) (list members) {
		for _, f := range fields {
			if known, ok := FieldNamed(g.Names, f.Name); ok && !facts {
				f = f.without(known)
			}
			list = append(list, member{f.Name, f.encode(facts)})
		}
		return list
	}
	events := make([]members, 0, len(g.Events))
	for i := range g.Events {
		e := &g.Events[i]
		m := members{{"event_type", e.Name}, {"family", e.Family}}
		m = m.text("rudderstack_name", e.RudderName)
		if e.Beta {
			m = append(m, member{"beta", true})
		}
		m = m.text("since", e.Since).text("note", e.Note).text("retired", e.Retired)
		events = append(events, append(m, member{"user", encode(e.User, false)}, member{"properties", encode(e.Properties, false)}))
	}
	return render(members{
		{"source", g.Source}, {"schema_version", g.SchemaVersion}, {"date", g.Date},
		{"envelope", encode(g.Envelope, false)}, {"fields", encode(g.Names, true)}, {"events", events},
	})
}

func (f *Field) encode(fact bool) (m members) {
	if !fact {
		m = members{{"type", f.Type}, {"required", f.Required}}
	}
	if f.PII {
		m = append(m, member{"pii", true})
	}
	m = m.text("since", f.Since).text("description", f.Description)
	if f.Personal {
		m = append(m, member{"personal", true})
	}
	m = m.text("format", f.Format).text("unit", f.Unit).text("items", f.Items)
	if len(f.Enum) > 0 {
		m = append(m, member{"enum", f.Enum})
	}
	if len(f.Examples) > 0 {
		m = append(m, member{"examples", f.Examples})
	}
	return m.text("note", f.Note)
}

// text adds a member unless it is empty.
func (m members) text(name, value string) members {
	if value == "" {
		return m
	}
	return append(m, member{name, value})
}
