package check

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/currentsbridge/currentsbridge/schemas"
)

// As says what the events of a stream are judged as.
type As string

// The choices for As.
const (
	// Auto judges each event as what it looks like: by the request body it
	// stands in, else by its own keys.
	Auto As = "auto"
	// Braze judges all as Braze events, Rudder all as RudderStack messages.
	Braze  As = "braze"
	Rudder As = "rudder"
)

// Result is the verdict on one event.
type Result struct {
	File   string // as it was named to Run
	Line   int    // where the event starts, from 1
	Number int    // its place in the file, from 1
	As     As     // Braze or Rudder
	Type   string // the event type, or the message's type and event
	ID     string // the event's id or the message's messageId, as text
	schemas.Verdict
}

// Summary counts what was judged.
type Summary struct {
	Events  int `json:"events"`
	Valid   int `json:"valid"`
	Invalid int `json:"invalid"`
	Drift   int `json:"drift"` // valid or not, with something the glossary does not know
}

// Checker judges streams of events and reports on them.
type Checker struct {
	As     As
	Report Reporter

	validator *schemas.Validator
	summary   Summary
}

// New returns a Checker. The error is for an As that does not exist.
func New(as As, report Reporter) (*Checker, error) {
	if as != Auto && as != Braze && as != Rudder {
		return nil, fmt.Errorf("--as must be %s, %s or %s, not %q", Auto, Braze, Rudder, as)
	}
	validator, err := schemas.NewValidator()
	if err != nil {
		return nil, fmt.Errorf("compile the schemas: %w", err)
	}
	return &Checker{As: as, Report: report, validator: validator}, nil
}

// Stream judges every event of r, which the report calls name. The error says
// why the stream could not be read to its end; what came before is judged.
func (c *Checker) Stream(name string, r io.Reader) error {
	if err := Each(r, func(item Item) error { return c.item(name, item) }); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// Close ends the report and returns what was counted.
func (c *Checker) Close() (Summary, error) {
	return c.summary, c.Report.End(c.summary)
}

// header is what of an event the report names.
type header struct {
	EventType json.RawMessage `json:"event_type"`
	ID        json.RawMessage `json:"id"`

	Type        json.RawMessage `json:"type"`
	Event       json.RawMessage `json:"event"`
	MessageID   json.RawMessage `json:"messageId"`
	UserID      json.RawMessage `json:"userId"`
	AnonymousID json.RawMessage `json:"anonymousId"`
}

func (c *Checker) item(file string, item Item) error {
	var h header
	_ = json.Unmarshal(item.Raw, &h) // what is no object has no header
	r := Result{File: file, Line: item.Line, Number: item.Number, As: c.asFor(item, h)}
	if r.As == Braze {
		r.Type, r.ID = text(h.EventType), text(h.ID)
		r.Verdict = c.validator.Event(item.Raw)
	} else {
		r.Type, r.ID = text(h.Type), text(h.MessageID)
		if event := text(h.Event); event != "" {
			r.Type += " " + event
		}
		r.Verdict = c.validator.Message(item.Raw)
	}
	c.summary.Events++
	if r.Valid {
		c.summary.Valid++
	} else {
		c.summary.Invalid++
	}
	if len(r.Drift) > 0 {
		c.summary.Drift++
	}
	return c.Report.Event(r)
}

func (c *Checker) asFor(item Item, h header) As {
	switch {
	case c.As != Auto:
		return c.As
	case item.Envelope == "events":
		return Braze
	case item.Envelope == "batch":
		return Rudder
	case h.EventType == nil && (h.Type != nil || h.MessageID != nil || h.UserID != nil || h.AnonymousID != nil):
		return Rudder
	}
	return Braze
}

// text is a JSON value as a person would say it: a string without its quotes.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}
