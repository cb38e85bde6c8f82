package mockbraze

import "encoding/json"

// Event is one event as a Current sends it.
type Event struct {
	// Type names the queue in which the event waits. A request carries events
	// of one Type only. Where it is empty, it is read from Raw (and stays empty
	// where Raw has none).
	Type string
	// ID is the event's id, for the observers of a Current. Where it is empty,
	// it is read from Raw.
	ID string
	// Raw is the JSON text, sent as it is: whether it is an event, or JSON at
	// all, is not checked. It must not be changed once it was handed over.
	Raw []byte
}

// MaxEventBytes is the size of Raw up to which Braze sends an event at all;
// it drops larger ones ("over 900 KB") without a word.
const MaxEventBytes = 900_000

// head is what a Current needs to know of an event.
type head struct {
	Type any `json:"event_type"`
	ID   any `json:"id"`
	User struct {
		ExternalID any `json:"external_user_id"`
	} `json:"user"`
}

// complete fills in Type and ID.
func (e Event) complete() Event {
	if e.Type != "" && e.ID != "" {
		return e
	}
	var h head
	if json.Unmarshal(e.Raw, &h) != nil {
		return e
	}
	if name, ok := h.Type.(string); ok && e.Type == "" {
		e.Type = name
	}
	if id, ok := h.ID.(string); ok && e.ID == "" {
		e.ID = id
	}
	return e
}

// hasExternalID says whether the event's user has an external id.
func (e Event) hasExternalID() bool {
	var h head
	if json.Unmarshal(e.Raw, &h) != nil {
		return false
	}
	return h.User.ExternalID != nil && h.User.ExternalID != ""
}
