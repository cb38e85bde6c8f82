package mapping

import (
	"maps"
	"slices"
	"strings"

	"github.com/currentsbridge/currentsbridge/schemas"
)

// personal is what becomes of personal data.
type personal struct {
	salt   []byte
	shapes *shapes // number the event types
	// The rules for the sections of each event type by its number, and of those that the
	// glossary does not have.
	types  []sections
	others sections
	top    ruleset    // for the event itself
	named  [2]ruleset // for user and properties, by name alone
	// Which of the ids that make an identity is dropped.
	dropUserID, dropExternalID bool
}

// sections are the rules for user and for properties.
type sections [2]scope

const (
	inUser = iota
	inProperties
)

// scope is the rules for the members of one object.
type scope struct {
	known   *table   // fields that the glossary has; nil: of none
	rules   []*rule  // for those, by number; nil: the field stays
	named   *ruleset // for others, by name
	unknown *rule    // for others that hold text; nil: they stay
	inside  bool     // of a free object, which has no names to know
}

// ruleset holds rules for the keys of one object.
type ruleset struct {
	names table
	rules []*rule
}

// rule is for one field.
type rule struct {
	action  Action
	named   bool   // in Personal.Fields, or a field that every event has
	id      bool   // of an event or a user: nothing is done to one that is none
	section int    // from 1: it is user or properties
	inner   *scope // for what lies inside of another field
}

func (s *ruleset) find(key []byte) *rule {
	if i := s.names.find(key); i >= 0 {
		return s.rules[i]
	}
	return nil
}

// rule returns the rule for a key, made where there is none.
func (s *ruleset) rule(key string) *rule {
	i := s.names.add(key)
	if i == len(s.rules) {
		s.rules = append(s.rules, &rule{action: Keep})
	}
	return s.rules[i]
}

// newPersonal returns nil where everything stays as it is.
func newPersonal(o Personal, g *schemas.Glossary, known *shapes, wrong *mistakes) *personal {
	checkPersonal(o, wrong)
	if !o.uses(Drop) && !o.uses(Hash) {
		return nil
	}
	p := &personal{salt: o.Salt, shapes: known}
	for _, name := range []string{"event_type", "id", "time", "user", "properties"} {
		p.top.rule(name).named = true
	}
	p.top.rule("user").section, p.top.rule("properties").section = inUser+1, inProperties+1
	for _, name := range []string{"user_id", "external_user_id", "device_id", "timezone"} {
		*p.named[inUser].rule(name) = rule{action: Keep, named: true, id: isID(name)}
	}
	for _, field := range slices.Sorted(maps.Keys(o.Fields)) {
		p.field(field, o.Fields[field])
	}
	p.preset(o, g)
	return p
}

// uses reports whether an action is done to anything.
func (o *Personal) uses(a Action) bool {
	return o.Preset == a || slices.Contains(slices.Collect(maps.Values(o.Fields)), a)
}

func checkPersonal(o Personal, wrong *mistakes) {
	const known = "is no action; write keep, drop or hash"
	if o.Unknown != "" && o.Unknown != Keep && o.Unknown != AsPreset {
		wrong.add("personal.unknown", "%q is none of as_preset and keep", o.Unknown)
	}
	if o.Preset != "" && !o.Preset.known() {
		wrong.add("personal.preset", "%q "+known, o.Preset)
	}
	for _, field := range slices.Sorted(maps.Keys(o.Fields)) {
		option := "personal.fields." + field
		switch action := o.Fields[field]; {
		case field == "" || field == "user.":
			wrong.add(option, "there is no name of a field")
		case !action.known():
			wrong.add(option, "%q "+known, action)
		case field == "id" && action == Drop:
			wrong.add(option, "without its id RudderStack cannot tell an event from its repeat; hash it instead")
		}
	}
	if o.Fields[userID] == Drop && o.Fields[externalUserID] == Drop {
		wrong.add("personal.fields."+userID, "RudderStack refuses events without any user id; hash it, or keep or hash %s", externalUserID)
	}
	if o.uses(Hash) && len(o.Salt) == 0 {
		wrong.add("personal.salt", "hash needs a salt: without one, addresses and numbers are found again by trying them all")
	}
}

// The fields of Personal.Fields that make an identity.
const (
	userID         = "user.user_id"
	externalUserID = "user.external_user_id"
)

func (a Action) known() bool { return a == Keep || a == Drop || a == Hash }

// field sets what is done to one field of Personal.Fields.
func (p *personal) field(field string, action Action) {
	if field == "id" {
		*p.top.rule(field) = rule{action: action, named: true, id: true}
	}
	if name, ok := strings.CutPrefix(field, "user."); ok {
		*p.named[inUser].rule(name) = rule{action: action, named: true, id: isID(name)}
		p.dropUserID = p.dropUserID || action == Drop && field == userID
		p.dropExternalID = p.dropExternalID || action == Drop && field == externalUserID
		return
	}
	r := p.named[inProperties].rule(field)
	r.action, r.named = action, true
	if head, rest, ok := strings.Cut(field, "."); ok {
		outer := p.named[inProperties].rule(head)
		if outer.inner == nil {
			outer.inner = &scope{named: &ruleset{}, inside: true}
		}
		outer.inner.named.rule(rest).action = action
	}
}

// isID reports whether a field of user is an id.
func isID(name string) bool {
	return name == "user_id" || name == "external_user_id" || name == "device_id"
}

// preset sets what is done to the fields of each event type: what
// Personal.Fields says of their names, or else the preset where the glossary
// flags them for that type. Of fields that the glossary does not have for a
// type, those are personal whose names it flags elsewhere, and all that hold
// text.
func (p *personal) preset(o Personal, g *schemas.Glossary) {
	var flagged, unknown *rule
	if o.Preset == Drop || o.Preset == Hash {
		flagged = &rule{action: o.Preset}
		if o.Unknown != Keep {
			unknown = flagged
		}
	}
	for i := range p.others {
		p.others[i] = scope{named: &p.named[i], unknown: unknown}
	}
	personal := make(map[string]bool)
	for n, e := range g.Events {
		of, known := p.others, &p.shapes.list[n]
		of[inUser].known, of[inProperties].known = &known.user, &known.properties
		for i, fields := range [][]schemas.Field{e.User, e.Properties} {
			for _, f := range fields {
				r := p.named[i].find([]byte(f.Name))
				if f.IsPersonal() && !isID(f.Name) {
					personal[f.Name] = true
					if flagged != nil && (r == nil || !r.named) {
						r = flagged
					}
				}
				of[i].rules = append(of[i].rules, r)
			}
		}
		p.types = append(p.types, of)
	}
	if flagged == nil {
		return
	}
	for name := range personal {
		for i := range p.named {
			if set := &p.named[i]; !set.rule(name).named {
				set.rules[set.names.add(name)] = flagged
			}
		}
	}
}
