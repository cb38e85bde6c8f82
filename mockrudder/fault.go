package mockrudder

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/mockrudder/internal/gateway"
)

// Fault makes the gateway misbehave. Its parts work together: a request first
// waits for Latency, then Close, Hang or Status decide; with none of the three
// it goes on as usual. WrongBody, Trickle and Close with Middle then spoil the
// answer, be it Status or the gateway's own. The first fault of the list that
// fits a request, whose turn it is and whose chance hits is the one that
// acts. The query API is never hit.
type Fault struct {
	// ID names the fault among those in force. A server gives one where it is
	// "".
	ID string `json:"id"`
	// Path limits the fault to one path, or with a * at its end to what begins
	// so; "" is every path.
	Path string `json:"path,omitempty"`
	// Method limits it to requests of this method.
	Method string `json:"method,omitempty"`
	// Source limits it to requests that carry this write key.
	Source string `json:"source,omitempty"`
	// TestID limits it to requests that carry this X-Test-ID header.
	TestID string `json:"test_id,omitempty"`
	// Contains limits it to requests whose body, uncompressed, has this text.
	Contains string `json:"contains,omitempty"`
	// Probability is the chance that a request is hit, over 0 and up to 1; 0
	// means 1.
	Probability float64 `json:"probability,omitempty"`
	// Nth hits one request alone, the n-th that fits the limits above since the
	// fault is in force; 0 is no matter which. A request counts that another
	// fault has hit.
	Nth int `json:"nth,omitempty"`
	// Every hits each n-th of them: 3 is the third, the sixth and so on.
	Every int `json:"every,omitempty"`
	// Requests ends the fault after so many hits; 0 is never.
	Requests int `json:"requests,omitempty"`

	// Latency is waited for before anything else; with LatencyMax, a time
	// between the two, each as likely as any other.
	Latency    Duration `json:"latency,omitempty"`
	LatencyMax Duration `json:"latency_max,omitempty"`
	// Status is answered instead of doing anything, with Body, and with a
	// Retry-After header of RetryAfter seconds where that is not 0.
	Status     int    `json:"status,omitempty"`
	Body       string `json:"body,omitempty"`
	RetryAfter int    `json:"retry_after,omitempty"`
	// Hang gives no answer for so long, and then closes the connection; nothing
	// is stored. A negative duration is until the client leaves.
	Hang Duration `json:"hang,omitempty"`
	// Close closes the connection without an answer, or within it.
	Close When `json:"close,omitempty"`
	// Trickle spreads the body of the answer over so long.
	Trickle Duration `json:"trickle,omitempty"`
	// WrongBody puts something else in place of the answer's body, under the
	// same status.
	WrongBody WrongBody `json:"wrong_body,omitempty"`
	// Transformer makes RudderStack's transformer fail, which only the webhook
	// needs.
	Transformer TransformerState `json:"transformer,omitempty"`
	// Database makes RudderStack's database fail, which every request needs that
	// is to be stored.
	Database DatabaseState `json:"database,omitempty"`

	// Hits counts how many requests the fault has hit; it is for reading.
	Hits int `json:"hits"`

	seen int // requests that fitted the limits
}

// check says what is wrong with a fault that makes no sense.
func (f *Fault) check() error {
	switch {
	case f.Probability < 0 || f.Probability > 1:
		return fmt.Errorf("probability must be between 0 and 1, not %v", f.Probability)
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("status must be between 200 and 599, not %d", f.Status)
	case f.Latency < 0 || f.LatencyMax < 0:
		return errors.New("latency must be a duration that ends")
	case f.LatencyMax > 0 && f.LatencyMax < f.Latency:
		return errors.New("latency_max must not be less than latency")
	case f.Trickle < 0:
		return errors.New("trickle must be a duration that ends")
	case f.Nth > 0 && f.Every > 0:
		return errors.New("nth and every exclude each other")
	case !f.does():
		return errors.New("a fault needs one of status, latency, hang, close, trickle, wrong_body, transformer and database")
	case (f.Body != "" || f.RetryAfter != 0) && f.Status == 0:
		return errors.New("body and retry_after need a status")
	case f.Body != "" && f.WrongBody != "":
		return errors.New("body and wrong_body exclude each other")
	}
	for name, n := range map[string]int{"requests": f.Requests, "retry_after": f.RetryAfter, "nth": f.Nth, "every": f.Every} {
		if n < 0 {
			return fmt.Errorf("%s must not be negative: %d", name, n)
		}
	}
	return errors.Join(
		oneOf("close", f.Close, Before, After, Stored, Middle, Reset),
		oneOf("wrong_body", f.WrongBody, Garbage, HTMLPage, JSONError, NoBody),
		oneOf("transformer", f.Transformer, TransformerDown, TransformerHang, TransformerError),
		oneOf("database", f.Database, DatabaseDown, DatabaseLocked),
	)
}

