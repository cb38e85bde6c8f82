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

// rules are what a Validator knows of one event type or call; without a name, of
// every event.
type rules struct {
	name    string
	checker *bytecheck.Checker
}

func names(fields []Field) (all []string) {
	for _, f := range fields {
		all = append(all, f.Name)
	}
	return all
}

// drift appends the fields of an event that the glossary does not know, null or
// not, as the check of the event noted them: at the top, in user and in
// properties. What lies deeper is the customer's own and has no names to know. Of
// an unknown type only the top is known.
func (r *rules) drift(found []Finding, x *bytecheck.Index) []Finding {
	if len(x.Unknown()) == 0 {
		return found
	}
	where := "an event"
	if r.name != "" {
		where = r.name
	}
	found = driftOf(found, x, inTop, "", where)
	found = driftOf(found, x, inProperties, "/properties", "the properties of "+where)
	return driftOf(found, x, inUser, "/user", "the user of "+where)
}

// driftOf appends what was noted in one section, sorted by name. Of a name given
// twice the last value counts.
func driftOf(found []Finding, x *bytecheck.Index, section int, at, where string) []Finding {
	noted := map[string]bytecheck.Node{}
	for _, u := range x.Unknown() {
		if u.Section == section {
			noted[bytecheck.Escape(string(x.Text(u.Key)))] = u.Value
		}
	}
	for _, name := range slices.Sorted(maps.Keys(noted)) {
		found = append(found, Finding{at + "/" + name, RuleUnknownField,
			"expected a field that the glossary knows in " + where + ", got " + x.Short(noted[name])})
	}
	return found
}
