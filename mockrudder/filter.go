package mockrudder

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Filter says which stored messages are meant. Its zero value means all; what
// is set must match wholly, and all of it must.
type Filter struct {
	// Source is the write key of a source.
	Source string
	// Type is the message's type, such as track.
	Type string
	// Event is the message's event, for a track call its name.
	Event string
	// UserID, AnonymousID and MessageID are the message's ids as text.
	UserID, AnonymousID, MessageID string
	// TestID is the X-Test-ID header of the request that the message came in,
	// by which tests that share a server tell their messages apart.
	TestID string
	// Since and Until bound the time of receipt: at or after the one, before
	// the other.
	Since, Until time.Time
	// Text is somewhere in the raw text of the message, as it is written there.
	Text string
	// Rule is the rule of one of the message's findings, of an error or of
	// drift, such as required.
	Rule string
	// OnlyValid and OnlyInvalid choose by verdict; a message that was not
	// judged is neither.
	OnlyValid, OnlyInvalid bool
	// Match is asked last, for what the other fields cannot say. It may be
	// called more than once for a message, and from many goroutines at once.
	Match func(Event) bool
}

// condition is one of the things that a filter can ask for.
type condition int

const (
	bySource condition = iota
	byType
	byEvent
	byUserID
	byAnonymousID
	byMessageID
	byTestID
	bySince
	byUntil
	byText
	byRule
	byValid
	byInvalid
	byMatch
	conditions // how many there are
)

// matches says whether a message is meant.
func (f *Filter) matches(e *Event) bool {
	for c := range conditions {
		if f.differs(c, e) {
			return false
		}
	}
	return true
}

// differs says whether a condition is asked for and not so.
func (f *Filter) differs(c condition, e *Event) bool {
	switch c {
	case bySince:
		return !f.Since.IsZero() && e.ReceivedAt.Before(f.Since)
	case byUntil:
		return !f.Until.IsZero() && !e.ReceivedAt.Before(f.Until)
	case byText:
		return f.Text != "" && !strings.Contains(e.Raw, f.Text)
	case byRule:
		return f.Rule != "" && !e.breaks(f.Rule)
	case byValid:
		return f.OnlyValid && !(e.Judged && e.Valid)
	case byInvalid:
		return f.OnlyInvalid && (!e.Judged || e.Valid)
	case byMatch:
		return f.Match != nil && !f.Match(*e)
	}
	_, is, want := f.equal(c, e)
	return want != "" && is != want
}

// equal is a condition that two texts are the same, of which want is "" where
// it is not asked for.
func (f *Filter) equal(c condition, e *Event) (field, is, want string) {
	switch c {
	case bySource:
		return "source", e.Source, f.Source
	case byType:
		return "type", e.Type, f.Type
	case byEvent:
		return "event", e.Name, f.Event
	case byUserID:
		return "userId", e.UserID, f.UserID
	case byAnonymousID:
		return "anonymousId", e.AnonymousID, f.AnonymousID
	case byMessageID:
		return "messageId", e.MessageID, f.MessageID
	case byTestID:
		return testIDHeader, e.TestID, f.TestID
	}
	return "", "", ""
}

// words tells of a condition for people: the field, what it is in the message
// and what is wanted, "" where it is not asked for.
func (f *Filter) words(c condition, e *Event) (field, is, want string) {
	const clock = "15:04:05.000"
	switch {
	case c == bySince && !f.Since.IsZero():
		return "received", e.ReceivedAt.Format(clock), "since " + f.Since.Format(clock)
	case c == byUntil && !f.Until.IsZero():
		return "received", e.ReceivedAt.Format(clock), "before " + f.Until.Format(clock)
	case c == byText:
		return "text", shorten(e.Raw), f.Text
	case c == byRule:
		return "rule", rules(e), f.Rule
	case c == byValid && f.OnlyValid:
		return "verdict", e.verdict(), "valid"
	case c == byInvalid && f.OnlyInvalid:
		return "verdict", e.verdict(), "invalid"
	case c == byMatch && f.Match != nil:
		return "Match", "false", "true"
	}
	return f.equal(c, e)
}

// String says what the filter asks for.
func (f Filter) String() string {
	var parts []string
	for c := range conditions {
		if field, _, want := f.words(c, &Event{}); want != "" {
			parts = append(parts, fmt.Sprintf("%s %q", field, want))
		}
	}
	if len(parts) == 0 {
		return "any message"
	}
	return strings.Join(parts, ", ")
}

// counted says whether the tally can answer the filter without a look at the
// messages.
func (f *Filter) counted() bool {
	return f.UserID == "" && f.AnonymousID == "" && f.MessageID == "" && f.TestID == "" && f.Text == "" &&
		f.Rule == "" && f.Since.IsZero() && f.Until.IsZero() && f.Match == nil
}

func (e *Event) verdict() string {
	switch {
	case !e.Judged:
		return "not judged"
	case e.Valid:
		return "valid"
	}
	return "invalid"
}

// breaks says whether one of the findings is of this rule.
func (e *Event) breaks(rule string) bool {
	of := func(f Finding) bool { return f.Rule == rule }
	return slices.ContainsFunc(e.Errors, of) || slices.ContainsFunc(e.Drift, of)
}

func rules(e *Event) string {
	var all []string
	for _, f := range slices.Concat(e.Errors, e.Drift) {
		if !slices.Contains(all, f.Rule) {
			all = append(all, f.Rule)
		}
	}
	return strings.Join(all, " ")
}

// shorten cuts a text to a length that can be read in a line.
func shorten(text string) string {
	const most = 120
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
