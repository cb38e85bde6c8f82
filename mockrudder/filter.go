package mockrudder

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
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

// Limits of a page of the query API.
const (
	defaultLimit = 1000
	maxLimit     = 100_000
	maxWait      = 10 * time.Minute
)

// filterParams are the parameters that make a Filter.
func filterParams() []string {
	return []string{"type", "event", "userId", "anonymousId", "messageId", "source", "valid", "q", "since", "until", "test", "rule"}
}

func listParams() []string {
	return append(filterParams(), "after", "before", "order", "limit", "count", "wait", "summary")
}

func streamParams() []string { return append(filterParams(), "after") }

// search is what a request for events asks for.
type search struct {
	filter        Filter
	after, before uint64
	newestFirst   bool
	summaries     bool
	limit         int
	count         int
	wait          time.Duration
}

// parseSearch reads a query whose parameters are known ones.
func parseSearch(values url.Values) (search, error) {
	q := search{count: 1}
	for name, all := range values {
		if err := q.set(name, all[0]); err != nil {
			return q, err
		}
	}
	if values.Get("limit") == "" {
		q.limit = min(max(defaultLimit, q.count), maxLimit)
	}
	return q, nil
}

// set takes one parameter. An empty value is as good as none.
func (q *search) set(name, value string) (err error) {
	if value == "" {
		return nil
	}
	switch name {
	case "after":
		q.after, err = cursorOf(name, value)
	case "before":
		if q.before, err = cursorOf(name, value); err == nil && q.before == 0 {
			err = fmt.Errorf("before must be a cursor from next, not %q", value)
		}
	case "order":
		q.newestFirst, err = choice(name, value, "asc", "desc")
	case "limit":
		q.limit, err = numberOf(name, value, 0, maxLimit)
	case "count":
		q.count, err = numberOf(name, value, 1, 1<<40)
	case "wait":
		q.wait, err = waitOf(value)
	case "summary":
		q.summaries, err = choice(name, value, "0", "1")
	default:
		err = q.filter.set(name, value)
	}
	return err
}

// set takes one of filterParams.
func (f *Filter) set(name, value string) (err error) {
	switch name {
	case "type":
		f.Type = value
	case "event":
		f.Event = value
	case "userId":
		f.UserID = value
	case "anonymousId":
		f.AnonymousID = value
	case "messageId":
		f.MessageID = value
	case "source":
		f.Source = value
	case "test":
		f.TestID = value
	case "q":
		f.Text = value
	case "rule":
		f.Rule = value
	case "valid":
		f.OnlyValid, err = choice(name, value, "false", "true")
		f.OnlyInvalid = !f.OnlyValid
	case "since":
		f.Since, err = timeOf(name, value)
	case "until":
		f.Until, err = timeOf(name, value)
	}
	return err
}

// choice says whether a value is the second one of two.
func choice(name, value, first, second string) (bool, error) {
	if value != first && value != second {
		return false, fmt.Errorf("%s must be %s or %s, not %q", name, second, first, value)
	}
	return value == second, nil
}

func cursorOf(name, value string) (uint64, error) {
	cursor, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s must be a cursor from next, not %q", name, value)
	}
	return cursor, nil
}

func numberOf(name, value string, low, high int) (int, error) {
	if value == "" {
		return low, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("%s must be a whole number from %d to %d, not %q", name, low, high, value)
	}
	return n, nil
}

func waitOf(value string) (time.Duration, error) {
	wait, err := time.ParseDuration(value)
	if seconds, plain := strconv.ParseFloat(value, 64); plain == nil {
		wait, err = time.Duration(seconds*float64(time.Second)), nil
	}
	if err != nil || wait < 0 || wait > maxWait {
		return 0, fmt.Errorf("wait must be a duration such as 5s, up to %s, not %q", maxWait, value)
	}
	return wait, nil
}

// timeOf reads a time. A + that was not escaped in the query arrives as a space.
func timeOf(name, value string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339Nano, strings.ReplaceAll(value, " ", "+"))
	if err != nil {
		return time.Time{}, fmt.Errorf("%s must be a time such as 2026-11-25T04:15:00Z, not %q", name, value)
	}
	return at, nil
}
