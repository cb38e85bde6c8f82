package mockrudder

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/mockrudder/internal/gateway"
)

// Filter selects stored messages. A message must match all fields that are set; the
// zero value selects all messages.
type Filter struct {
	// Source is the write key of a source.
	Source string
	// Type is the message's type, such as track.
	Type string
	// Event is the message's event, for a track call its name.
	Event string
	// UserID, AnonymousID and MessageID are the message's ids as text.
	UserID, AnonymousID, MessageID string
	// TestID is the X-Test-ID header of the message's request, by which tests that
	// share a server find their own messages.
	TestID string
	// Since and Until bound the time of receipt: at or after Since, before Until.
	Since, Until time.Time
	// Text is a part of the raw text of the message.
	Text string
	// Rule is the rule of one of the message's findings, errors or drift, such as
	// required.
	Rule string
	// OnlyValid and OnlyInvalid select by verdict; a message without one is neither.
	OnlyValid, OnlyInvalid bool
	// Match is called last, for other conditions. It may be called more than once for
	// a message, and from many goroutines at once.
	Match func(Event) bool
}

// condition is one condition of a filter.
type condition struct {
	field, want string              // for people
	is          func(*Event) string // the field's value in a message
	holds       func(*Event) bool
}

type conditions []condition

// conditions returns the conditions of the filter, once for a whole search.
func (f Filter) conditions() (all conditions) {
	add := func(asked bool, field, want string, is func(*Event) string, holds func(*Event) bool) {
		if asked {
			all = append(all, condition{field, want, is, holds})
		}
	}
	equal := func(field, want string, is func(*Event) string) {
		add(want != "", field, want, is, func(e *Event) bool { return is(e) == want })
	}
	equal("source", f.Source, func(e *Event) string { return e.Source })
	equal("type", f.Type, func(e *Event) string { return e.Type })
	equal("event", f.Event, func(e *Event) string { return e.Name })
	equal("userId", f.UserID, func(e *Event) string { return e.UserID })
	equal("anonymousId", f.AnonymousID, func(e *Event) string { return e.AnonymousID })
	equal("messageId", f.MessageID, func(e *Event) string { return e.MessageID })
	equal(testIDHeader, f.TestID, func(e *Event) string { return e.TestID })
	const clock = "15:04:05.000"
	received := func(e *Event) string { return e.ReceivedAt.Format(clock) }
	add(!f.Since.IsZero(), "received", "since "+f.Since.Format(clock), received, func(e *Event) bool { return !e.ReceivedAt.Before(f.Since) })
	add(!f.Until.IsZero(), "received", "before "+f.Until.Format(clock), received, func(e *Event) bool { return e.ReceivedAt.Before(f.Until) })
	add(f.Text != "", "text", f.Text, func(e *Event) string { return gateway.Shorten(e.Raw) }, func(e *Event) bool { return strings.Contains(e.Raw, f.Text) })
	add(f.Rule != "", "rule", f.Rule, func(e *Event) string { return strings.Join(e.rules(), " ") }, func(e *Event) bool { return slices.Contains(e.rules(), f.Rule) })
	add(f.OnlyValid, "verdict", "valid", (*Event).verdict, func(e *Event) bool { return e.Judged && e.Valid })
	add(f.OnlyInvalid, "verdict", "invalid", (*Event).verdict, func(e *Event) bool { return e.Judged && !e.Valid })
	add(f.Match != nil, "Match", "true", func(*Event) string { return "false" }, func(e *Event) bool { return f.Match(*e) })
	return all
}

func (all conditions) match(e *Event) bool {
	return !slices.ContainsFunc(all, func(c condition) bool { return !c.holds(e) })
}

func (all conditions) failed(e *Event) (failed conditions) {
	for _, c := range all {
		if !c.holds(e) {
			failed = append(failed, c)
		}
	}
	return failed
}

// String lists the conditions of the filter.
func (f Filter) String() string {
	var parts []string
	for _, c := range f.conditions() {
		parts = append(parts, fmt.Sprintf("%s %q", c.field, c.want))
	}
	if len(parts) == 0 {
		return "any message"
	}
	return strings.Join(parts, ", ")
}

// counted says whether the filter has only conditions that the tally counts by.
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

// rules are those of the findings, each once.
func (e *Event) rules() (all []string) {
	for _, f := range slices.Concat(e.Errors, e.Drift) {
		if !slices.Contains(all, f.Rule) {
			all = append(all, f.Rule)
		}
	}
	return all
}

// Limits of a page of the query API.
const (
	defaultLimit = 1000
	maxLimit     = 100_000
	maxWait      = 10 * time.Minute
)

// texts are the text fields of a filter by their query parameters.
func (f *Filter) texts() map[string]*string {
	return map[string]*string{
		"type": &f.Type, "event": &f.Event, "userId": &f.UserID, "anonymousId": &f.AnonymousID, "messageId": &f.MessageID,
		"source": &f.Source, "q": &f.Text, "test": &f.TestID, "rule": &f.Rule,
	}
}

// filterParams are the parameters that make a Filter.
func filterParams() []string {
	return append(slices.Sorted(maps.Keys(new(Filter).texts())), "valid", "since", "until")
}

func listParams() []string {
	return append(filterParams(), "after", "before", "order", "limit", "count", "wait", "summary")
}

func streamParams() []string { return append(filterParams(), "after") }

// search is the query of a request for events.
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

// set sets one parameter. An empty value sets nothing.
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

// set sets one of filterParams.
func (f *Filter) set(name, value string) (err error) {
	switch name {
	case "valid":
		f.OnlyValid, err = choice(name, value, "false", "true")
		f.OnlyInvalid = !f.OnlyValid
	case "since":
		f.Since, err = timeOf(name, value)
	case "until":
		f.Until, err = timeOf(name, value)
	default:
		*f.texts()[name] = value
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

// timeOf reads a time. A + that is not escaped in the query arrives as a space.
func timeOf(name, value string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339Nano, strings.ReplaceAll(value, " ", "+"))
	if err != nil {
		return time.Time{}, fmt.Errorf("%s must be a time such as 2026-11-25T04:15:00Z, not %q", name, value)
	}
	return at, nil
}
