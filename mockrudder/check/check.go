// Package check reads events from files and streams in several formats and validates
// each of them: Braze events by the glossary, RudderStack messages by the schemas of
// its HTTP API. It is what `mockrudder validate` runs.
//
// What it does not do: it keeps no file in memory, so it does not find duplicate
// events, and it validates the events of a request, not its size or headers.
package check

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/currentsbridge/currentsbridge/internal/jsonlex"
	"github.com/currentsbridge/currentsbridge/internal/storageexport"
	"github.com/currentsbridge/currentsbridge/mockrudder/brazesource"
	"github.com/currentsbridge/currentsbridge/mockrudder/plan"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// As says what the events of a stream are.
type As string

// The choices for As.
const (
	// Auto decides for each event, by the request body that it is in, or else by its
	// own keys.
	Auto   As = "auto"
	Braze  As = "braze"  // Braze events
	Rudder As = "rudder" // RudderStack messages
)

// Result is the verdict on one event.
type Result struct {
	File            string `json:"file"`   // the name of the stream
	Line            int    `json:"line"`   // where the event starts, from 1
	Number          int    `json:"number"` // of the event in the stream, from 1
	As              As     `json:"as"`     // Braze or Rudder
	Type            string `json:"type"`   // the event type, or the message's type and event
	ID              string `json:"id"`     // the event's id or the message's messageId, as text
	schemas.Verdict `json:"-"`
}

// Summary counts events by verdict.
type Summary struct {
	Events    int                        `json:"events"`
	Valid     int                        `json:"valid"`
	Invalid   int                        `json:"invalid"` // malformed JSON included
	Drift     int                        `json:"drift"`   // valid or not, with fields or types that the glossary does not know
	Unplanned int                        `json:"unplanned"`
	Wrapped   int                        `json:"wrapped"`                   // in log records or recordings
	Lines     Lines                      `json:"lines"`                     // of all streams
	Exported  map[storageexport.Form]int `json:"storage_exports,omitempty"` // records of storage exports, by their form
}

// Checker validates streams of events and reports the verdicts.
type Checker struct {
	AsType string // the event type of records of storage exports that do not say theirs
	// Plan is a tracking plan to validate messages by too, nil for none. Of a Braze
	// event it is the message that RudderStack's own source makes of it.
	Plan     *plan.Plan
	Glossary *schemas.Glossary // another glossary than the built-in one, nil for none

	as        As
	report    report
	validator *schemas.Validator // from the first Stream on
	exports   Exports
	summary   Summary
}

// New returns a Checker that reports to out in a format: text, json or junit. The error
// is for an As or a format that does not exist.
func New(as As, format string, out io.Writer) (*Checker, error) {
	if as != Auto && as != Braze && as != Rudder {
		return nil, fmt.Errorf("--as must be %s, %s or %s, not %q", Auto, Braze, Rudder, as)
	}
	if format != "text" && format != "json" && format != "junit" {
		return nil, fmt.Errorf("--format must be text, json or junit, not %q", format)
	}
	return &Checker{as: as, report: newReport(format, out)}, nil
}

// Stream validates every event of r, which the report calls name. The error says why
// the stream could not be read to its end; the events before are in the report.
func (c *Checker) Stream(name string, r io.Reader) (err error) {
	if c.validator == nil {
		compile := schemas.NewValidator
		if c.Glossary != nil {
			compile = c.Glossary.Validator
		}
		if c.validator, err = compile(); err != nil {
			return fmt.Errorf("compile the schemas: %w", err)
		}
	}
	c.exports.Off, c.exports.AsType, c.exports.Glossary = c.as == Rudder, c.AsType, c.Glossary
	return c.exports.Each(name, r, func(item Item) error { return c.item(name, item) })
}

// Unread adds an error to the report about what could not be read, such as one of
// Stream: without it, the report on half of a file looks like that on a whole file. A
// report as text leaves it to the caller.
func (c *Checker) Unread(err error) { c.report.unread = append(c.report.unread, err.Error()) }

// Close ends the report and returns the summary.
func (c *Checker) Close() (Summary, error) {
	c.summary.Exported, c.summary.Lines = c.exports.Records, c.exports.Lines
	return c.summary, c.report.end(c.summary)
}

// header is the fields that identify an event and its kind, as JSON, "" if missing.
type header struct {
	eventType, id                               string
	kind, event, messageID, userID, anonymousID string
	// Top-level fields of a record of Currents' storage export.
	time, brazeID, externalID string
}

