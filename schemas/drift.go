package schemas

import (
	"maps"
	"slices"

	"github.com/currentsbridge/currentsbridge/schemas/internal/bytecheck"
)

// Where in an event a walk notes members that the glossary does not know.
const (
	inTop = iota + 1
	inProperties
	inUser
)

// eventRules is what a Validator knows of one event type; without a name, of
// every event.
type eventRules struct {
	name string
	rules
	// The fields that the glossary knows.
	top, user, properties fieldSet
}

type fieldSet map[string]struct{}

// batchFields are the fields of a request body.
func batchFields() fieldSet { return fieldSet{"events": {}} }

func names(fields []Field) fieldSet {
	set := make(fieldSet, len(fields))
	for _, f := range fields {
		set[f.Name] = struct{}{}
	}
	return set
}

func (s fieldSet) list() []string { return slices.Collect(maps.Keys(s)) }

// noteUnknown has the checker note what the glossary does not know.
func (r *eventRules) noteUnknown() {
	r.checker.NoteUnknown(inTop, r.top.list())
	if r.name != "" {
		r.checker.NoteUnknown(inProperties, r.properties.list(), "properties")
		r.checker.NoteUnknown(inUser, r.user.list(), "user")
	}
}

// noted appends the drift that a walk over an event noted from the first of its
// places on. It is what drift finds in the decoded event.
func (r *eventRules) noted(found []Finding, x *bytecheck.Index, first int, at spot) []Finding {
	if len(x.Unknown()) == first {
		return found
	}
	where, place := "an event", at.String()
	if r.name != "" {
		where = r.name
	}
	found = driftOf(found, x, first, inTop, r.top, place, where)
	found = driftOf(found, x, first, inProperties, r.properties, place+"/properties", "the properties of "+where)
	return driftOf(found, x, first, inUser, r.user, place+"/user", "the user of "+where)
}

// driftOf appends what a walk noted in one section.
func driftOf(found []Finding, x *bytecheck.Index, first, section int, known fieldSet, at, where string) []Finding {
	var object map[string]any
	for _, s := range x.Unknown()[first:] {
		if s.Section != section {
			continue
		}
		if object == nil {
			object = map[string]any{}
		}
		object[string(x.Text(s.Key))] = decoded(x, s.Value)
	}
	return unknownFields(found, object, known, at, where)
}

// drift appends the fields of an event that the glossary does not know, null or
// not: at the top, in user and in properties. What lies deeper is the
// customer's own and has no names to know. Of an unknown type only the top is
// known.
func (r *eventRules) drift(found []Finding, event map[string]any, at string) []Finding {
	where := "an event"
	if r.name != "" {
		where = r.name
	}
	found = unknownFields(found, event, r.top, at, where)
	if r.name == "" {
		return found
	}
	if properties, ok := event["properties"].(map[string]any); ok {
		found = unknownFields(found, properties, r.properties, at+"/properties", "the properties of "+where)
	}
	if user, ok := event["user"].(map[string]any); ok {
		found = unknownFields(found, user, r.user, at+"/user", "the user of "+where)
	}
	return found
}

// unknownFields appends the members of an object that are not in the set,
// sorted by name.
func unknownFields(found []Finding, object map[string]any, known fieldSet, at, where string) []Finding {
	first := len(found)
	for name, value := range object {
		if _, ok := known[name]; ok {
			continue
		}
		found = append(found, Finding{
			at + "/" + escape(name), RuleUnknownField,
			"expected a field that the glossary knows in " + where + ", got " + short(value),
		})
	}
	slices.SortFunc(found[first:], byPlace)
	return found
}
