package mockrudder

import (
	"encoding/json"
	"strconv"
	"time"
)

// ID is what the query API calls the message, which is also its cursor there:
// messages are numbered in the order in which they are stored, and a reset does
// not start anew. It is "" for an Event that no server has stored.
func (e Event) ID() string {
	if e.seq == 0 {
		return ""
	}
	return idOf(e.seq)
}

func idOf(seq uint64) string { return strconv.FormatUint(seq, 10) }

// eventJSON is an event in the query API.
type eventJSON struct {
	ID         string          `json:"id"`
	Message    json.RawMessage `json:"message"`
	Raw        string          `json:"raw"`
	Source     string          `json:"source"`
	ReceivedAt time.Time       `json:"received_at"`
	Valid      *bool           `json:"valid"`
	Errors     []Finding       `json:"errors"`
	Drift      []Finding       `json:"drift,omitempty"`
	TestID     string          `json:"test_id,omitempty"`
	Schema     []string        `json:"schema,omitempty"`
}

func (e *Event) json() eventJSON {
	errs := e.Errors
	if errs == nil {
		errs = []Finding{}
	}
	return eventJSON{
		ID: e.ID(), Message: e.Message(), Raw: e.Raw, Source: e.Source, ReceivedAt: e.ReceivedAt,
		Valid: e.valid(), Errors: errs, Drift: e.Drift, TestID: e.TestID,
	}
}

// MarshalJSON gives the shape of the query API.
func (e Event) MarshalJSON() ([]byte, error) { return marshal(e.json()) }

// valid is the verdict, nil where there is none.
func (e *Event) valid() *bool {
	if !e.Judged {
		return nil
	}
	return &e.Valid
}

// summary is what a list says of an event.
type summary struct {
	ID          string    `json:"id"`
	ReceivedAt  time.Time `json:"received_at"`
	Source      string    `json:"source"`
	Type        string    `json:"type"`
	Event       string    `json:"event"`
	UserID      string    `json:"userId"`
	AnonymousID string    `json:"anonymousId"`
	MessageID   string    `json:"messageId"`
	Valid       *bool     `json:"valid"`
	Errors      int       `json:"errors"`
	Drift       int       `json:"drift"`
	Bytes       int       `json:"bytes"` // of the raw text
	TestID      string    `json:"test_id"`
}

func (e *Event) summary() summary {
	return summary{
		ID: e.ID(), ReceivedAt: e.ReceivedAt, Source: e.Source, Type: e.Type, Event: e.Name,
		UserID: e.UserID, AnonymousID: e.AnonymousID, MessageID: e.MessageID,
		Valid: e.valid(), Errors: len(e.Errors), Drift: len(e.Drift), Bytes: len(e.Raw), TestID: e.TestID,
	}
}
