// Package storageexport reads Braze's storage exports of Currents, Avro object container
// files and the same flat records as JSON, and makes of each record the event as the
// Custom HTTP connector sends it. The glossary says which fields are in user and which
// in properties. Fields that it does not have for the event type are left out: most of
// them exist in storage only. A Writer writes Avro files for the fake Braze.
//
// Storage does not distinguish a field that is null from one that is missing, so
// the event has neither.
package storageexport

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
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
	leftOut  map[string]map[string]int
	line     []byte
	flat     map[string]json.RawMessage // the record that is being read
	out      []byte
}

// New returns a Reader. asType is the event type of files that do not say theirs;
// it may be empty. The error is for a type that the glossary does not have.
func New(g *schemas.Glossary, asType string) (*Reader, error) {
	x := &Reader{glossary: g, as: asType, leftOut: map[string]map[string]int{}, flat: map[string]json.RawMessage{}}
	if asType == "" {
		return x, nil
	}
	_, err := x.typeOf(asType, "")
	return x, err
}

// LeftOut counts, by event type and field, the fields other than null that were left
// out of events.
func (x *Reader) LeftOut() map[string]map[string]int { return x.leftOut }

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
	x.flat = map[string]json.RawMessage{}
	if record.Err = json.Unmarshal(text, &x.flat); record.Err != nil || x.flat == nil {
		x.flat, record.Err = map[string]json.RawMessage{}, fmt.Errorf("no JSON object: %w", cmp.Or(record.Err, errors.New("it is null")))
		return record
	}
	name := TypeOf(path)
	if said := x.flat["event_type"]; name == "" && said != nil {
		record.Err = json.Unmarshal(said, &name)
	}
	if user := x.flat["user"]; len(user) > 0 && user[0] == '{' {
		record.Err = errors.New("an event as Braze posts it, not a record of a storage export; post it to the bridge's /currents")
	}
	if record.Err != nil {
		return record
	}
	typ, err := x.typeOf(name, "")
	if err != nil {
		record.Err = err
		return record
	}
	delete(x.flat, "event_type")
	for name, raw := range x.flat {
		if name != "properties" || bytes.Count(raw, []byte(`":`)) == 1 { // else it is a customer's object
			x.flat[name] = fromUnion(raw)
		}
	}
	return x.event(typ)
}

// fromUnion takes a value out of the object with one member, named like an Avro type,
// that Avro's JSON makes of a union.
func fromUnion(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 || raw[0] != '{' {
		return raw
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil || len(members) != 1 {
		return raw
	}
	for name, value := range members {
		if slices.Contains([]string{"string", "int", "long", "float", "double", "boolean", "array", "bytes"}, name) {
			return value
		}
	}
	return raw
}

// typeOf finds the event type of a record: the one in its path or in the record, the
// one that the name of its schema has without its first name spaces, or the one that
// New was given.
func (x *Reader) typeOf(said, schema string) (*schemas.EventType, error) {
	for name := schema; said == "" && name != ""; _, name, _ = strings.Cut(name, ".") {
		if typ, ok := x.glossary.Event(name); ok {
			return typ, nil
		}
	}
	if said = cmp.Or(said, x.as); said == "" {
		why := "the path has no event_type=…"
		if schema != "" {
			why += fmt.Sprintf(", and the glossary has no event type like the schema's name %q", schema)
		}
		return nil, errors.New("which event type is this? " + why + "; say it with --as-type")
	}
	typ, ok := x.glossary.Event(said)
	if !ok {
		return nil, fmt.Errorf("the glossary has no event type %q; where it is a newer type, give a newer glossary with --glossary", said)
	}
	return typ, nil
}

// storedObject is what storage calls custom_properties and purchase_properties, JSON
// text there.
const storedObject = "properties"

// take takes a field's value out of the record; nil: it has none.
func (x *Reader) take(name string) json.RawMessage {
	value := x.flat[name]
	delete(x.flat, name)
	if string(value) == "null" {
		return nil
	}
	return value
}

// event makes the event of the record, and counts what is left of it.
func (x *Reader) event(typ *schemas.EventType) (r Record) {
	r = Record{Type: typ.Name, Lost: 1}
	id, at := x.take("id"), x.take("time")
	switch {
	case len(id) == 0 || id[0] != '"' || string(id) == `""`:
		r.Err = errors.New("the record has no id")
	case len(at) == 0:
		r.Err = errors.New("the record has no time")
	default:
		var err error
		if r.Time, err = strconv.ParseInt(string(at), 10, 64); err != nil {
			r.Err = fmt.Errorf("time must be seconds since 1970, not %.40s", at)
		}
	}
	x.out = append(append(strconv.AppendQuote(append(x.out[:0], `{"event_type":`...), typ.Name), `,"id":`...), id...)
	x.members(&r, `,"properties":{`, typ.Properties)
	x.out = append(append(x.out, `,"time":`...), at...)
	x.members(&r, `,"user":{`, typ.User)
	x.out = append(x.out, '}')
	for name := range x.flat {
		if x.take(name) == nil {
			continue
		}
		if x.leftOut[typ.Name] == nil {
			x.leftOut[typ.Name] = map[string]int{}
		}
		x.leftOut[typ.Name][name]++
	}
	if r.Err == nil {
		r.Event = x.out
	}
	return r
}

// members appends the fields that the record has as an object.
func (x *Reader) members(r *Record, open string, fields []schemas.Field) {
	x.out = append(x.out, open...)
	first := len(x.out)
	for i := range fields {
		f := &fields[i]
		var value json.RawMessage
		if f.Type != "object" {
			value = x.take(f.Name)
		} else if value = objectOf(x.take(storedObject)); len(value) > 0 && (value[0] != '{' || !json.Valid(value)) {
			r.Err = cmp.Or(r.Err, fmt.Errorf("%s: this is not the JSON text of an object", storedObject))
		}
		if len(value) == 0 {
			continue
		}
		if len(x.out) > first {
			x.out = append(x.out, ',')
		}
		x.out = append(append(strconv.AppendQuote(x.out, f.Name), ':'), value...)
	}
	x.out = append(x.out, '}')
}

// objectOf returns what is in a string; an object is what it is.
func objectOf(value json.RawMessage) json.RawMessage {
	var text string
	if json.Unmarshal(value, &text) == nil {
		value = bytes.TrimSpace([]byte(text))
	}
	if string(value) == "null" {
		return nil
	}
	return value
}
