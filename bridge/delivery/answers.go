package delivery

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// kind is what a response says by itself, before it is asked whose fault it is.
type kind uint8

const (
	accepted    kind = iota // 2XX in RudderStack's own words
	misdirected             // 2XX in other words: a page, an error in JSON
	refused                 // 400
	tooLarge                // 413
	turnedAway              // 401, 403, 404, 3XX (not followed), other 4XX
	limited                 // 429
	failed                  // 5XX and what is no status of HTTP
	unanswered              // no connection, time-out, closed without a response
)

// noAnswer stands for a status where none came.
const noAnswer = 0

// classify names the kind of a response. body is what was read of it; any2XX takes
// every 2XX for RudderStack's.
func classify(status int, body string, any2XX bool) kind {
	switch {
	case status == noAnswer:
		return unanswered
	case status >= 200 && status <= 299:
		if any2XX || strings.EqualFold(strings.TrimSpace(body), "ok") {
			return accepted
		}
		return misdirected
	case status == http.StatusBadRequest:
		return refused
	case status == http.StatusRequestEntityTooLarge:
		return tooLarge
	case status == http.StatusTooManyRequests:
		return limited
	case status >= 300 && status <= 499:
		return turnedAway
	}
	return failed
}

// inOwnWords reports whether a refusal of events is one that RudderStack's gateway
// writes: the texts of server 1.83 for 400 and 413, recorded. That of an empty batch
// is not among them: who gives it to events has not seen them.
func inOwnWords(status int, body string) bool {
	switch strings.TrimSpace(body) {
	case "request size exceeds max limit":
		return status == http.StatusRequestEntityTooLarge
	case "invalid json", "Malformed JSON in request body", "request neither has anonymousId nor userId",
		"event is not a valid rudder event", "eventList should be an array",
		"error during parsing form", "error during parsing multiform":
		return status == http.StatusBadRequest
	}
	return false
}

// EmptyBatch is what RudderStack answers, with 400, to a batch of no events and a
// good write key. No proxy does.
func EmptyBatch(mode string) string {
	if mode == Webhook {
		return "All requests in the batch failed"
	}
	return "empty batch payload"
}

// refusal reports whether the other side has refused the request, with 3XX or 4XX.
func (k kind) refusal() bool { return k == refused || k == tooLarge || k == turnedAway }

// consequences are, by kind, the reason of an event's dead letter and the name of
// a destination's state after failures of that kind.
var consequences = [...]struct{ reason, state string }{
	misdirected: {ReasonMisdirected, StateMisdirected},
	refused:     {ReasonRefused, StatePaused},
	tooLarge:    {ReasonTooLarge, StatePaused},
	turnedAway:  {ReasonRefused, StatePaused},
	limited:     {ReasonRefused, StateBackingOff}, // the reason is never used: a 429 ends no event
	failed:      {ReasonServerError, StateBackingOff},
	unanswered:  {ReasonNoAnswer, StateBackingOff},
}

// statusClass is a status as a metric's label: "2xx" to "5xx", "none" where no
// answer came, "other" for what is no status of HTTP's classes.
func statusClass(status int) string {
	switch class := status / 100; {
	case status == noAnswer:
		return "none"
	case class >= 1 && class <= 5:
		return strconv.Itoa(class) + "xx"
	}
	return "other"
}

// maxRetryAfter bounds what a Retry-After may ask for: a mistyped setting
// somewhere must not silence a destination for longer than an operator needs to
// see it, and one request in five minutes is no burden.
const maxRetryAfter = 5 * time.Minute

// retryAfter reads a Retry-After header in both of its forms, seconds and
// HTTP-date, and returns how long to wait: 0 where there is none or it cannot
// be read, maxRetryAfter at most. A date is held against the response's own Date
// where it has one, so that a wrong clock on one side does no harm.
func retryAfter(header http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(header.Get("Retry-After"))
	if text == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(text, 10, 63); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
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
