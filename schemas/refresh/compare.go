package refresh

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/currentsbridge/currentsbridge/schemas"
)

// Report is how sources differ from a glossary.
type Report struct {
	Same           bool         `json:"same"`           // nothing differs, nothing is contradictory and all could be read
	Glossary       string       `json:"glossary"`       // names the one that was compared
	Files          map[Kind]int `json:"files"`          // that said something, by kind
	Types          int          `json:"types"`          // how many event types they speak of
	Differences    []Difference `json:"differences"`    // sorted by event type and field
	Contradictions []Note       `json:"contradictions"` // between sources
	Unread         []Note       `json:"unread"`         // what could not be read
	Undecided      []Note       `json:"undecided"`      // what a refresh could not decide, and what it did instead
}

// Change is what differs.
type Change string

// The changes.
const (
	TypeAdded       Change = "type_added"
	TypeGone        Change = "type_gone"
	FieldAdded      Change = "field_added"
	FieldGone       Change = "field_gone"
	TypeChanged     Change = "type_changed"     // of a field
	RequiredChanged Change = "required_changed" // of a field
	PIIAdded        Change = "pii_added"
	PIIGone         Change = "pii_gone"
)

// Difference is one difference between the glossary and the sources.
type Difference struct {
	Change    Change `json:"change"`
	EventType string `json:"event_type"`
	Field     string `json:"field,omitempty"`  // user. or properties. and a name
	Before    string `json:"before,omitempty"` // in the glossary
	After     string `json:"after,omitempty"`  // in the source
	Source    string `json:"source,omitempty"` // file and line
}

// Note is a remark about an event type, a field or a source.
type Note struct {
	EventType string `json:"event_type,omitempty"`
	Field     string `json:"field,omitempty"`
	Source    string `json:"source,omitempty"`
	Text      string `json:"text"`
}

// Options are for Refresh.
type Options struct {
	// SchemaVersion and Date are those of the sources, which do not contain them; zero
	// keeps those of the glossary.
	SchemaVersion int
	Date          string
}

// Compare holds the sources against a glossary.
func Compare(g *schemas.Glossary, s *Sources) *Report {
	_, r := s.apply(g, "")
	r.Undecided = []Note{}
	return r
}

// Refresh makes a new glossary of an old one and the sources. What the sources do
// not mention is kept. A flag of personal data is never removed. The report is that of
// Compare, with what could not be decided. The new glossary has passed the checks of
// Parse.
func Refresh(g *schemas.Glossary, s *Sources, o Options) (*schemas.Glossary, *Report, error) {
	since := fmt.Sprintf("after v%d", g.SchemaVersion)
	if o.SchemaVersion > 0 {
		since = fmt.Sprintf("v%d", o.SchemaVersion)
	}
	next, r := s.apply(g, since)
	next.SchemaVersion, next.Date = cmp.Or(o.SchemaVersion, g.SchemaVersion), cmp.Or(o.Date, g.Date)
	raw, err := next.Encode()
	if err != nil {
		return nil, nil, err
	}
	next, err = schemas.Parse(raw)
	return next, r, err
}

// applying is one event type of the sources on its way into a glossary.
type applying struct {
	*Report
	glossary  *schemas.Glossary
	since     string // which version brings what is new
	eventType string
}

// apply returns a copy of the glossary with all that the sources say.
func (s *Sources) apply(g *schemas.Glossary, since string) (*schemas.Glossary, *Report) {
	next := *g
	next.Events = slices.Clone(g.Events)
	r := &Report{
		Glossary: g.Version(), Files: s.Files, Types: len(s.types), Differences: []Difference{}, Undecided: []Note{},
		Contradictions: append([]Note{}, s.contradictions...), Unread: append([]Note{}, s.unread...),
	}
	for _, name := range slices.Sorted(maps.Keys(s.types)) {
		a := applying{r, &next, since, name}
		a.event(s.types[name])
	}
	// A folder with a few pages says nothing about other types; one with most types
	// is taken for complete.
	if current := g.Current(); 2*len(s.types) > len(current) {
		for _, name := range current {
			if s.types[name] == nil {
				a := applying{Report: r, eventType: name}
				a.gone(TypeGone, "", "", "")
			}
		}
	}
	slices.SortStableFunc(r.Differences, func(a, b Difference) int {
		return cmp.Or(strings.Compare(a.EventType, b.EventType), strings.Compare(a.Field, b.Field))
	})
	for _, notes := range [][]Note{r.Contradictions, r.Undecided} {
		slices.SortStableFunc(notes, func(a, b Note) int {
			return cmp.Or(strings.Compare(a.EventType, b.EventType), strings.Compare(a.Field, b.Field))
		})
	}
	r.Same = len(r.Differences)+len(r.Contradictions)+len(r.Unread) == 0
	return &next, r
}

func (a *applying) differs(change Change, field, before, after, source string) {
	a.Differences = append(a.Differences, Difference{change, a.eventType, field, before, after, source})
}

func (a *applying) undecided(field, text string) {
	a.Undecided = append(a.Undecided, Note{EventType: a.eventType, Field: field, Text: text})
}

