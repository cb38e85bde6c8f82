package schemas

import (
	"slices"

	"github.com/xeipuuv/gojsonschema"
)

// eventRules is what a Validator knows of one event type; without a name, of
// every event.
type eventRules struct {
	name   string
	schema *gojsonschema.Schema
	// The fields that the glossary knows.
	top, user, properties fieldSet
}

type fieldSet map[string]struct{}

// batchFields are the fields of a request body.
var batchFields = fieldSet{"events": {}}

func names(fields []Field) fieldSet {
	set := make(fieldSet, len(fields))
	for _, f := range fields {
		set[f.Name] = struct{}{}
	}
	return set
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
			"expected a field that the glossary knows in " + where + ", came " + short(value),
		})
	}
	slices.SortFunc(found[first:], byPlace)
	return found
}
