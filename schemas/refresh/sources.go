// Package refresh reads what Braze publishes about its Currents events, compares it
// with a glossary, and makes a newer glossary of both. It reads two kinds of files:
// pages of Braze's documentation (Markdown, the tabs of the Custom HTTP connector),
// and samples of that connector (JSON, one event a file).
package refresh

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/currentsbridge/currentsbridge/schemas"
)

// Kind is the kind of a source file.
type Kind string

// The kinds.
const (
	Page   Kind = "page"
	Sample Kind = "sample"
)

// Sources are what Read has found.
type Sources struct {
	// Files counts the files of each kind that say something.
	Files map[Kind]int

	types                  map[string]*source
	contradictions, unread []Note
}

// source is what all files say of one event type.
type source struct {
	where  string           // file and line
	fields map[string]*fact // by user. or properties. and a name
}

// fact is what all files say of one field.
type fact struct {
	// Field has the name, the type (empty: not said), the description, and where said
	// is true whether the field is required and personal data.
	schemas.Field
	said     bool
	sample   bool // the type is that of a value: an integer may be one of a number
	disputed bool // files contradict each other
	where    string
}

// The sections of an event.
const (
	user       = "user"
	properties = "properties"
)

// Read reads a file, or all files of a directory: *.md and *.mdx, and *.json. Other
// files, and JSON that is not an event, are skipped. It is an error where there is no
// source at all.
func Read(path string) (*Sources, error) {
	s := &Sources{Files: make(map[Kind]int), types: make(map[string]*source)}
	var files []string
	err := filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && file != path && strings.HasPrefix(entry.Name(), "."):
			return filepath.SkipDir
		case !entry.IsDir() && kindOf(file) != "":
			files = append(files, file)
		}
		return nil
	})
	// Pages come first: they say more.
	slices.SortStableFunc(files, func(a, b string) int { return cmp.Compare(kindOf(a), kindOf(b)) })
	for _, file := range files {
		if err == nil {
			err = s.file(path, file)
		}
	}
	if err == nil && len(s.types)+len(s.unread) == 0 {
		err = fmt.Errorf("%s says nothing about events; expected pages of Braze's documentation with tabs of the Custom HTTP connector (*.md), or samples of that connector (*.json)", path)
	}
	return s, err
}

// kindOf goes by the name of a file; empty: it is no source.
func kindOf(file string) Kind {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".md", ".mdx", ".markdown":
		return Page
	case ".json":
		return Sample
	}
	return ""
}

func (s *Sources) file(root, file string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	where := filepath.Base(file)
	if relative, err := filepath.Rel(root, file); err == nil && relative != "." {
		where = filepath.ToSlash(relative)
	}
	if kind := kindOf(file); kind == Page && s.page(where, string(raw)) || kind == Sample && s.sample(where, raw) {
		s.Files[kind]++
	}
	return nil
}

// sample reads one event as the connector sends it, with every field filled.
func (s *Sources) sample(where string, raw []byte) (found bool) {
	var event struct {
		Type             string `json:"event_type"`
		User, Properties map[string]json.RawMessage
	}
	err := json.Unmarshal(raw, &event)
	switch {
	case !json.Valid(raw):
	case err != nil || event.Type == "":
		return false // some other document
	case typeName.FindString(event.Type) != event.Type:
		err = fmt.Errorf("%q is no name of an event type", event.Type)
	}
	if err != nil {
		s.unread = append(s.unread, Note{Source: where, Text: err.Error()})
		return false
	}
	for section, members := range map[string]map[string]json.RawMessage{user: event.User, properties: event.Properties} {
		for name, value := range members {
			s.add(event.Type, section+"."+name, fact{Field: schemas.Field{Name: name, Type: typeOfValue(value)}, sample: true, where: where})
		}
	}
	return true
}

// typeOfValue returns the type of a JSON value; empty for null.
func typeOfValue(value json.RawMessage) string {
	types := map[byte]string{'"': "string", 't': "boolean", 'f': "boolean", '{': "object", '[': "array<string>", 'n': ""}
	if typ, ok := types[value[0]]; ok {
		return typ
	}
	if bytes.ContainsAny(value, ".eE") {
		return "number"
	}
	return "integer"
}

// pageParts are the parts of a page that matter: a fenced block with its text, and
// where a tab begins, with its title, and ends, in Liquid, as Braze's pages have
// tabs, and in MDX.
var pageParts = regexp.MustCompile("(?ms)^[ \t]*(?:```|~~~)[^\n]*\n(.*?)^[ \t]*(?:```|~~~)[ \t]*$" +
	`|(?i:\{%-?\s*tab\s+["']?(.*?)["']?\s*-?%\}|<tab(?:item)?\b[^>]*\b(?:title|label|name)=["'](.*?)["'])` +
	`|(?i:\{%-?\s*endtabs?\b|</tab(?:item|s)?>)`)

var (
	comments = regexp.MustCompile(`(?m)^\s*(?://|#|/?\*).*$`)
	typeName = regexp.MustCompile(`[\w-]+(?:\.[\w-]+)+`)
)

