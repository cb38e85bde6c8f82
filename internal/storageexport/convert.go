package storageexport

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/currentsbridge/currentsbridge/schemas"
)

// kind is where a field of a record goes.
type kind int

const (
	unknown kind = iota // is left out
	id
	timeOf
	user
	property
	freeObject // custom_properties or purchase_properties, JSON text in storage
)

// storedObject is what storage calls a free object.
const storedObject = "properties"

// table has where the fields of a record go, for an event type.
type table struct {
	name  string
	begin []byte // of the event, up to the id
	slots map[string]slot
}

type slot struct {
	kind kind
	key  []byte // "name":
}

func (x *Reader) table(name string) (*table, error) {
	if t := x.tables[name]; t != nil {
		return t, nil
	}
	typ, ok := x.glossary.Event(name)
	if !ok {
		return nil, fmt.Errorf("the glossary has no event type %q; where it is a newer type, give a newer glossary with --glossary", name)
	}
	t := &table{name: name, slots: map[string]slot{"id": {kind: id}, "time": {kind: timeOf}}}
	t.begin = append(strconv.AppendQuote([]byte(`{"event_type":`), name), `,"id":`...)
	add := func(fields []schemas.Field, kind kind) {
		for _, f := range fields {
			stored, as := f.Name, kind
			if f.Type == "object" {
				stored, as = storedObject, freeObject
			}
			t.slots[stored] = slot{as, append(strconv.AppendQuote(nil, f.Name), ':')}
		}
	}
	add(typ.User, user)
	add(typ.Properties, property)
	x.tables[name] = t
	return t, nil
}

// tableOf finds the table for a record: by the event type in its path or in the
// record, by the name of its schema without its first name spaces, or by the one
// that New was given.
func (x *Reader) tableOf(said, schema string) (*table, error) {
	if said != "" {
		return x.table(said)
	}
	for name := schema; name != ""; _, name, _ = strings.Cut(name, ".") {
		if _, ok := x.glossary.Event(name); ok {
			return x.table(name)
		}
	}
	if x.as != "" {
		return x.table(x.as)
	}
	why := "the path has no event_type=…"
	if schema != "" {
		why += fmt.Sprintf(", and the glossary has no event type like the schema's name %q", schema)
	}
	return nil, errors.New("which event type is this? " + why + "; say it with --as-type")
}

// parts are the parts of an event that is being made.
type parts struct {
	id, time, user, properties, event []byte
	err                               error
}

func (p *parts) reset() {
	*p = parts{id: p.id[:0], time: p.time[:0], user: p.user[:0], properties: p.properties[:0], event: p.event[:0]}
}

// put puts a field's value, JSON text, where it goes.
func (x *Reader) put(t *table, slot slot, name string, value []byte) {
	p := &x.parts
	if string(value) == "null" {
		return
	}
	switch slot.kind {
	case id:
		p.id = append(p.id, value...)
	case timeOf:
		p.time = append(p.time, value...)
	case user:
		p.user = appendMember(p.user, slot.key, value)
	case property:
		p.properties = appendMember(p.properties, slot.key, value)
	case freeObject:
		object, err := objectOf(value)
		if err != nil {
			p.err = err
			return
		}
		if object != nil {
			p.properties = appendMember(p.properties, slot.key, object)
		}
	case unknown:
		x.leftOut[LeftOut{t.name, name}]++
	}
}

func appendMember(object, key, value []byte) []byte {
	if len(object) > 0 {
		object = append(object, ',')
	}
	return append(append(object, key...), value...)
}

// objectOf returns a JSON object that is the value, or in the string that is the value;
// nil for none.
func objectOf(value []byte) ([]byte, error) {
	if len(value) > 0 && value[0] == '"' {
		var text string
		if err := json.Unmarshal(value, &text); err != nil {
			return nil, fmt.Errorf("%s: %w", storedObject, err)
		}
		value = bytes.TrimSpace([]byte(text))
	}
	if len(value) == 0 || string(value) == "null" {
		return nil, nil
	}
	if value[0] != '{' || !json.Valid(value) {
		return nil, fmt.Errorf("%s: this is not the JSON text of an object", storedObject)
	}
	return value, nil
}

// event puts the parts together.
func (x *Reader) event(t *table) Record {
	p := &x.parts
	r := Record{Type: t.name, Lost: 1}
	var err error
	switch {
	case p.err != nil:
		r.Err = p.err
		return r
	case len(p.id) == 0 || p.id[0] != '"' || string(p.id) == `""`:
		r.Err = errors.New("the record has no id")
		return r
	case len(p.time) == 0:
		r.Err = errors.New("the record has no time")
		return r
	}
	if r.Time, err = strconv.ParseInt(string(p.time), 10, 64); err != nil {
		r.Err = fmt.Errorf("time must be seconds since 1970, not %.40s", p.time)
		return r
	}
	p.event = append(append(p.event, t.begin...), p.id...)
	p.event = append(append(p.event, `,"properties":{`...), p.properties...)
	p.event = append(append(p.event, `},"time":`...), p.time...)
	p.event = append(append(p.event, `,"user":{`...), p.user...)
	p.event = append(p.event, "}}"...)
	r.Event = p.event
	return r
}
