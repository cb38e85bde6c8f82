package schemas

import (
	"bytes"
	"embed"
	"encoding/json"
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

// width is how long a line may be before an object or an array is spread over
// several lines.
const width = 120

// render writes v as JSON for people: a value that fits on one line is on one line,
// so that a field of a schema is one line of a diff.
func render(v any) ([]byte, error) {
	var indented bytes.Buffer
	enc := json.NewEncoder(&indented)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	var lines []string
	var open []int // the lines that begin what is not closed yet
	for line := range strings.Lines(indented.String()) {
		line = strings.TrimSuffix(line, "\n")
		lines = append(lines, line)
		closing := strings.Trim(line, " ,")
		switch {
		case strings.HasSuffix(line, "{") || strings.HasSuffix(line, "["):
			open = append(open, len(lines)-1)
		case closing == "}" || closing == "]":
			begin := open[len(open)-1]
			open = open[:len(open)-1]
			var inner []string
			for _, part := range lines[begin+1 : len(lines)-1] {
				inner = append(inner, strings.TrimSpace(part))
			}
			one := lines[begin] + strings.Join(inner, " ") + strings.TrimSpace(line)
			if len(strings.TrimSuffix(one, ",")) <= width {
				lines = append(lines[:begin], one)
			}
		}
	}
	return []byte(strings.Join(lines, "\n") + "\n"), nil
}
