package mockrudder

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

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
