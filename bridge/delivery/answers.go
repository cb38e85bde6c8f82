package delivery

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// verdict is what the bridge makes of one answer.
type verdict uint8

const (
	retry    verdict = iota // nothing is known of the events: later again, as often as it takes
	accepted                // RudderStack has them
	misled                  // the destination is wrong, not the events: pause it
	tooLarge                // halve; an event alone is dead
	refused                 // halve; an event alone is dead
)

// noAnswer stands for a status where none came: no connection, a time-out, a
// connection closed without an answer.
const noAnswer = 0

// classify is the table of answers, whole. A status that it does not name says
// nothing certain about the events, so they are kept and sent again.
func classify(status int) verdict {
	switch {
	case status >= 200 && status <= 299:
		return accepted
	case status >= 300 && status <= 399:
		// A redirect is not followed: the write key is not for whoever it
		// points to, and a POST that is followed may arrive as a GET.
		return misled
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return misled
	case http.StatusRequestEntityTooLarge:
		return tooLarge
	case http.StatusBadRequest:
		return refused
	}
	return retry
}

// reason is the word under which an event that stands alone goes to the dead
// letters; it is empty for a verdict that kills nothing.
func (v verdict) reason() string {
	switch v {
	case tooLarge:
		return ReasonTooLarge
	case refused:
		return ReasonRefused
	}
	return ""
}

// statusClass is a status as a metric's label: "2xx" to "5xx", "none" where no
// answer came, "other" for what is no status of HTTP's classes.
func statusClass(status int) string {
	switch status / 100 {
	case 0:
		if status == noAnswer {
			return "none"
		}
	case 1:
		return "1xx"
	case 2:
		return "2xx"
	case 3:
		return "3xx"
	case 4:
		return "4xx"
	case 5:
		return "5xx"
	}
	return "other"
}

// maxRetryAfter bounds what a Retry-After may ask for. RudderStack and the
// proxies before it ask for seconds to minutes; a date that is years away by
// a mistyped setting must not silence a destination until someone restarts the
// bridge, and one try an hour burdens nobody.
const maxRetryAfter = time.Hour

// retryAfter reads a Retry-After header in both of its forms, seconds and
// HTTP-date, and returns how long to wait: 0 where there is none or it cannot
// be read, maxRetryAfter at most. A date is held against the answer's own Date
// where it has one, so that a wrong clock on one side does no harm.
func retryAfter(header http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(header.Get("Retry-After"))
	if text == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(text, 10, 63); err == nil || errors.Is(err, strconv.ErrRange) {
		if seconds > uint64(maxRetryAfter/time.Second) {
			return maxRetryAfter
		}
		return time.Duration(seconds) * time.Second
	}
	until, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	return min(max(until.Sub(now), 0), maxRetryAfter)
}
