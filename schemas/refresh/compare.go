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
	// Same: nothing differs, nothing is contradictory and all could be read.
	Same bool `json:"same"`
	// Glossary names the one that was compared.
	Glossary string `json:"glossary"`
	// Files counts the files that said something, by kind.
	Files map[Kind]int `json:"files"`
	// Types is how many event types they speak of.
	Types int `json:"types"`
	// Differences are sorted by event type and field.
	Differences []Difference `json:"differences"`
	// Contradictions are those between sources.
	Contradictions []Note `json:"contradictions"`
	// Unread is what could not be read.
	Unread []Note `json:"unread"`
	// Undecided is what a refresh could not decide, and what it did instead.
	Undecided []Note `json:"undecided"`
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

// merged is what all sources say of one event type together.
type merged struct {
	kind   Kind // Avro: no other source speaks of the type
	where  string
	fields map[place]*finding
}

// finding is what all sources say of one field.
type finding struct {
	fact
	kind     Kind // that the type is from
	where    string
	disputed bool // the sources contradict each other over the type
}

// Compare holds the sources against a glossary.
func Compare(g *schemas.Glossary, s *Sources) *Report {
	r, _ := compare(g, s)
	return r
}

func compare(g *schemas.Glossary, s *Sources) (*Report, map[string]*merged) {
	r := &Report{
		Glossary: g.Version(), Files: s.Files, Types: len(s.types),
		Differences: []Difference{}, Contradictions: []Note{}, Unread: append([]Note{}, s.unread...), Undecided: []Note{},
	}
	all := make(map[string]*merged)
	for _, name := range slices.Sorted(maps.Keys(s.types)) {
		m := r.merge(name, s.types[name])
		all[name] = m
		if e, known := g.Event(name); known {
			r.event(e, m)
		} else {
			r.Differences = append(r.Differences, Difference{Change: TypeAdded, EventType: name, Source: m.where,
				After: fmt.Sprintf("%d fields", len(m.fields))})
		}
	}
	// A folder with a few pages says nothing about other types; one with most types
	// is taken for complete.
	if current := g.Current(); 2*len(all) > len(current) {
		for _, name := range current {
			if all[name] == nil {
				r.Differences = append(r.Differences, Difference{Change: TypeGone, EventType: name})
			}
		}
	}
	slices.SortStableFunc(r.Differences, func(a, b Difference) int {
		return cmp.Or(strings.Compare(a.EventType, b.EventType), strings.Compare(a.Field, b.Field))
	})
	r.Same = len(r.Differences)+len(r.Contradictions)+len(r.Unread) == 0
	return r, all
}

// merge combines the claims about one event type. Avro counts only where there is no
// other source for the type; else it is compared with the others.
func (r *Report) merge(eventType string, claims []claim) *merged {
	rank := func(c claim) int { return slices.Index([]Kind{Page, Sample, Avro}, c.kind) }
	slices.SortStableFunc(claims, func(a, b claim) int { return rank(a) - rank(b) })
	m := &merged{kind: claims[0].kind, where: claims[0].where, fields: make(map[place]*finding)}
	for _, c := range claims {
		for _, at := range slices.SortedFunc(maps.Keys(c.fields), byPlace) {
			said := c.fields[at]
			have := m.fields[at]
			switch {
			case have != nil:
				r.add(eventType, at, have, said, c)
			case c.kind != Avro || m.kind == Avro:
				m.fields[at] = &finding{fact: said, kind: c.kind, where: c.where}
			}
		}
	}
	return m
}

// add compares the claim of another source about a field with what is known.
func (r *Report) add(eventType string, at place, have *finding, said fact, by claim) {
	against := func(what, one, other string) {
		r.Contradictions = append(r.Contradictions, Note{EventType: eventType, Field: at.String(), Source: have.where + ", " + by.where,
			Text: fmt.Sprintf("%s: %s in the first, %s in the second", what, one, other)})
	}
	if !agrees(have.typ, have.kind, said.typ, by.kind) {
		against("type", have.typ, said.typ)
		have.disputed = have.disputed || by.kind != Avro
	}
	if by.kind != Avro && (have.typ == "" || have.typ == "integer" && said.typ == "number" && have.kind == Sample) {
		have.typ, have.kind = said.typ, by.kind
	}
	answered := func(what string, have *answer, said, disputed answer) {
		if *have == unsaid {
			*have = said
		} else if said != unsaid && said != *have {
			against(what, have.String(), said.String())
			*have = disputed
		}
	}
	// Storage schemas require other fields than HTTP does.
	if by.kind != Avro || have.kind == Avro {
		answered("required", &have.required, said.required, unsaid)
	}
	answered("[PII]", &have.pii, said.pii, yes)
}

