package mockbraze

import (
	"math/rand/v2"
	"net/http"
	"time"
)

// Answer is what came back for one request.
type Answer struct {
	At     time.Time     `json:"at"`
	Took   time.Duration `json:"took_ns"`
	Type   string        `json:"event_type"` // empty for a probe
	Events int           `json:"events"`     // how many the request carried
	Status int           `json:"status"`     // 0 where there was no answer
	// Body is how the answer begins, at most 200 bytes. Where it repeats the
	// token or a secret of the URL, these are masked.
	Body  string `json:"body,omitempty"`
	Error string `json:"error,omitempty"` // why there was no answer
}

// verdict is what Braze makes of an answer.
type verdict uint8

const (
	accepted verdict = iota // never sent again
	isolate                 // send each event alone; one that is alone is given up
	halve                   // send smaller batches
	hold                    // wait until somebody mends it
	again                   // wait and send the same again
)

// judge is Braze's table of answers. Redirects are not followed and count as
// any other status.
func judge(a Answer) verdict {
	switch {
	case a.Status >= 200 && a.Status <= 299:
		return accepted
	case a.Status == http.StatusBadRequest:
		return isolate
	case a.Status == http.StatusRequestEntityTooLarge:
		return halve
	case a.denies():
		return hold
	default:
		return again
	}
}

// Verdict is what an answer to a probe says about the credentials.
type Verdict string

// The verdicts.
const (
	// Good credentials: the answer was 2XX, or RudderStack's 400.
	Good Verdict = "good"
	// Denied credentials: 401, 403 or 404. A launch fails.
	Denied Verdict = "denied"
	// Unsure: any other answer, or none. A launch goes through, and batches are
	// tried until they are taken.
	Unsure Verdict = "unsure"
)

// Verdict says what an answer to the probe of a Current of a kind means.
// RudderStack answers 400 to a request without events.
func (a Answer) Verdict(kind Kind) Verdict {
	switch {
	case a.denies():
		return Denied
	case judge(a) == accepted, kind == RudderStack && a.Status == http.StatusBadRequest:
		return Good
	default:
		return Unsure
	}
}

// denies says that the credentials or the endpoint are wrong.
func (a Answer) denies() bool {
	return a.Status == http.StatusUnauthorized || a.Status == http.StatusForbidden || a.Status == http.StatusNotFound
}

// wait is how long a batch waits after its n-th failed attempt.
func (b Backoff) wait(attempt int, random *rand.Rand) time.Duration {
	full := b.First
	for i := 1; i < attempt && full < b.Max; i++ {
		full *= 2
	}
	full = min(full, b.Max)
	return full/2 + time.Duration(random.Int64N(int64(full/2)+1))
}
