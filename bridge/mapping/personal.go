package mapping

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"github.com/currentsbridge/currentsbridge/schemas"
)

// personal is what becomes of personal data.
type personal struct {
	salt   []byte
	top    ruleset
	typed  bool // a rule hangs on the event type
	dropID bool // one of the ids that make an identity is dropped
}

// ruleset holds the rules for the keys of one object.
type ruleset struct {
	names table
	rules []*rule
	// What a key of the top that is not Braze's may stand for: RudderStack's
	// source reads one that is called properties.email_address as that property.
	user, properties *ruleset
}

// rule is for one field.
type rule struct {
	action Action
	id     bool     // of an event or a user: nothing is done to one that is none
	inner  *ruleset // for what lies inside
	// The event types whose field of that name the glossary does not flag.
	spared map[string]bool
}

func (s *ruleset) find(key []byte) *rule {
	if i := s.names.find(key); i >= 0 {
		return s.rules[i]
	}
	if s.properties == nil {
		return nil
	}
	if rest, ok := bytes.CutPrefix(key, []byte("user.")); ok {
		return s.user.find(rest)
	}
	return s.properties.find(bytes.TrimPrefix(key, []byte("properties.")))
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
func newPersonal(o Personal, g *schemas.Glossary, wrong *mistakes) *personal {
	checkPersonal(o, wrong)
	if !o.uses(Drop) && !o.uses(Hash) {
		return nil
	}
	p := &personal{salt: o.Salt}
	user, properties := &ruleset{}, &ruleset{}
	for _, name := range []string{"event_type", "time"} {
		p.top.rule(name)
	}
	p.top.rule("user").inner = user
	p.top.rule("properties").inner = properties
	p.top.user, p.top.properties = user, properties
	if o.Preset == Drop || o.Preset == Hash {
		p.preset(o.Preset, g)
	}
	for _, field := range slices.Sorted(maps.Keys(o.Fields)) {
		p.field(field, o.Fields[field])
	}
	return p
}

// uses tells whether an action is done to anything.
func (o *Personal) uses(a Action) bool {
	return o.Preset == a || slices.Contains(slices.Collect(maps.Values(o.Fields)), a)
}

func checkPersonal(o Personal, wrong *mistakes) {
	const known = "is no action; write keep, drop or hash"
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
		*p.top.rule(field) = rule{action: action, id: true}
	}
	if name, ok := strings.CutPrefix(field, "user."); ok {
		*p.top.user.rule(name) = rule{action: action, id: isID(name)}
		p.dropID = p.dropID || action == Drop && (field == userID || field == externalUserID)
		return
	}
	r := p.top.properties.rule(field)
	r.action, r.spared = action, nil
	if head, rest, ok := strings.Cut(field, "."); ok {
		outer := p.top.properties.rule(head)
		if outer.inner == nil {
			outer.inner = &ruleset{}
		}
		outer.inner.rule(rest).action = action
	}
}

// isID reports whether a field of user is an id.
func isID(name string) bool {
	return name == "user_id" || name == "external_user_id" || name == "device_id"
}

// preset sets what is done to the fields that the glossary flags. Where it
// flags a name for some event types only, the others that have the name are
// spared. A name that it does not have in user, but flags in properties, is
// taken for the same wherever it turns up, and the other way about.
func (p *personal) preset(action Action, g *schemas.Glossary) {
	user, properties := make(flags), make(flags)
	for i := range g.Events {
		e := &g.Events[i]
		user.add(e.Name, e.User)
		properties.add(e.Name, e.Properties)
	}
	for _, side := range []struct {
		set        *ruleset
		own, other flags
	}{{p.top.user, user, properties}, {p.top.properties, properties, user}} {
		for name, f := range side.other {
			if _, ok := side.own[name]; !ok && f.flagged && !isID(name) {
				side.set.rule(name).action = action
			}
		}
		for name, f := range side.own {
			if f.flagged && !isID(name) {
				r := side.set.rule(name)
				r.action = action
				if len(f.spared) > 0 {
					r.spared, p.typed = f.spared, true
				}
			}
		}
	}
}

// flags says for each name of a field whether the glossary flags it as personal
// data for any event type, and the types for which it does not.
type flags map[string]*flag

type flag struct {
	flagged bool
	spared  map[string]bool
}

func (f flags) add(eventType string, fields []schemas.Field) {
	for _, field := range fields {
		if f[field.Name] == nil {
			f[field.Name] = &flag{spared: make(map[string]bool)}
		}
		if field.PII {
			f[field.Name].flagged = true
		} else {
			f[field.Name].spared[eventType] = true
		}
	}
}