// page reads a page of Braze's documentation: the JSON blocks that describe an event
// as the Custom HTTP connector sends it, and name it in a comment. These are in a tab
// with HTTP in its title, in translations too, or in no tab.
func (s *Sources) page(where, text string) (found bool) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	tab := ""
	for _, at := range pageParts.FindAllStringSubmatchIndex(text, -1) {
		part := func(group int) string { return text[max(at[2*group], 0):max(at[2*group+1], 0)] }
		if at[2] < 0 { // no block
			tab = part(2) + part(3)
			continue
		}
		eventType := typeName.FindString(strings.Join(comments.FindAllString(part(1), -1), "\n"))
		if eventType != "" && (tab == "" || strings.Contains(strings.ToUpper(tab), "HTTP")) {
			line := 1 + strings.Count(text[:at[2]], "\n")
			found = s.block(eventType, fmt.Sprintf("%s:%d", where, line), comments.ReplaceAllString(part(1), "")) || found
		}
	}
	return found
}

// What pages have that is no JSON: quotes inside of texts, and commas too many.
var (
	textMember = regexp.MustCompile(`(?m)^(\s*"[\w-]+"\s*:\s*")(.*)("\s*,?\s*)$`)
	extraComma = regexp.MustCompile(`,(\s*[}\]])`)
)

// block reads the object of a block. One that is flat is as the storage exports have
// it, and says nothing.
func (s *Sources) block(eventType, where, body string) (found bool) {
	var tree map[string]any
	err := json.Unmarshal([]byte(body), &tree)
	if err != nil {
		body = textMember.ReplaceAllStringFunc(body, func(line string) string {
			part := textMember.FindStringSubmatch(line)
			return part[1] + strings.ReplaceAll(strings.ReplaceAll(part[2], `\"`, `"`), `"`, `\"`) + part[3]
		})
		if json.Unmarshal([]byte(extraComma.ReplaceAllString(body, "$1")), &tree) != nil {
			s.unread = append(s.unread, Note{EventType: eventType, Source: where, Text: "the block cannot be read: " + err.Error()})
			return false
		}
	}
	for _, section := range []string{user, properties} {
		members, _ := tree[section].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(members)) {
			found = true
			value := members[name]
			f, ok := leaf(name, value)
			f.where = where
			s.add(eventType, section+"."+name, f)
			if !ok {
				s.unread = append(s.unread, Note{EventType: eventType, Field: section + "." + name, Source: where,
					Text: fmt.Sprintf("expected (required|optional, TYPE), got %q", fmt.Sprint(value))})
			}
		}
	}
	return found
}

var leafText = regexp.MustCompile(`(?s)^\s*\(\s*((?i)required|optional)\s*,([^)]*)\)\s*(\[PII\])?\s*(.*?)\s*$`)

// leaf reads "(required, string) [PII] What it is", or an object.
func leaf(name string, value any) (f fact, ok bool) {
	if _, ok := value.(map[string]any); ok {
		return fact{Field: schemas.Field{Name: name, Type: "object"}}, true
	}
	f.Name = name
	text, _ := value.(string)
	part := leafText.FindStringSubmatch(text)
	if part == nil {
		return f, false
	}
	f.said, f.Required, f.PII, f.Description = true, strings.EqualFold(part[1], "required"), part[3] != "", part[4]
	f.Type = typeOf(part[2])
	return f, f.Type != ""
}

// typeOf translates Braze's names of types; empty: not known.
func typeOf(name string) string {
	switch name = strings.ToLower(strings.TrimSpace(name)); name {
	case "string", "boolean", "integer", "number", "object":
		return name
	case "int", "long":
		return "integer"
	case "float", "double":
		return "number"
	case "bool":
		return "boolean"
	case "map":
		return "object"
	case "array of string", "array of strings", "array", "array<string>":
		return "array<string>"
	}
	return ""
}

// add adds what a file says of a field, and notes where it contradicts another.
func (s *Sources) add(eventType, at string, f fact) {
	of := s.types[eventType]
	if of == nil {
		of = &source{where: f.where, fields: make(map[string]*fact)}
		s.types[eventType] = of
	}
	have := of.fields[at]
	if have == nil {
		of.fields[at] = &f
		return
	}
	against := func(what string, one, other any) {
		s.contradictions = append(s.contradictions, Note{EventType: eventType, Field: at, Source: have.where + ", " + f.where,
			Text: fmt.Sprintf("%s: %v in the first, %v in the second", what, one, other)})
		have.disputed = true
	}
	if !have.fits(f.Type) && !f.fits(have.Type) {
		against("type", have.Type, f.Type)
	}
	if have.Type == "" || have.sample && have.fits(f.Type) {
		have.Type, have.sample = f.Type, f.sample
	}
	if !have.said || !f.said {
		return // samples come last, and say no more
	}
	if have.Required != f.Required {
		against("required", yesNo(have.Required), yesNo(f.Required))
	}
	if have.PII != f.PII {
		against("[PII]", yesNo(have.PII), yesNo(f.PII))
		have.PII = true
	}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// fits says whether a type can be what the sources say.
func (f *fact) fits(typ string) bool {
	return f.Type == typ || f.Type == "" || typ == "" || f.sample && f.Type == "integer" && typ == "number"
}
