package mockrudder

import (
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/currentsbridge/currentsbridge/mockrudder/internal/gateway"
	"github.com/currentsbridge/currentsbridge/mockrudder/plan"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// Event is one message that the gateway stored, with its verdict.
type Event struct {
	Source string // the write key of the source it came in by
	// Raw is the text as received: the element of the batch, the body of a single
	// call, or the Braze event of a webhook request.
	Raw        string
	ReceivedAt time.Time // when the request was accepted
	TestID     string    // the request's header X-Test-ID, "" without it

	// Type, Name (the message's event), UserID, AnonymousID and MessageID are
	// the message's own fields as text: "" if missing or null, JSON if the value is
	// no string. MessageID is never empty.
	Type, Name, UserID, AnonymousID, MessageID string

	// Judged is false on a server without validation, which sets neither Valid nor
	// Errors.
	Judged bool
	// Valid is whether the message matches the schema of its type and, for one of a
	// webhook, whether the Braze event matches its own.
	Valid  bool
	Errors []Finding // the differences from the schemas
	// Drift are fields and event types that the glossary does not know. They do not
	// make a message invalid.
	Drift []Finding

	seq       uint64
	made      string // the message that a webhook's transformation made, before the gateway's changes
	setType   string // the type that a single call gives its message
	requestIP string
	share     int // of the bytes of the request body, of which Raw is a part
}

// Finding is one error or drift of a verdict.
type Finding struct {
	Path   string `json:"path"`   // JSON pointer (RFC 6901)
	Rule   string `json:"rule"`   // the schema's keyword, such as required or type
	Detail string `json:"detail"` // what was expected and what was found
	// In says what Path points into: "message", "event" for the Braze event of
	// a webhook request, or "plan" for the message, by the tracking plan.
	In string `json:"in"`
}

// Message returns the message as RudderStack would store it: numbers read as
// float64, keys sorted, half surrogate pairs replaced, messageId cleaned or
// made up, and receivedAt, request_ip and rudderId added. Every call makes it
// anew, as most messages are never looked at.
func (e Event) Message() json.RawMessage {
	m := e.message()
	return m.Stored(e.ReceivedAt, e.requestIP)
}

// message is the event as the gateway accepted it.
func (e *Event) message() gateway.Message {
	return gateway.Message{
		Raw: e.Raw, Made: e.made, SetType: e.setType, Type: e.Type, Event: e.Name,
		UserID: e.UserID, AnonymousID: e.AnonymousID, MessageID: e.MessageID,
	}
}

// newEvent is the opposite of message. ip is the sender's address.
func newEvent(m *gateway.Message, ip string) Event {
	if m.RequestIP != "" {
		ip = m.RequestIP
	}
	return Event{
		Raw: m.Raw, Type: m.Type, Name: m.Event, UserID: m.UserID, AnonymousID: m.AnonymousID, MessageID: m.MessageID,
		made: m.Made, setType: m.SetType, requestIP: ip,
	}
}

// ID is the id of the message in the query API, which is also its cursor there:
// messages are numbered in the order in which they are stored, and a reset does
// not restart the numbers. It is "" for an Event that no server has stored.
func (e Event) ID() string {
	if e.seq == 0 {
		return ""
	}
	return idOf(e.seq)
}

func idOf(seq uint64) string { return strconv.FormatUint(seq, 10) }

// eventJSON is an event in the query API, without its id and its message.
type eventJSON struct {
	Raw        string    `json:"raw"`
	Source     string    `json:"source"`
	ReceivedAt time.Time `json:"received_at"`
	Valid      *bool     `json:"valid"`
	Errors     []Finding `json:"errors"`
	Drift      []Finding `json:"drift,omitempty"`
	TestID     string    `json:"test_id,omitempty"`
}

// appendJSON appends the event in the shape of the query API.
func (e *Event) appendJSON(to []byte) []byte {
	rest := encode(eventJSON{
		Raw: e.Raw, Source: e.Source, ReceivedAt: e.ReceivedAt,
		Valid: e.valid(), Errors: append([]Finding{}, e.Errors...), Drift: e.Drift, TestID: e.TestID,
	})
	// encoding/json would refuse a message that is nested deeply.
	return fmt.Appendf(to, `{"id":"%s","message":%s,%s`, e.ID(), e.Message(), rest[1:])
}

// MarshalJSON gives the shape of the query API.
func (e Event) MarshalJSON() ([]byte, error) { return e.appendJSON(nil), nil }

// UnmarshalJSON reads an event as the query API shows it and as WithRecording
// writes it. Message then returns the message of the JSON; fields that the JSON
// does not have stay empty.
func (e *Event) UnmarshalJSON(text []byte) error {
	var shown struct {
		ID      uint64          `json:"id,string"`
		Message json.RawMessage `json:"message"`
		eventJSON
	}
	if err := json.Unmarshal(text, &shown); err != nil {
		return fmt.Errorf("read an event of mockrudder: %w", err)
	}
	var message map[string]json.RawMessage
	if err := json.Unmarshal(shown.Message, &message); err != nil {
		return fmt.Errorf("read the message of an event of mockrudder: %w", err)
	}
	asText := func(name string) string { return gateway.TextOf(string(message[name])) }
	*e = Event{
		Source: shown.Source, Raw: shown.Raw, ReceivedAt: shown.ReceivedAt, TestID: shown.TestID,
		Type: asText("type"), Name: asText("event"), UserID: asText("userId"),
		AnonymousID: asText("anonymousId"), MessageID: asText("messageId"),
		Judged: shown.Valid != nil, Valid: shown.Valid != nil && *shown.Valid, Errors: shown.Errors, Drift: shown.Drift,
		seq: shown.ID, made: string(shown.Message),
	}
	return nil
}

// valid is the verdict, nil where there is none.
func (e *Event) valid() *bool {
	if !e.Judged {
		return nil
	}
	return &e.Valid
}

// summary is an event in a list.
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

// encode writes JSON without HTML escapes.
func encode(value any) []byte {
	text, _ := gateway.Marshal(value)
	return text
}

// judge validates messages. It is safe for concurrent use.
type judge struct {
	validator *schemas.Validator
	plan      *plan.Plan // nil for none
	buffers   sync.Pool  // of *[]byte, for texts during validation
}

// newJudge makes a judge. A nil plan is none, a nil glossary the built-in one.
func newJudge(p *plan.Plan, g *schemas.Glossary) (*judge, error) {
	compile := schemas.NewValidator
	if g != nil {
		compile = g.Validator
	}
	validator, err := compile()
	if err != nil {
		return nil, err
	}
	return &judge{validator: validator, plan: p}, nil
}

// events validates messages. Of a webhook it validates the message that the
// transformation made, and the Braze event too.
func (j *judge) events(events []Event) {
	buffer, ok := j.buffers.Get().(*[]byte)
	if !ok {
		buffer = new([]byte)
	}
	for i := range events {
		e := &events[i]
		e.Judged, e.Valid = true, true
		m := e.message()
		*buffer = m.AppendText((*buffer)[:0])
		j.note(e, "message", j.validator.Message(*buffer))
		if j.plan != nil {
			j.note(e, "plan", j.plan.Judge(string(*buffer)))
		}
		if e.made != "" {
			*buffer = append((*buffer)[:0], e.Raw...)
			j.note(e, "event", j.validator.Event(*buffer))
		}
	}
	if cap(*buffer) <= 1<<20 {
		j.buffers.Put(buffer)
	}
}

func (j *judge) note(e *Event, in string, verdict schemas.Verdict) {
	e.Valid = e.Valid && verdict.Valid
	e.Errors = appendFindings(e.Errors, in, verdict.Errors)
	e.Drift = appendFindings(e.Drift, in, verdict.Drift)
}

func appendFindings(to []Finding, in string, found []schemas.Finding) []Finding {
	for _, f := range found {
		to = append(to, Finding{Path: f.Path, Rule: f.Rule, Detail: f.Detail, In: in})
	}
	return to
}