func (a *applying) gone(change Change, field, before, source string) {
	a.differs(change, field, before, "", source)
	a.undecided(field, "not in the sources any more; kept, because Braze takes nothing away without saying so")
}

func (a *applying) event(from *source) {
	e, known := a.glossary.Event(a.eventType)
	since := a.since
	if !known {
		a.differs(TypeAdded, "", "", fmt.Sprintf("%d fields", len(from.fields)), from.where)
		a.glossary.Events = append(a.glossary.Events, schemas.EventType{Name: a.eventType, Family: familyOf(a.eventType), Since: a.since})
		e = &a.glossary.Events[len(a.glossary.Events)-1]
		since = "" // that of the type
	}
	e.User, e.Properties = slices.Clone(e.User), slices.Clone(e.Properties)
	for section, list := range map[string]*[]schemas.Field{user: &e.User, properties: &e.Properties} {
		for i := range *list {
			f := &(*list)[i]
			at := section + "." + f.Name
			if said := from.fields[at]; said != nil {
				a.change(at, f, said)
			} else if f.Type != "object" { // pages do not have the free objects
				a.gone(FieldGone, at, f.Type, from.where)
			}
		}
		for _, at := range slices.Sorted(maps.Keys(from.fields)) {
			if name, here := strings.CutPrefix(at, section+"."); here {
				if _, have := schemas.FieldNamed(*list, name); !have {
					a.add(list, at, since, known, from.fields[at])
				}
			}
		}
	}
}

// change applies what the sources say to a field that the glossary has.
func (a *applying) change(at string, have *schemas.Field, f *fact) {
	switch {
	case f.disputed:
		a.undecided(at, "sources contradict each other; see the contradictions")
	case !f.fits(have.Type):
		a.differs(TypeChanged, at, have.Type, f.Type, f.where)
		have.Type = f.Type
	}
	if f.said && !f.disputed && f.Required != have.Required {
		a.differs(RequiredChanged, at, presence(have.Required), presence(f.Required), f.where)
		have.Required = f.Required
	}
	switch {
	case f.PII && !have.PII:
		a.differs(PIIAdded, at, "not flagged", "[PII]", f.where)
		have.PII = true
	case f.said && !f.PII && have.PII:
		a.differs(PIIGone, at, "[PII]", "not flagged", f.where)
		a.undecided(at, "no longer flagged as personal data; the flag is kept")
	}
}

// add adds a new field, in its place in the alphabet, where its type is known.
func (a *applying) add(list *[]schemas.Field, at, since string, known bool, f *fact) {
	if known {
		a.differs(FieldAdded, at, "", f.describe(), f.where)
	}
	if f.Type == "" || f.disputed {
		a.undecided(at, "the type is not known, or sources contradict each other; not added")
		return
	}
	added := f.Field
	added.Since = since
	_, named := schemas.FieldNamed(a.glossary.Names, f.Name)
	if named {
		added.Description = ""
	}
	if !f.said {
		a.undecided(at, "whether it is required is not said; taken for optional")
	}
	if f.Type == "integer" && f.sample {
		a.undecided(at, "a sample has a whole number; taken for integer, could be number")
	}
	if !f.said && !named && slices.Contains([]string{"string", "array<string>", "object"}, f.Type) {
		added.Personal = true
		a.undecided(at, "whether it is personal data is not said; taken for personal data")
	}
	i, _ := slices.BinarySearchFunc(*list, f.Name, func(f schemas.Field, name string) int { return strings.Compare(f.Name, name) })
	*list = slices.Insert(*list, i, added)
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

func presence(required bool) string {
	if required {
		return "required"
	}
	return "optional"
}

// describe summarizes a new field.
func (f *fact) describe() string {
	text := cmp.Or(f.Type, "type not said")
	if f.said {
		text += ", " + presence(f.Required)
	}
	if f.PII {
		text += ", [PII]"
	}
	return text
}

// WriteText writes the report for people.
func (r *Report) WriteText(to io.Writer) error {
	var out strings.Builder
	line := func(title, about, text, source string) {
		fmt.Fprintf(&out, "%-16s %s", title, strings.TrimSpace(about))
		if text != "" {
			out.WriteString(": " + text)
		}
		if source != "" {
			out.WriteString("  (" + source + ")")
		}
		out.WriteByte('\n')
	}
	for _, d := range r.Differences {
		text := d.Before + d.After
		if d.Before != "" && d.After != "" {
			text = d.Before + " -> " + d.After
		}
		line(strings.ReplaceAll(string(d.Change), "_", " "), d.EventType+" "+d.Field, text, d.Source)
	}
	for _, list := range []struct {
		title string
		notes []Note
	}{{"contradiction", r.Contradictions}, {"unread", r.Unread}, {"undecided", r.Undecided}} {
		for _, n := range list.notes {
			line(list.title, n.EventType+" "+n.Field, n.Text, n.Source)
		}
	}
	fmt.Fprintf(&out, "%s from %s; %s in %s, %s\n", count(len(r.Differences), "difference"), r.Glossary,
		count(r.Types, "event type"), count(r.Files[Page], "page"), count(r.Files[Sample], "sample"))
	_, err := io.WriteString(to, out.String())
	return err
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