// does says whether the fault does anything at all.
func (f *Fault) does() bool {
	return f.Latency != 0 || f.LatencyMax != 0 || f.Status != 0 || f.Hang != 0 || f.Close != "" || f.Trickle != 0 ||
		f.WrongBody != "" || f.Transformer != "" || f.Database != ""
}

// oneOf refuses a value that is neither empty nor one of those.
func oneOf[T ~string](name string, value T, known ...T) error {
	if value == "" || slices.Contains(known, value) {
		return nil
	}
	return fmt.Errorf("%s must be one of %v, not %q", name, known, value)
}

// fits says whether a request with this write key is within the limits.
func (f *Fault) fits(r *http.Request, key, body string) bool {
	path := r.URL.Path
	begin, wild := strings.CutSuffix(f.Path, "*")
	switch {
	case f.Requests > 0 && f.Hits >= f.Requests,
		f.Method != "" && f.Method != r.Method,
		f.Source != "" && f.Source != key,
		f.TestID != "" && f.TestID != r.Header.Get(testIDHeader),
		f.Transformer != "" && path != gateway.WebhookPath,
		wild && !strings.HasPrefix(path, begin),
		!wild && f.Path != "" && f.Path != path,
		f.Contains != "" && !strings.Contains(body, f.Contains):
		return false
	}
	return true
}

// turn says whether it is the turn of the request that was seen last.
func (f *Fault) turn() bool {
	return (f.Nth == 0 || f.seen == f.Nth) && (f.Every == 0 || f.seen%f.Every == 0)
}

// When says at what moment of a request a connection is closed.
type When string

// The moments for Fault.Close.
const (
	// Before reading the body.
	Before When = "before"
	// After reading the body, with nothing stored.
	After When = "after"
	// Stored: when all is done and only the answer is missing. The sender
	// cannot know, and what it sends again is a duplicate.
	Stored When = "stored"
	// Middle: after the headers and half of the body of the answer. All is done
	// then as without the fault.
	Middle When = "middle"
	// Reset: before reading the body, by a TCP reset. Where there is no TCP it is
	// Before.
	Reset When = "reset"
)

// WrongBody is something that is no answer of RudderStack.
type WrongBody string

// The bodies for Fault.WrongBody.
const (
	Garbage   WrongBody = "garbage" // bytes that are no text
	HTMLPage  WrongBody = "html"    // the error page of a proxy
	JSONError WrongBody = "json"    // {"error":…}
	NoBody    WrongBody = "empty"
)

// TransformerState is what is wrong with the transformer.
type TransformerState string

// The states for Fault.Transformer.
const (
	TransformerDown  TransformerState = gateway.TransformerDown  // 503 after a second
	TransformerHang  TransformerState = gateway.TransformerHang  // the connection is closed after 30 seconds
	TransformerError TransformerState = gateway.TransformerError // 500
)

// DatabaseState is what is wrong with the database.
type DatabaseState string

// The states for Fault.Database.
const (
	DatabaseDown   DatabaseState = gateway.DatabaseDown   // 500
	DatabaseLocked DatabaseState = gateway.DatabaseLocked // the connection is closed after 10 seconds
)

// Duration is a time span that is text such as "250ms" in JSON. JSON may also
// give milliseconds as a number, or true for what has no end.
type Duration time.Duration

// Forever is the Duration of what lasts until the client leaves.
const Forever Duration = -1

// MarshalJSON gives the text, or true for Forever.
func (d Duration) MarshalJSON() ([]byte, error) {
	if d < 0 {
		return []byte("true"), nil
	}
	return json.Marshal(time.Duration(d).String())
}

// UnmarshalJSON takes "250ms", 250 or true.
func (d *Duration) UnmarshalJSON(text []byte) error {
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return err
	}
	switch v := value.(type) {
	case bool:
		*d = 0
		if v {
			*d = Forever
		}
		return nil
	case float64:
		*d = Duration(v * float64(time.Millisecond))
		return nil
	case string:
		span, err := time.ParseDuration(v)
		if err != nil {
			return fmt.Errorf("%q is no duration such as 250ms", v)
		}
		*d = Duration(span)
		return nil
	}
	return fmt.Errorf("%s is no duration such as \"250ms\"", text)
}
