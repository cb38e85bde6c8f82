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

// matches says whether a message is meant.
func (f *Filter) matches(e *Event) bool {
	matched := true
	f.each(e, func(_, _, _ string, ok bool) bool {
		matched = ok
		return ok
	})
	return matched
}

// each visits what the filter asks for: the field, what it is in the message,
// what is wanted, and whether that is so. It ends where visit returns false.
func (f *Filter) each(e *Event, visit func(field, is, want string, ok bool) bool) {
	for _, c := range [...]struct{ field, is, want string }{
		{"source", e.Source, f.Source},
		{"type", e.Type, f.Type},
		{"event", e.Name, f.Event},
		{"userId", e.UserID, f.UserID},
		{"anonymousId", e.AnonymousID, f.AnonymousID},
		{"messageId", e.MessageID, f.MessageID},
		{"X-Test-ID", e.TestID, f.TestID},
	} {
		if c.want != "" && !visit(c.field, c.is, c.want, c.is == c.want) {
			return
		}
	}
	f.eachOther(e, visit)
}

// eachOther visits what is more than a comparison of two texts.
func (f *Filter) eachOther(e *Event, visit func(field, is, want string, ok bool) bool) {
	const clock = "15:04:05.000"
	switch {
	case !f.Since.IsZero() && !visit("received", e.ReceivedAt.Format(clock), "since "+f.Since.Format(clock), !e.ReceivedAt.Before(f.Since)):
	case !f.Until.IsZero() && !visit("received", e.ReceivedAt.Format(clock), "before "+f.Until.Format(clock), e.ReceivedAt.Before(f.Until)):
	case f.Text != "" && !visit("text", shorten(e.Raw), f.Text, strings.Contains(e.Raw, f.Text)):
	case f.Rule != "" && !visit("rule", rules(e), f.Rule, e.breaks(f.Rule)):
	case f.OnlyValid && !visit("verdict", e.verdict(), "valid", e.Judged && e.Valid):
	case f.OnlyInvalid && !visit("verdict", e.verdict(), "invalid", e.Judged && !e.Valid):
	case f.Match != nil && !visit("Match", "false", "true", f.Match(*e)):
	}
}

// String says what the filter asks for.
func (f Filter) String() string {
	var parts []string
	f.each(&Event{}, func(field, _, want string, _ bool) bool {
		parts = append(parts, fmt.Sprintf("%s %q", field, want))
		return true
	})
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
