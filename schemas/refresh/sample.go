package refresh

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"github.com/hamba/avro/v2"
	"github.com/hamba/avro/v2/ocf"

	"github.com/currentsbridge/currentsbridge/schemas"
)

// sample reads one event as the connector sends it, with every field filled. It does
// not say which fields are required or personal.
func (s *Sources) sample(where string, raw []byte) error {
	var event struct {
		Type       *string                    `json:"event_type"`
		User       map[string]json.RawMessage `json:"user"`
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if err := json.Unmarshal(raw, &event); err != nil {
		if !json.Valid(raw) {
			return err
		}
		return nil // some other document
	}
	if event.Type == nil {
		return nil
	}
	c := claim{kind: Sample, where: where, fields: make(map[place]fact)}
	for section, members := range map[string]map[string]json.RawMessage{user: event.User, properties: event.Properties} {
		for name, value := range members {
			c.fields[place{section, name}] = fact{typ: typeOfValue(value)}
		}
	}
	return s.add(*event.Type, c)
}

// typeOfValue returns the type of a JSON value; empty for null. An integer may be
// the value of a field of the type number; see agrees.
func typeOfValue(value json.RawMessage) string {
	switch value[0] {
	case '"':
		return "string"
	case 't', 'f':
		return "boolean"
	case '{':
		return "object"
	case '[':
		return "array<string>"
	case 'n':
		return ""
	}
	if bytes.ContainsAny(value, ".eE") {
		return "number"
	}
	return "integer"
}

// avro reads the schema of an object container file. Records of the storage
// exports are flat; properties is the text of the free object that
// custom_properties or purchase_properties is over HTTP.
func (s *Sources) avro(where string, raw []byte, g *schemas.Glossary) error {
	file, err := ocf.NewDecoder(bytes.NewReader(raw), ocf.WithDecoderSchemaCache(&avro.SchemaCache{}))
	if err != nil {
		return err
	}
	record, ok := file.Schema().(*avro.RecordSchema)
	if !ok {
		return fmt.Errorf("expected a record, got the Avro type %s", file.Schema().Type())
	}
	c := claim{kind: Avro, where: where, fields: make(map[place]fact)}
	for _, field := range record.Fields() {
		name := field.Name()
		at := place{properties, name}
		switch name {
		case "id", "event_type", "time", properties:
			continue
		case "user_id", "external_user_id", "device_id", "timezone":
			at.section = user
		}
		typ, nullable := avroType(field.Type())
		f := fact{typ: typ, required: answerOf(!nullable)}
		if doc := strings.TrimSpace(field.Doc()); doc != "" { // many writers leave it out
			f.pii = answerOf(strings.Contains(doc, "[PII]"))
			f.description = strings.TrimSpace(strings.ReplaceAll(doc, "[PII]", ""))
		}
		c.fields[at] = f
	}
	return s.add(avroName(record.FullName(), where, g), c)
}

// avroName finds the event type in a schema's name, or in a path. Packages may
// stand before it in the schema's name.
func avroName(full, where string, g *schemas.Glossary) string {
	first := func(name string) string { word, _, _ := strings.Cut(name, "."); return word }
	roots := make(map[string]bool)
	for i := range g.Events {
		roots[first(g.Events[i].Name)] = true
	}
	for name := full; name != ""; {
		if _, ok := g.Event(name); ok || roots[first(name)] && isTypeName(name) {
			return name
		}
		_, name, _ = strings.Cut(name, ".")
	}
	if _, rest, ok := strings.Cut(where, "event_type="); ok {
		name, _, _ := strings.Cut(rest, "/")
		return name
	}
	if base := strings.TrimSuffix(path.Base(where), path.Ext(where)); isTypeName(base) {
		return base
	}
	return full
}

func avroType(s avro.Schema) (typ string, nullable bool) {
	switch s := s.(type) {
	case *avro.UnionSchema:
		for _, branch := range s.Types() {
			if branch.Type() == avro.Null {
				nullable = true
			} else {
				typ, _ = avroType(branch)
			}
		}
		return typ, nullable
	case *avro.RefSchema:
		return avroType(s.Schema())
	}
	return typeOf(string(s.Type())), false
}
