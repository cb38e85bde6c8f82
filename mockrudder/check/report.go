package check

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/currentsbridge/currentsbridge/mockrudder/internal/junit"
	"github.com/currentsbridge/currentsbridge/mockrudder/plan"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// Reporter reports verdicts.
type Reporter interface {
	// Event is called for every event, in order. An error ends the run.
	Event(Result) error
	// Unread is called for each error about what could not be read to its end, after
	// the events that could be read.
	Unread(error) error
	// End is called once, last.
	End(Summary) error
}

// maxGroups is how many kinds of drift are counted separately, and in JUnit how many
// invalid events of a type are listed.
const maxGroups = 1000

// NewReporter returns the Reporter of a format: text, json or junit. It writes to w
// for each event, but junit at the end.
func NewReporter(format string, w io.Writer) (Reporter, error) {
	switch format {
	case "text":
		return &textReport{w: w}, nil
	case "json":
		return &jsonReport{w: w, unread: unread{}, drifts: drifts{order: []*driftCount{}}}, nil
	case "junit":
		return &junitReport{w: w, cases: map[string]*junitCase{}}, nil
	}
	return nil, fmt.Errorf("--format must be text, json or junit, not %q", format)
}

// unread are the errors about what could not be read.
type unread []string

func (u *unread) Unread(err error) error {
	*u = append(*u, err.Error())
	return nil
}

// driftCount counts events with the same drift.
type driftCount struct {
	Type   string `json:"type"`
	Path   string `json:"path"`
	Rule   string `json:"rule"`
	Events int    `json:"events"`
	First  string `json:"first"` // FILE:LINE of the first event that has it
}

type drifts struct {
	order []*driftCount
	byKey map[[3]string]*driftCount
	more  int // kinds beyond maxGroups
}

func (d *drifts) add(r Result) {
	for _, f := range r.Drift {
		key := [3]string{r.Type, f.Path, f.Rule}
		count := d.byKey[key]
		if count == nil {
			if len(d.order) == maxGroups {
				d.more++
				continue
			}
			count = &driftCount{Type: r.Type, Path: f.Path, Rule: f.Rule, First: place(r)}
			if d.byKey == nil {
				d.byKey = map[[3]string]*driftCount{}
			}
			d.byKey[key] = count
			d.order = append(d.order, count)
		}
		count.Events++
	}
}

func place(r Result) string { return fmt.Sprintf("%s:%d", r.File, r.Line) }

func nameOf(r Result) string {
	name := cmp.Or(r.Type, "(no type)")
	if r.ID != "" {
		name += " id=" + r.ID
	}
	return name
}

// textReport writes a line for each finding, then the drift, then a summary.
type textReport struct {
	w io.Writer
	drifts
}

func (t *textReport) Event(r Result) error {
	t.add(r)
	_, err := io.WriteString(t.w, findings(r))
	return err
}

// findings are the errors of an event, a line each.
func findings(r Result) string {
	var text strings.Builder
	for _, f := range r.Errors {
		fmt.Fprintf(&text, "%s: %s: %s: %s: %s\n", place(r), nameOf(r), pointer(f.Path), f.Rule, f.Detail)
	}
	return text.String()
}

// pointer is a JSON pointer for people, as that to the whole document is "".
func pointer(path string) string { return cmp.Or(path, "(the event)") }

// Unread writes nothing, as the program prints the errors to standard error.
func (t *textReport) Unread(error) error { return nil }

func (t *textReport) End(s Summary) error {
	var text strings.Builder
	for _, d := range t.order {
		what := "drift"
		if d.Rule == plan.RuleUnplanned {
			what = "unplanned"
		}
		fmt.Fprintf(&text, what+": %s: %s: %s: %d events, the first at %s\n", d.Type, pointer(d.Path), d.Rule, d.Events, d.First)
	}
	if t.more > 0 {
		fmt.Fprintf(&text, "drift: and %d more\n", t.more)
	}
	_, err := fmt.Fprintf(t.w, "%s%s\n", &text, summary(s))
	return err
}

// jsonReport writes one document: the invalid events, then the drift and the counts.
type jsonReport struct {
	unread
	drifts
	w       io.Writer
	written int
}

type jsonEvent struct {
	File   string            `json:"file"`
	Line   int               `json:"line"`
	Number int               `json:"number"`
	As     As                `json:"as"`
	Type   string            `json:"type"`
	ID     string            `json:"id"`
	Errors []schemas.Finding `json:"errors"`
}

func (j *jsonReport) Event(r Result) error {
	j.add(r)
	if r.Valid {
		return nil
	}
	text, _ := json.Marshal(jsonEvent{r.File, r.Line, r.Number, r.As, r.Type, r.ID, r.Errors})
	before := ",\n"
	if j.written == 0 {
		before = "{\"findings\":[\n"
	}
	j.written++
	_, err := fmt.Fprintf(j.w, "%s%s", before, text)
	return err
}

func (j *jsonReport) End(s Summary) error {
	before := "\n],"
	if j.written == 0 {
		before = `{"findings":[],`
	}
	text, _ := json.Marshal(struct {
		Drift     []*driftCount `json:"drift"`
		DriftMore int           `json:"drift_not_listed"`
		Unread    []string      `json:"unread"`
		Summary   Summary       `json:"summary"`
	}{j.order, j.more, j.unread, s})
	_, err := fmt.Fprintf(j.w, "%s%s\n", before, text[1:])
	return err
}

// junitReport has one test case for each event type, with a failure for each invalid
// event. The counts of the suite are of events, as in the other formats.
type junitReport struct {
	unread
	w     io.Writer
	cases map[string]*junitCase
}

type junitCase struct {
	junit.Case
	events, invalid int
}

// of returns the case of a type of events.
func (j *junitReport) of(class As, name string) *junitCase {
	key := string(class) + " " + name
	if j.cases[key] == nil {
		if len(j.cases) >= maxGroups && name != otherTypes {
			return j.of(class, otherTypes)
		}
		j.cases[key] = &junitCase{Case: junit.Case{Class: string(class), Name: name}}
	}
	return j.cases[key]
}

const otherTypes = "(other types)"

func (j *junitReport) Event(r Result) error {
	c := j.of(r.As, cmp.Or(r.Type, "(no type)"))
	c.events++
	if r.Valid {
		return nil
	}
	c.invalid++
	if len(c.Failures) < maxGroups {
		c.Failures = append(c.Failures, &junit.Failure{Message: place(r) + " is invalid", Text: findings(r)})
	}
	return nil
}

func (j *junitReport) End(s Summary) error {
	all := junit.Suite{Name: "mockrudder validate", Tests: s.Events, Failures: s.Invalid, Out: summary(s)}
	for _, c := range j.cases {
		c.Out = fmt.Sprintf("%d events, %d of them invalid", c.events, c.invalid)
		all.Cases = append(all.Cases, &c.Case)
	}
	return all.Write(j.w, j.unread)
}

// summary is a Summary as text.
func summary(s Summary) string {
	text := fmt.Sprintf("%d events: %d valid, %d invalid; %d with fields or types that the glossary does not know", s.Events, s.Valid, s.Invalid, s.Drift)
	if s.Unplanned > 0 {
		text += fmt.Sprintf("; %d unplanned", s.Unplanned)
	}
	if s.Wrapped > 0 {
		text += fmt.Sprintf("; %d stood in log records", s.Wrapped)
	}
	text += s.exports
	if s.Lines.Total == 0 && s.exports != "" {
		return text // Avro has no lines
	}
	return fmt.Sprintf("%s; read %d of %d lines", text, s.Lines.Read, s.Lines.Total)
}