func (a answer) String() string { return [...]string{"not said", "no", "yes"}[a] }

// agrees says whether two sources can mean the same type. An integer in a sample may
// be the value of a number; an unknown type agrees with all.
func agrees(a string, aKind Kind, b string, bKind Kind) bool {
	return a == b || a == "" || b == "" ||
		a == "integer" && aKind == Sample && b == "number" || b == "integer" && bKind == Sample && a == "number"
}

// fits says whether a field's type in the glossary is what the sources say.
func (f *finding) fits(typ string) bool { return agrees(f.typ, f.kind, typ, "") }

func byPlace(a, b place) int { return strings.Compare(a.String(), b.String()) }

// event compares one event type.
func (r *Report) event(e *schemas.EventType, m *merged) {
	differ := func(change Change, at place, before, after, source string) {
		r.Differences = append(r.Differences, Difference{change, e.Name, at.String(), before, after, source})
	}
	known := make(map[place]*schemas.Field)
	for section, fields := range map[string][]schemas.Field{user: e.User, properties: e.Properties} {
		for i := range fields {
			known[place{section, fields[i].Name}] = &fields[i]
		}
	}
	for at, f := range m.fields {
		have := known[at]
		if have == nil {
			differ(FieldAdded, at, "", f.describe(), f.where)
			continue
		}
		if !f.fits(have.Type) && !f.disputed {
			differ(TypeChanged, at, have.Type, f.typ, f.where)
		}
		if f.required != unsaid && f.required != answerOf(have.Required) && m.kind != Avro {
			differ(RequiredChanged, at, presence(have.Required), presence(f.required == yes), f.where)
		}
		switch {
		case f.pii == yes && !have.PII:
			differ(PIIAdded, at, "not flagged", "[PII]", f.where)
		case f.pii == no && have.PII:
			differ(PIIGone, at, "[PII]", "not flagged", f.where)
		}
	}
	for at, have := range known {
		// Neither pages nor storage have the free objects.
		if m.fields[at] == nil && have.Type != "object" {
			differ(FieldGone, at, have.Type, "", m.where)
		}
	}
}

func presence(required bool) string {
	if required {
		return "required"
	}
	return "optional"
}

// describe summarizes a new field.
func (f *finding) describe() string {
	words := []string{cmp.Or(f.typ, "type not said")}
	if f.required != unsaid && f.kind != Avro {
		words = append(words, presence(f.required == yes))
	}
	if f.pii == yes {
		words = append(words, "[PII]")
	}
	return strings.Join(words, ", ")
}

// WriteText writes the report for people.
func (r *Report) WriteText(to io.Writer) error {
	var out strings.Builder
	line := func(title, eventType, field, text, source string) {
		fmt.Fprintf(&out, "%-16s %s", title, strings.TrimSpace(eventType+" "+field))
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
		line(strings.ReplaceAll(string(d.Change), "_", " "), d.EventType, d.Field, text, d.Source)
	}
	for _, list := range []struct {
		title string
		notes []Note
	}{{"contradiction", r.Contradictions}, {"unread", r.Unread}, {"undecided", r.Undecided}} {
		for _, n := range list.notes {
			line(list.title, n.EventType, n.Field, n.Text, n.Source)
		}
	}
	fmt.Fprintf(&out, "%s from %s; %s in %s, %s, %s\n", count(len(r.Differences), "difference"), r.Glossary,
		count(r.Types, "event type"), count(r.Files[Page], "page"), count(r.Files[Sample], "sample"), count(r.Files[Avro], "Avro file"))
	_, err := io.WriteString(to, out.String())
	return err
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
