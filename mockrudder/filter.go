package mockrudder

// Filter says which stored messages are meant. Its zero value means all; what
// is set must match wholly, and all of it must.
type Filter struct {
	// Source is the write key of a source.
	Source string
	// Type is the message's type, such as track.
	Type string
	// Event is the message's event, for a track call its name.
	Event string
	// UserID and MessageID are the message's ids as text.
	UserID, MessageID string
	// OnlyValid and OnlyInvalid choose by verdict; a message that was not
	// judged is neither.
	OnlyValid, OnlyInvalid bool
}

func (f Filter) matches(e *Event) bool {
	return (f.Source == "" || f.Source == e.Source) &&
		(f.Type == "" || f.Type == e.Type) &&
		(f.Event == "" || f.Event == e.Name) &&
		(f.UserID == "" || f.UserID == e.UserID) &&
		(f.MessageID == "" || f.MessageID == e.MessageID) &&
		(!f.OnlyValid || e.Judged && e.Valid) &&
		(!f.OnlyInvalid || e.Judged && !e.Valid)
}

// byUser says whether the filter asks for more than the tally keeps.
func (f Filter) byUser() bool { return f.UserID != "" || f.MessageID != "" }
