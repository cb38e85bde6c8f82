package check

import (
	"cmp"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/currentsbridge/currentsbridge/mockrudder/plan"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// maxGroups is how many kinds of drift and types of events are counted separately, and
// how many invalid events of a type a report for JUnit lists.
const maxGroups = 1000

// report writes verdicts: as text or JSON for each event, as JUnit at the end.
type report struct {
	format string
	out    io.Writer

	unread  []string
	written int // events, as JSON
	drifts  []*driftCount
	byKey   map[[3]string]*driftCount
	more    int // drift beyond maxGroups kinds
	cases   map[string]*junitCase
}

// driftCount counts events with the same drift.
type driftCount struct {
	Type   string `json:"type"`
	Path   string `json:"path"`
	Rule   string `json:"rule"`
	Events int    `json:"events"`
	First  string `json:"first"` // FILE:LINE of the first event that has it
}

// junitSuite is a report that CI systems show as test results. It counts events.
type junitSuite struct {
	XMLName  xml.Name     `xml:"testsuite"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Cases    []*junitCase `xml:"testcase"`
	Out      string       `xml:"system-out"`
}

// junitCase is an event type, with a failure for each invalid event, or an input that
// could not be read.
type junitCase struct {
	Class    string         `xml:"classname,attr"`
	Name     string         `xml:"name,attr"`
	Failures []junitFailure `xml:"failure,omitempty"`
	Error    *junitFailure  `xml:"error,omitempty"`
	Out      string         `xml:"system-out,omitempty"`

	events, invalid int
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func newReport(format string, out io.Writer) report {
	return report{
		format: format, out: out,
		unread: []string{}, drifts: []*driftCount{}, byKey: map[[3]string]*driftCount{}, cases: map[string]*junitCase{},
	}
}

// event reports the verdict on an event.
func (p *report) event(r Result) (err error) {
	p.addDrift(r)
	switch {
	case p.format == "junit":
		p.addCase(r)
	case p.format == "text":
		_, err = io.WriteString(p.out, findings(r))
	case !r.Valid:
		before := ",\n"
		if p.written == 0 {
			before = "{\"findings\":[\n"
		}
		p.written++
		text, _ := json.Marshal(struct {
			Result
			Errors []schemas.Finding `json:"errors"`
		}{r, r.Errors})
		_, err = fmt.Fprintf(p.out, "%s%s", before, text)
	}
	return err
}

func (p *report) addDrift(r Result) {
	for _, f := range r.Drift {
		key := [3]string{r.Type, f.Path, f.Rule}
		count := p.byKey[key]
		if count == nil {
			if len(p.drifts) == maxGroups {
				p.more++
				continue
			}
			count = &driftCount{Type: r.Type, Path: f.Path, Rule: f.Rule, First: place(r)}
			p.byKey[key] = count
			p.drifts = append(p.drifts, count)
		}
		count.Events++
	}
}

func (p *report) addCase(r Result) {
	name := cmp.Or(r.Type, "(no type)")
	key := string(r.As) + " " + name
	if p.cases[key] == nil && len(p.cases) >= maxGroups {
		name = "(other types)"
		key = string(r.As) + " " + name
	}
	c := p.cases[key]
	if c == nil {
		c = &junitCase{Class: string(r.As), Name: name}
		p.cases[key] = c
	}
	c.events++
	if r.Valid {
		return
	}
	c.invalid++
	if len(c.Failures) < maxGroups {
		c.Failures = append(c.Failures, junitFailure{Message: place(r) + " is invalid", Text: findings(r)})
	}
}

func place(r Result) string { return fmt.Sprintf("%s:%d", r.File, r.Line) }

// findings are the errors of an event, a line each.
func findings(r Result) string {
	name := cmp.Or(r.Type, "(no type)")
	if r.ID != "" {
		name += " id=" + r.ID
	}
	var text strings.Builder
	for _, f := range r.Errors {
		fmt.Fprintf(&text, "%s: %s: %s: %s: %s\n", place(r), name, pointer(f.Path), f.Rule, f.Detail)
	}
	return text.String()
}

// pointer is a JSON pointer for people, as that to the whole document is "".
func pointer(path string) string { return cmp.Or(path, "(the event)") }

// end writes the rest of the report: drift and counts.
func (p *report) end(s Summary) error {
	switch p.format {
	case "text":
		return p.endText(s)
	case "junit":
		return p.endJUnit(s)
	}
	before := "\n],"
	if p.written == 0 {
		before = `{"findings":[],`
	}
	text, _ := json.Marshal(struct {
		Drift     []*driftCount `json:"drift"`
		DriftMore int           `json:"drift_not_listed"`
		Unread    []string      `json:"unread"`
		Summary   Summary       `json:"summary"`
	}{p.drifts, p.more, p.unread, s})
	_, err := fmt.Fprintf(p.out, "%s%s\n", before, text[1:])
	return err
}

func (p *report) endJUnit(s Summary) error {
	all := junitSuite{Name: "mockrudder validate", Tests: s.Events + len(p.unread), Failures: s.Invalid, Errors: len(p.unread), Out: s.text()}
	for _, key := range slices.Sorted(maps.Keys(p.cases)) {
		c := p.cases[key]
		c.Out = fmt.Sprintf("%d events, %d of them invalid", c.events, c.invalid)
		all.Cases = append(all.Cases, c)
	}
	for _, message := range p.unread {
		all.Cases = append(all.Cases, &junitCase{Class: "input", Name: "could not be read", Error: &junitFailure{Message: message}})
	}
	text, _ := xml.MarshalIndent(all, "", "  ")
	_, err := fmt.Fprintf(p.out, "%s%s\n", xml.Header, text)
	return err
}

func (p *report) endText(s Summary) error {
	var text strings.Builder
	for _, d := range p.drifts {
		what := "drift"
		if d.Rule == plan.RuleUnplanned {
			what = "unplanned"
		}
		fmt.Fprintf(&text, what+": %s: %s: %s: %d events, the first at %s\n", d.Type, pointer(d.Path), d.Rule, d.Events, d.First)
	}
	if p.more > 0 {
		fmt.Fprintf(&text, "drift: and %d more\n", p.more)
	}
	_, err := fmt.Fprintf(p.out, "%s%s\n", &text, s.text())
	return err
}

// text is the summary for people.
func (s Summary) text() string {
	text := fmt.Sprintf("%d events: %d valid, %d invalid; %d with fields or types that the glossary does not know", s.Events, s.Valid, s.Invalid, s.Drift)
	if s.Unplanned > 0 {
		text += fmt.Sprintf("; %d unplanned", s.Unplanned)
	}
	if s.Wrapped > 0 {
		text += fmt.Sprintf("; %d stood in log records", s.Wrapped)
	}
	exports := Taken(s.Exported)
	if text += exports; s.Lines.Total == 0 && exports != "" {
		return text // Avro has no lines
	}
	return fmt.Sprintf("%s; read %d of %d lines", text, s.Lines.Read, s.Lines.Total)
}
