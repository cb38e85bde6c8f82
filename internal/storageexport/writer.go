package storageexport

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hamba/avro/v2"
	"github.com/hamba/avro/v2/ocf"
	"github.com/klauspost/compress/zstd"

	"github.com/currentsbridge/currentsbridge/schemas"
)

// maxOpen is how many files are open at a time. When one more is needed all are
// closed, and later events go to further parts.
const maxOpen = 200

// Writer takes events as NDJSON and writes them as Braze's storage exports: Avro object
// container files that hold one event type each, in
// dataexport.<cluster>.<kind>.integration.<id>/event_type=…/date=YYYY-MM-DD-HH/version=…,
// by the hour of the event's time. Records are flat, and free objects are JSON text
// named properties. Fields that only storage has are not written. The files take
// turns in the codecs null, deflate, snappy and zstandard. Make it with NewWriter, and
// Close it.
type Writer struct {
	dir      string
	glossary *schemas.Glossary
	open     map[string]*part // by directory
	parts    int
	line     []byte // the beginning of a line
}

// NewWriter makes a Writer of files below dir, whose schemas follow from the glossary.
func NewWriter(dir string, glossary *schemas.Glossary) *Writer {
	return &Writer{
		dir:      filepath.Join(dir, "dataexport.prod-01.S3.integration.mockbraze"),
		glossary: glossary, open: make(map[string]*part),
	}
}

// Write implements io.Writer. It fails for an event that does not fit the glossary,
// and where a file cannot be written.
func (w *Writer) Write(text []byte) (n int, err error) {
	for rest := text; ; {
		line, after, whole := bytes.Cut(rest, []byte{'\n'})
		w.line = append(w.line, line...)
		if !whole {
			return len(text), nil
		}
		if err := w.write(w.line); err != nil {
			return 0, err
		}
		w.line, rest = w.line[:0], after
	}
}

func (w *Writer) write(line []byte) error {
	var event storedEvent
	if err := json.Unmarshal(line, &event); err != nil {
		return fmt.Errorf("avro: %w", err)
	}
	p, err := w.part(event.Type, time.Unix(event.Time, 0).UTC())
	if err != nil {
		return fmt.Errorf("avro: %w", err)
	}
	record, err := event.record(p.typ)
	if err == nil {
		err = p.Encode(record)
	}
	if err != nil {
		return fmt.Errorf("avro: %s: %w", event.Type, err)
	}
	return nil
}

type part struct {
	*ocf.Encoder
	file *os.File
	typ  *schemas.EventType
}

func (w *Writer) part(name string, at time.Time) (*part, error) {
	dir := filepath.Join(w.dir, "event_type="+name, "date="+at.Format("2006-01-02-15"), fmt.Sprintf("version=%d", w.glossary.SchemaVersion))
	if p := w.open[dir]; p != nil {
		return p, nil
	}
	if len(w.open) >= maxOpen {
		if err := w.Close(); err != nil {
			return nil, err
		}
	}
	typ, ok := w.glossary.Event(name)
	if !ok {
		return nil, fmt.Errorf("the glossary has no event type %q", name)
	}
	schema, err := avroSchema(typ)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	file, err := os.Create(filepath.Join(dir, fmt.Sprintf("part-%05d.avro", w.parts)))
	if err != nil {
		return nil, err
	}
	codecs := []ocf.CodecName{ocf.Null, ocf.Deflate, ocf.Snappy, ocf.ZStandard}
	encoder, err := ocf.NewEncoder(schema, file, ocf.WithCodec(codecs[w.parts%len(codecs)]),
		ocf.WithZStandardEncoderOptions(zstd.WithEncoderConcurrency(1)),
		// The library's own text of a schema leaves out the descriptions.
		ocf.WithSchemaMarshaler(func(avro.Schema) ([]byte, error) { return []byte(schema), nil }))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), file.Close())
	}
	w.parts++
	w.open[dir] = &part{encoder, file, typ}
	return w.open[dir], nil
}

// Close writes what is not written yet.
func (w *Writer) Close() (failed error) {
	for dir, p := range w.open {
		failed = errors.Join(failed, p.Close(), p.file.Close())
		delete(w.open, dir)
	}
	return failed
}

func storedName(f *schemas.Field) string {
	if f.Type == "object" {
		return storedObject
	}
	return f.Name
}

func avroSchema(t *schemas.EventType) (string, error) {
	dot := strings.LastIndexByte(t.Name, '.')
	fields := []any{
		map[string]any{"name": "id", "type": "string"},
		map[string]any{"name": "time", "type": "long"},
	}
	for _, f := range slices.Concat(t.User, t.Properties) {
		doc := f.Description
		if f.PII {
			doc = "[PII] " + doc
		}
		stored := map[string]any{"name": storedName(&f), "type": avroType(&f), "doc": doc}
		if !f.Required {
			stored["type"], stored["default"] = []any{"null", avroType(&f)}, nil
		}
		fields = append(fields, stored)
	}
	text, err := json.Marshal(map[string]any{
		"type": "record", "namespace": t.Name[:max(dot, 0)], "name": t.Name[dot+1:], "fields": fields,
	})
	return string(text), err
}

func avroType(f *schemas.Field) any {
	switch f.Type {
	case "integer":
		return "long"
	case "number":
		return "double"
	case "boolean":
		return "boolean"
	case "array<string>":
		return map[string]any{"type": "array", "items": []any{"null", "string"}}
	default:
		return "string"
	}
}

type storedEvent struct {
	Type             string `json:"event_type"`
	ID               string
	Time             int64
	User, Properties map[string]json.RawMessage
}

// record is the flat record of an event. No type has a field in both of its objects.
func (s *storedEvent) record(t *schemas.EventType) (map[string]any, error) {
	record, values := map[string]any{"id": s.ID, "time": s.Time}, map[string]json.RawMessage{}
	maps.Copy(values, s.Properties)
	maps.Copy(values, s.User)
	for _, f := range slices.Concat(t.User, t.Properties) {
		value, err := storedValue(&f, values[f.Name])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		record[storedName(&f)] = value
	}
	return record, nil
}

// storedValue is a value as the encoder takes it; nil is null.
func storedValue(f *schemas.Field, raw json.RawMessage) (value any, err error) {
	switch {
	case raw == nil || string(raw) == "null":
	case f.Type == "object":
		value = string(raw)
	case f.Type == "integer":
		value, err = strconv.ParseInt(string(raw), 10, 64)
	default:
		err = json.Unmarshal(raw, &value)
	}
	if list, ok := value.([]any); ok && !f.Required { // the encoder finds the branch of a union for plain values only
		value = map[string]any{"array": list}
	}
	return value, err
}
