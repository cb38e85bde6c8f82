package refresh

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/currentsbridge/currentsbridge/schemas"
)

// Options are for Refresh.
type Options struct {
	// SchemaVersion and Date are those of the sources, which do not contain them; zero
	// keeps those of the glossary.
	SchemaVersion int
	Date          string
}

// Refresh makes a new glossary of an old one and the sources. What the sources do
// not mention is kept. A flag of personal data is never removed. Storage schemas
// add nothing but such flags. The report is that of Compare, with what could not be
// decided. The new glossary has passed the checks of Parse.
func Refresh(g *schemas.Glossary, s *Sources, o Options) (*schemas.Glossary, *Report, error) {
	report, all := compare(g, s)
	changed := *g
	changed.Events = slices.Clone(g.Events) // their lists are cloned in event
	a := applying{report: report, glossary: &changed, since: fmt.Sprintf("after v%d", g.SchemaVersion)}
	if o.SchemaVersion > 0 {
		changed.SchemaVersion, a.since = o.SchemaVersion, fmt.Sprintf("v%d", o.SchemaVersion)
	}
	changed.Date = cmp.Or(o.Date, changed.Date)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		a.event(name, all[name])
	}
	for _, d := range report.Differences {
		switch d.Change {
		case TypeGone, FieldGone:
			a.undecided(d.EventType, d.Field, "not in the sources any more; kept, because Braze takes nothing away without saying so")
		case PIIGone:
			a.undecided(d.EventType, d.Field, "no longer flagged as personal data; the flag is kept")
		}
	}
	for _, c := range report.Contradictions {
		a.undecided(c.EventType, c.Field, "sources contradict each other; see the contradictions")
	}
	raw, err := changed.Encode()
	if err != nil {
		return nil, nil, err
	}
	next, err := schemas.Parse(raw)
	return next, report, err
}

// applying is the state of a refresh.
type applying struct {
	report   *Report
	glossary *schemas.Glossary
	since    string
}

func (a *applying) undecided(eventType, field, format string, args ...any) {
	note := Note{EventType: eventType, Field: field, Text: fmt.Sprintf(format, args...)}
	if !slices.Contains(a.report.Undecided, note) {
		a.report.Undecided = append(a.report.Undecided, note)
	}
}

func (a *applying) event(name string, m *merged) {
	e, known := a.glossary.Event(name)
	if !known {
		if m.kind == Avro {
			a.undecided(name, "", "known from a storage schema only, which does not say whether it comes over HTTP; not added")
			return
		}
		a.glossary.Events = append(a.glossary.Events, schemas.EventType{Name: name, Family: familyOf(name), Since: a.since})
		e = &a.glossary.Events[len(a.glossary.Events)-1]
	}
	e.User, e.Properties = slices.Clone(e.User), slices.Clone(e.Properties)
	since := a.since
	if !known {
		since = "" // that of the type
	}
	for _, at := range slices.SortedFunc(maps.Keys(m.fields), byPlace) {
		list := &e.Properties
		if at.section == user {
			list = &e.User
		}
		f := m.fields[at]
		if have, ok := schemas.FieldNamed(*list, at.name); ok {
			a.change(e.Name, at, have, f)
		} else if added, ok := a.field(e.Name, at, f); ok {
			added.Since = since
			i, _ := slices.BinarySearchFunc(*list, at.name, func(f schemas.Field, name string) int { return strings.Compare(f.Name, name) })
			*list = slices.Insert(*list, i, added)
		}
	}
}

// change applies a finding to a field that the glossary has.
func (a *applying) change(eventType string, at place, have *schemas.Field, f *finding) {
	have.PII = have.PII || f.pii == yes
	if f.kind == Avro {
		if !f.fits(have.Type) {
			a.undecided(eventType, at.String(), "a storage schema has the type %s; %s is kept", f.typ, have.Type)
		}
		return
	}
	if !f.fits(have.Type) && !f.disputed {
		have.Type = f.typ
	}
	if f.required != unsaid {
		have.Required = f.required == yes
	}
}

// field makes a new field. It is not ok where too little is known.
func (a *applying) field(eventType string, at place, f *finding) (schemas.Field, bool) {
	where := at.String()
	switch {
	case f.kind == Avro:
		a.undecided(eventType, where, "known from a storage schema only, which does not say whether it comes over HTTP; not added")
		return schemas.Field{}, false
	case f.typ == "" || f.disputed:
		a.undecided(eventType, where, "the type is not known; not added")
		return schemas.Field{}, false
	}
	out := schemas.Field{Name: at.name, Type: f.typ, Required: f.required == yes, PII: f.pii == yes}
	_, named := schemas.FieldNamed(a.glossary.Names, at.name)
	if !named {
		out.Description = f.description
	}
	if f.required == unsaid {
		a.undecided(eventType, where, "whether it is required is not said; taken for optional")
	}
	if f.typ == "integer" && f.kind == Sample {
		a.undecided(eventType, where, "a sample has a whole number; taken for integer, could be number")
	}
	if f.pii == unsaid && !named && (f.typ == "string" || f.typ == "array<string>" || f.typ == "object") {
		out.Personal = true
		a.undecided(eventType, where, "whether it is personal data is not said; taken for personal data")
	}
	return out, true
}

// familyOf goes by the first words of a name, as Braze's pages do.
func familyOf(name string) string {
	for _, of := range [...]struct{ prefix, family string }{
		{"agentconsole.", "agent"}, {"contentoptimizer.", "optimizer"}, {"users.behaviors.", "behavior"},
		{"users.messages.", "message"}, {"users.campaigns.", "message"}, {"users.canvas", "message"}, {"users.", "user"},
	} {
		if strings.HasPrefix(name, of.prefix) {
			return of.family
		}
	}
	first, _, _ := strings.Cut(name, ".")
	return first
}
