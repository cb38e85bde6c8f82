package schemas

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

// The directories are embedded whole so that this builds even where there is no
// schema yet.
//
//go:embed glossary.json braze rudder
var files embed.FS

const suffix = ".schema.json"

// Names lists the schemas that are built in, sorted: braze/ and an event type,
// rudder/ and a call. Each name is one for Schema.
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
// braze/users.messages.email.Open or rudder/track, as in its file. No schema refers
// to another file. The bytes are the caller's.
func Schema(name string) ([]byte, bool) {
	raw, err := files.ReadFile(name + suffix)
	return raw, err == nil
}

// Files makes the schemas of the glossary, one for each event type, by their path
// below schemas/.
func (g *Glossary) Files() (map[string][]byte, error) {
	out := make(map[string][]byte, len(g.Events))
	for i := range g.Events {
		e := &g.Events[i]
		raw, err := render(eventSchema(g, e))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name, err)
		}
		out["braze/"+e.Name+suffix] = raw
	}
	return out, nil
}

// Encode writes the glossary in the form of glossary.json, which Parse reads.
func (g *Glossary) Encode() ([]byte, error) {
	encode := func(fields []Field) fieldList {
		var list fieldList
		for _, f := range fields {
			if known, ok := FieldNamed(g.Names, f.Name); ok {
				f = f.without(*known)
			}
			list.fields = append(list.fields, f)
		}
		return list
	}
	doc := document{
		Source: g.Source, SchemaVersion: g.SchemaVersion, Date: g.Date,
		Envelope: encode(g.Envelope), Names: fieldList{fields: g.Names},
	}
	for _, e := range g.Events {
		doc.Events = append(doc.Events, eventOfAFile{e, encode(e.User), encode(e.Properties)})
	}
	return render(doc)
}