// headerOf finds the header of an event, if it is an object. Of duplicate keys the
// last one counts.
func headerOf(text string) (h header) {
	if text == "" || text[0] != '{' {
		return h
	}
	w := jsonlex.Walker{Text: text}
	w.Fields(0, 0, false, h.named)
	return h
}

func (h *header) named(key string) *string {
	switch key {
	case "event_type":
		return &h.eventType
	case "id":
		return &h.id
	case "type":
		return &h.kind
	case "event":
		return &h.event
	case "messageId":
		return &h.messageID
	case "userId":
		return &h.userID
	case "anonymousId":
		return &h.anonymousID
	case "time":
		return &h.time
	case "user_id":
		return &h.brazeID
	case "external_user_id":
		return &h.externalID
	}
	return nil
}

// looksBraze and looksRudder say what kind an event is by its keys.
func (h *header) looksBraze() bool { return h.eventType != "" }
func (h *header) looksRudder() bool {
	return !h.looksBraze() && (h.kind != "" || h.messageID != "" || h.userID != "" || h.anonymousID != "")
}

// Storage says whether the item is a record of Currents' storage export as JSON: it is
// flat, and the path of its file has the event type.
func (i *Item) Storage() bool {
	return !i.looksBraze() && !i.looksRudder() && i.id != "" && i.time != "" && (i.brazeID != "" || i.externalID != "")
}

const storageRecord = "a record of Currents' storage export (flat, without event_type), not an event as Braze posts it"

func (c *Checker) item(file string, item Item) error {
	r := Result{File: file, Line: item.Line, Number: item.Number, As: c.asFor(item)}
	h := item.header
	switch {
	case item.Broken != nil:
		r.Errors = []schemas.Finding{{Rule: "invalid_json", Detail: item.Broken.Error()}}
	case item.Storage() && c.as != Rudder:
		r.ID = text(h.id)
		r.Errors = []schemas.Finding{{Rule: "storage_record", Detail: fmt.Sprintf("this is %s; %v", storageRecord, item.noEvent)}}
	case r.As == Braze:
		r.Type, r.ID = text(h.eventType), text(h.id)
		r.Verdict = c.validator.Event(item.Raw)
	default:
		r.Type, r.ID = text(h.kind), text(h.messageID)
		if event := text(h.event); event != "" {
			r.Type += " " + event
		}
		r.Verdict = c.validator.Message(item.Raw)
	}
	if c.Plan != nil && item.Broken == nil {
		c.planned(item.text, &r)
	}
	c.summary.add(r)
	if item.Wrapper != "" {
		c.summary.Wrapped++
	}
	return c.report.event(r)
}

func (s *Summary) add(r Result) {
	s.Events++
	if r.Valid {
		s.Valid++
	} else {
		s.Invalid++
	}
	unplanned := func(f schemas.Finding) bool { return f.Rule == plan.RuleUnplanned }
	if slices.ContainsFunc(r.Drift, unplanned) {
		s.Unplanned++
	}
	if slices.ContainsFunc(r.Drift, func(f schemas.Finding) bool { return !unplanned(f) }) {
		s.Drift++
	}
}

// planned adds the findings by the tracking plan. There are none for an event that
// RudderStack's source drops.
func (c *Checker) planned(message string, r *Result) {
	if r.As == Braze {
		made, err := brazesource.New().Transform(`{"events":[`+message+`]}`, 1<<30)
		if err != nil || len(made.Messages) != 1 {
			return
		}
		message = made.Messages[0].JSON
	}
	verdict := c.Plan.Judge(message)
	r.Valid = r.Valid && verdict.Valid
	for _, f := range verdict.Errors {
		f.Detail = "tracking plan: " + f.Detail
		r.Errors = append(r.Errors, f)
	}
	r.Drift = append(r.Drift, verdict.Drift...)
}

func (c *Checker) asFor(item Item) As {
	switch {
	case c.as != Auto:
		return c.as
	case item.Envelope == "batch", item.Envelope == "" && item.looksRudder():
		return Rudder
	}
	return Braze
}

// text is a JSON value for people: a string without its quotes, "" for null.
func text(raw string) string {
	switch {
	case raw == "null":
		return ""
	case strings.HasPrefix(raw, `"`):
		return jsonlex.Text(raw)
	}
	return raw
}
