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
	Source string // the write key of a source
	Type   string // the message's type, such as track
	Event  string // the message's event, for a track call its name
	// UserID, AnonymousID and MessageID are the message's ids as text.
	UserID, AnonymousID, MessageID string
	// TestID is the X-Test-ID header of the message's request, by which tests that
	// share a server find their own messages.
	TestID string
	// Since and Until bound the time of receipt: at or after Since, before Until.
	Since, Until time.Time
	Text         string // a part of the raw text of the message
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

func (all conditions) failed(e *Event) conditions {
	return slices.DeleteFunc(slices.Clone(all), func(c condition) bool { return c.holds(e) })
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

// param is a parameter of the query API.
type param struct {
	want string                  // what a value is, for errors
	set  func(value string) bool // not ok for another value
}

func textParam(to *string) param {
	return param{set: func(value string) bool {
		*to = value
		return true
	}}
}

// choiceParam tells the second of two values from the first.
func choiceParam(to *bool, first, second string) param {
	return param{second + " or " + first, func(value string) bool {
		*to = value == second
		return *to || value == first
	}}
}

// valueParam parses a value, which must fit.
func valueParam[T any](to *T, want string, parse func(string) (T, error), fits func(T) bool) param {
	return param{want, func(value string) bool {
		got, err := parse(value)
		*to = got
		return err == nil && fits(got)
	}}
}

func numberParam(to *int, low, high int) param {
	return valueParam(to, fmt.Sprintf("a whole number from %d to %d", low, high), strconv.Atoi, func(n int) bool { return n >= low && n <= high })
}

func cursorParam(to *uint64, lowest uint64) param {
	parse := func(value string) (uint64, error) { return strconv.ParseUint(value, 10, 64) }
	return valueParam(to, "a cursor from next", parse, func(cursor uint64) bool { return cursor >= lowest })
}

// timeParam reads a time. A + that is not escaped in the query arrives as a space.
func timeParam(to *time.Time) param {
	parse := func(value string) (time.Time, error) {
		return time.Parse(time.RFC3339Nano, strings.ReplaceAll(value, " ", "+"))
	}
	return valueParam(to, "a time such as 2026-11-25T04:15:00Z", parse, func(time.Time) bool { return true })
}

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

// filterParams are the parameters that make a Filter.
func (q *search) filterParams() map[string]param {
	f := &q.filter
	valid := choiceParam(&f.OnlyValid, "false", "true")
	return map[string]param{
		"type": textParam(&f.Type), "event": textParam(&f.Event), "source": textParam(&f.Source),
		"userId": textParam(&f.UserID), "anonymousId": textParam(&f.AnonymousID), "messageId": textParam(&f.MessageID),
		"q": textParam(&f.Text), "test": textParam(&f.TestID), "rule": textParam(&f.Rule),
		"since": timeParam(&f.Since), "until": timeParam(&f.Until),
		"valid": {valid.want, func(value string) bool {
			ok := valid.set(value)
			f.OnlyInvalid = !f.OnlyValid
			return ok
		}},
	}
}

func (q *search) params() map[string]param {
	all := q.filterParams()
	all["after"], all["before"] = cursorParam(&q.after, 0), cursorParam(&q.before, 1)
	all["order"], all["summary"] = choiceParam(&q.newestFirst, "asc", "desc"), choiceParam(&q.summaries, "0", "1")
	all["limit"], all["count"] = numberParam(&q.limit, 0, maxLimit), numberParam(&q.count, 1, 1<<40)
	all["wait"] = valueParam(&q.wait, fmt.Sprintf("a duration such as 5s, up to %s", maxWait), time.ParseDuration,
		func(wait time.Duration) bool { return wait >= 0 && wait <= maxWait })
	return all
}

func listParams() []string { return slices.Sorted(maps.Keys(new(search).params())) }

func streamParams() []string {
	return append(slices.Sorted(maps.Keys(new(search).filterParams())), "after")
}

// parseSearch reads a query whose parameters are known ones. An empty value is none.
func parseSearch(values url.Values) (search, error) {
	q := search{count: 1}
	params := q.params()
	for name, all := range values {
		if p := params[name]; all[0] != "" && !p.set(all[0]) {
			return q, fmt.Errorf("%s must be %s, not %q", name, p.want, all[0])
		}
	}
	if values.Get("limit") == "" {
		q.limit = min(max(defaultLimit, q.count), maxLimit)
	}
	return q, nil
}
