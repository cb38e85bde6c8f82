package mockrudder

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// UnmarshalJSON reads an event as the query API shows it and as WithRecording
// writes it. Message then returns the message as it was shown; what the JSON
// does not hold is left empty.
func (e *Event) UnmarshalJSON(text []byte) error {
	var shown eventJSON
	if err := json.Unmarshal(text, &shown); err != nil {
		return fmt.Errorf("read an event of mockrudder: %w", err)
	}
	var ids struct {
		Type        json.RawMessage `json:"type"`
		Event       json.RawMessage `json:"event"`
		UserID      json.RawMessage `json:"userId"`
		AnonymousID json.RawMessage `json:"anonymousId"`
		MessageID   json.RawMessage `json:"messageId"`
	}
	if err := json.Unmarshal(shown.Message, &ids); err != nil {
		return fmt.Errorf("read the message of an event of mockrudder: %w", err)
	}
	*e = Event{
		Source: shown.Source, Raw: shown.Raw, ReceivedAt: shown.ReceivedAt, TestID: shown.TestID,
		Type: textOf(string(ids.Type)), Name: textOf(string(ids.Event)), UserID: textOf(string(ids.UserID)),
		AnonymousID: textOf(string(ids.AnonymousID)), MessageID: textOf(string(ids.MessageID)),
		Judged: shown.Valid != nil, Errors: shown.Errors, Drift: shown.Drift,
		finished: string(shown.Message),
	}
	if shown.Valid != nil {
		e.Valid = *shown.Valid
	}
	if len(e.Errors) == 0 {
		e.Errors = nil
	}
	if shown.ID == "" {
		return nil
	}
	seq, err := strconv.ParseUint(shown.ID, 10, 64)
	if err != nil {
		return fmt.Errorf("read an event of mockrudder: its id %q is no number", shown.ID)
	}
	e.seq = seq
	return nil
}
