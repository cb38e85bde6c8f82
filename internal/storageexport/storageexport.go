// Package storageexport reads Braze's storage exports of Currents: Avro object
// container files and the same flat records as JSON. It makes of each record the
// event as the Custom HTTP connector sends it. The glossary says which fields are in
// user and which in properties. Fields that it does not have for the event type are
// left out: most of them exist in storage only.
//
// Storage does not distinguish a field that is null from one that is missing, so
// the event has neither.
package storageexport

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/currentsbridge/currentsbridge/schemas"
)

// Form is what a file holds.
type Form string

// The forms of an export.
const (
	Avro Form = "Avro"
	JSON Form = "JSON"
)

// MaxRecord is the longest record that is read, in bytes, as JSON or as one
// value of Avro. Braze sends no event of over 900 KB.
const MaxRecord = 64 << 20

// Record is one record of a file.
type Record struct {
	Number int    // its place in the file, from 1
	Type   string // event type
	Time   int64  // of the event, in seconds since 1970
	Event  []byte // as the HTTP connector sends it; good until the next record is read
	// Err says why there is no event. Lost is 1, or where the rest of an Avro block
	// is corrupt how many records that has, as the block says.
	Err  error
	Lost int
}

// Reader reads exports. Make it with New. It is not safe for concurrent use.
type Reader struct {
	glossary *schemas.Glossary
	as       string
	tables   map[string]*table
	leftOut  map[LeftOut]int
	line     []byte
	parts    parts
}

// LeftOut is a field that was left out of events.
type LeftOut struct{ Type, Field string }

// New returns a Reader. asType is the event type of files that do not say theirs;
// it may be empty. The error is for a type that the glossary does not have.
func New(g *schemas.Glossary, asType string) (*Reader, error) {
	x := &Reader{glossary: g, as: asType, tables: map[string]*table{}, leftOut: map[LeftOut]int{}}
	if asType == "" {
		return x, nil
	}
	_, err := x.table(asType)
	return x, err
}

// LeftOut counts the fields, other than null, that were left out of events.
func (x *Reader) LeftOut() map[LeftOut]int { return x.leftOut }

// IsAvro says whether a file that begins so is an Avro object container file.
func IsAvro(begin []byte) bool { return bytes.HasPrefix(begin, []byte(magic)) }

// TypeOf returns the event type that a path names, as in
// …/event_type=users.messages.email.Open/…; empty: it names none.
func TypeOf(path string) string {
	for part := range strings.SplitSeq(filepath.ToSlash(path), "/") {
		if name, ok := strings.CutPrefix(part, "event_type="); ok {
			return name
		}
	}
	return ""
}

// Read reads a file, whose path may name the event type, and visits its records
// in order. Malformed records are visited too. The error is that of visit, or it is
// about the file as a whole, such as that it ends within a block; records before
// that were visited.
func (x *Reader) Read(path string, r io.Reader, visit func(Record) error) (Form, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	if begin, err := in.Peek(2); err == nil && begin[0] == 0x1f && begin[1] == 0x8b {
		uncompressed, err := gzip.NewReader(in)
		if err != nil {
			return JSON, fmt.Errorf("gzip: %w", err)
		}
		in = bufio.NewReaderSize(uncompressed, 64<<10)
	}
	if begin, _ := in.Peek(len(magic)); IsAvro(begin) {
		return Avro, x.readAvro(path, in, visit)
	}
	return JSON, x.readLines(path, in, visit)
}

// readLines reads a record a line.
func (x *Reader) readLines(path string, in *bufio.Reader, visit func(Record) error) error {
	for number := 0; ; {
		line, err := x.readLine(in)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if text := bytes.TrimSpace(line); len(text) > 0 {
			number++
			record := x.FromJSON(path, text)
			record.Number = number
			if err := visit(record); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
	}
}

func (x *Reader) readLine(in *bufio.Reader) ([]byte, error) {
	x.line = x.line[:0]
	for {
		part, err := in.ReadSlice('\n')
		x.line = append(x.line, part...)
		switch {
		case len(x.line) > MaxRecord:
			return nil, fmt.Errorf("a line is longer than %d bytes; export a record a line", MaxRecord)
		case !errors.Is(err, bufio.ErrBufferFull):
			return x.line, err
		}
	}
}

// FromJSON makes the event of one flat record as JSON. Values of the form
// {"string":"…"}, in which Avro's own tools write unions, count as what is in them.
func (x *Reader) FromJSON(path string, text []byte) Record {
	record := Record{Lost: 1}
	var flat map[string]json.RawMessage
	if err := json.Unmarshal(text, &flat); err != nil {
		record.Err = fmt.Errorf("no JSON object: %w", err)
		return record
	}
	name := TypeOf(path)
	if said := flat["event_type"]; name == "" && said != nil {
		record.Err = json.Unmarshal(said, &name)
	}
	if user := flat["user"]; len(user) > 0 && user[0] == '{' {
		record.Err = errors.New("an event as Braze posts it, not a record of a storage export; post it to the bridge's /currents")
	}
	if record.Err != nil {
		return record
	}
	t, err := x.tableOf(name, "")
	if err != nil {
		record.Err = err
		return record
	}
	delete(flat, "event_type")
	names := make([]string, 0, len(flat))
	for name := range flat {
		names = append(names, name)
	}
	slices.Sort(names)
	x.parts.reset()
	for _, name := range names {
		slot := t.slots[name]
		x.put(t, slot, name, fromUnion(flat[name], slot.kind))
	}
	return x.event(t)
}

// unions are the names that a union's member has in Avro's JSON.
var unions = []string{"string", "int", "long", "float", "double", "boolean", "array", "bytes"}

func fromUnion(raw json.RawMessage, kind kind) json.RawMessage {
	if len(raw) == 0 || raw[0] != '{' || kind == freeObject && bytes.Count(raw, []byte(`":`)) > 1 {
		return raw
	}
	var member map[string]json.RawMessage
	if json.Unmarshal(raw, &member) != nil || len(member) != 1 {
		return raw
	}
	for name, value := range member {
		if slices.Contains(unions, name) {
			return value
		}
	}
	return raw
}
