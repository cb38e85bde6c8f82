// Package refresh reads what Braze publishes about its Currents events, compares it
// with a glossary, and makes a newer glossary of both. It reads three kinds of
// files: pages of Braze's documentation (Markdown, the tabs of the Custom HTTP
// connector), samples of that connector (JSON, one event a file), and Avro files of
// the storage exports.
package refresh

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/currentsbridge/currentsbridge/schemas"
)

// Kind is the kind of a source file.
type Kind string

// The kinds. Avro speaks of the storage exports, which differ from what comes
// over HTTP; it is a cross-check.
const (
	Page   Kind = "page"
	Sample Kind = "sample"
	Avro   Kind = "avro"
)

// Sources are the claims that Read has found.
type Sources struct {
	// Files counts the files of each kind that have claims.
	Files map[Kind]int
	// types has the claims by event type.
	types  map[string][]claim
	claims int // all of them
	// unread names the sources that could not be read.
	unread []Note
}

// claim is what one source says about an event type.
type claim struct {
	kind   Kind
	where  string
	fields map[place]fact
}

// place is a field: user or properties, and its name.
type place struct{ section, name string }

func (p place) String() string { return p.section + "." + p.name }

// The sections.
const (
	user       = "user"
	properties = "properties"
)

// fact is what a source says about a field.
type fact struct {
	typ         string // as schemas.Field.Type; empty: not said
	required    answer
	pii         answer
	description string
}

// answer is yes, no, or not said.
type answer int8

const (
	unsaid answer = iota
	no
	yes
)

func answerOf(b bool) answer {
	if b {
		return yes
	}
	return no
}

// Read reads a file, or all files of a directory: *.md and *.mdx, *.json and
// *.avro. Other files, and JSON that is not an event, are skipped. The glossary
// helps to find the names of event types in Avro files. It is an error where there
// is no source at all.
func Read(path string, g *schemas.Glossary) (*Sources, error) {
	s := &Sources{Files: make(map[Kind]int), types: make(map[string][]claim)}
	err := filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			if err == nil && file != path && strings.HasPrefix(entry.Name(), ".") {
				return filepath.SkipDir
			}
			return err
		}
		return s.file(path, file, g)
	})
	if err != nil {
		return nil, err
	}
	if len(s.types) == 0 && len(s.unread) == 0 {
		return nil, fmt.Errorf("%s says nothing about events; expected pages of Braze's documentation with tabs of the Custom HTTP connector (*.md), samples of that connector (*.json), or Avro files (*.avro)", path)
	}
	return s, nil
}

func (s *Sources) file(root, file string, g *schemas.Glossary) error {
	var read func(where string, raw []byte) error
	var kind Kind
	switch strings.ToLower(filepath.Ext(file)) {
	case ".md", ".mdx", ".markdown":
		read, kind = s.page, Page
	case ".json":
		read, kind = s.sample, Sample
	case ".avro":
		read, kind = func(where string, raw []byte) error { return s.avro(where, raw, g) }, Avro
	default:
		return nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	where := filepath.Base(file)
	if relative, err := filepath.Rel(root, file); err == nil && relative != "." {
		where = filepath.ToSlash(relative)
	}
	before := s.claims
	if err := read(where, raw); err != nil {
		s.unread = append(s.unread, Note{Source: where, Text: err.Error()})
	}
	if s.claims > before {
		s.Files[kind]++
	}
	return nil
}

// add adds a claim about an event type.
func (s *Sources) add(eventType string, c claim) error {
	if !isTypeName(eventType) {
		return fmt.Errorf("%q is no name of an event type", eventType)
	}
	s.types[eventType] = append(s.types[eventType], c)
	s.claims++
	return nil
}

// typeName finds names of event types: two or more words with dots between them.
var typeName = regexp.MustCompile(`[\w-]+(?:\.[\w-]+)+`)

func isTypeName(name string) bool { return name != "" && typeName.FindString(name) == name }
