package audit

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/currentsbridge/currentsbridge/internal/storageexport"
	"github.com/currentsbridge/currentsbridge/mockrudder/check"
	"github.com/currentsbridge/currentsbridge/mockrudder/internal/gateway"
)

// What is what happens to an event or one of its fields.
type What string

// What RudderStack's Braze source does to events and fields.
const (
	Refused What = "refused" // the whole request is refused because of it
	Dropped What = "dropped" // the event is not stored, and the request gets 200
	Lost    What = "lost"    // the field is not stored
	Moved   What = "moved"   // the field is elsewhere in the message
	Rounded What = "rounded" // a number has lost precision
	Changed What = "changed" // the value is different
)

// maxFindings is how many kinds of findings are listed separately.
const maxFindings = 10_000

// Report is the result of an audit. Total is the sum of the other counts of events.
type Report struct {
	Requests struct {
		Total   int `json:"total"`
		Refused int `json:"refused"`
	} `json:"requests"`
	Events struct {
		Total     int `json:"total"`
		Unchanged int `json:"unchanged"`
		Changed   int `json:"changed"`
		Dropped   int `json:"dropped"`
		// Refused are events because of which a request is refused, RefusedBeside
		// the others of such a request.
		Refused       int `json:"refused"`
		RefusedBeside int `json:"refused_beside"`
	} `json:"events"`
	// Lines counts the lines that were read. Each place with malformed JSON counts as
	// a request of one event that is refused.
	Lines     check.Lines                `json:"lines"`
	Exported  map[storageexport.Form]int `json:"storage_exports,omitempty"` // records of storage exports, by their form
	Findings  []Finding                  `json:"findings"`
	Unread    []string                   `json:"unread"`              // errors about what could not be read to its end
	NotListed int                        `json:"findings_not_listed"` // findings of kinds that are not listed, as there are too many
}

// Finding is one kind of change to one property of one event type.
type Finding struct {
	EventType string  `json:"event_type"` // empty: the finding is about a request, or there is no type
	Property  string  `json:"property"`   // such as properties.a.b or user.locale; empty: the whole event
	What      What    `json:"what"`
	Detail    string  `json:"detail"`
	Events    int     `json:"events"`
	Example   Example `json:"example"`
}

// Example is the first event with a finding.
type Example struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Before string `json:"before,omitempty"` // the value that was sent, as JSON
	After  string `json:"after,omitempty"`  // the value that would be stored; empty: none
}

type findingKey struct {
	eventType, property, detail string
	what                        What
}

// Harmless says whether everything would be stored unchanged.
func (r Report) Harmless() bool { return len(r.Findings) == 0 }

func (a *Auditor) note(eventType string, f Finding, e event) {
	k := findingKey{eventType, f.Property, f.Detail, f.What}
	i, known := a.index[k]
	if !known {
		if len(a.report.Findings) == maxFindings {
			a.report.NotListed++
			return
		}
		i = len(a.report.Findings)
		a.index[k] = i
		f.EventType = eventType
		f.Example = Example{File: a.file, Line: e.line, Before: gateway.Shorten(f.Example.Before), After: gateway.Shorten(f.Example.After)}
		a.report.Findings = append(a.report.Findings, f)
	}
	a.report.Findings[i].Events++
}

// sorted returns the report with the findings sorted by event type, and for one type
// the most frequent first.
func (r Report) sorted() Report {
	r.Findings = slices.Clone(r.Findings)
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.EventType, b.EventType), cmp.Compare(b.Events, a.Events),
			cmp.Compare(a.Property, b.Property), cmp.Compare(a.What, b.What))
	})
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	r.Unread = append([]string{}, r.Unread...)
	return r
}

// WriteJSON writes the report as one JSON document.
func (r Report) WriteJSON(w io.Writer) error {
	_, err := fmt.Fprintln(w, encode(r))
	return err
}

// WriteText writes the report as a table for people.
func (r Report) WriteText(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(r.Findings) > 0 {
		fmt.Fprintln(table, "EVENT TYPE\tPROPERTY\tWHAT\tEVENTS\tDETAIL\tEXAMPLE")
	}
	for _, f := range r.Findings {
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\n", cmp.Or(f.EventType, "(none)"), cmp.Or(f.Property, "(the event)"), f.What, f.Events, f.Detail, f.Example)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if r.NotListed > 0 {
		fmt.Fprintf(w, "and %d more findings of other kinds\n", r.NotListed)
	}
	_, err := fmt.Fprintln(w, r.summary())
	return err
}

func (e Example) String() string {
	text := fmt.Sprintf("%s:%d", e.File, e.Line)
	if e.Before != "" {
		text += " " + e.Before
	}
	if e.After != "" {
		text += " → " + e.After
	}
	return text
}

// summary is the counts as text.
func (r Report) summary() string {
	e := r.Events
	return fmt.Sprintf("%d requests, %d of them refused; %d events: %d unchanged, %d changed, %d dropped without a word, %d refused, and %d refused because of a neighbour%s; read %d of %d lines",
		r.Requests.Total, r.Requests.Refused, e.Total, e.Unchanged, e.Changed, e.Dropped, e.Refused, e.RefusedBeside, check.Taken(r.Exported), r.Lines.Read, r.Lines.Total)
}
