package mockrudder

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/currentsbridge/currentsbridge/mockrudder/internal/gateway"
)

// faults is the list in force. It is safe for concurrent use.
type faults struct {
	mu     sync.Mutex
	list   []Fault
	chance *rand.Rand
	given  int // ids chosen so far
}

func newFaults(seed uint64) *faults {
	return &faults{chance: rand.New(rand.NewPCG(seed, seed))}
}

// add appends a fault and returns it with its id.
func (f *faults) add(fault Fault) (Fault, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.prepare(&fault, f.list)
	if err == nil {
		f.list = append(f.list, fault)
	}
	return fault, err
}

// prepare checks a fault, gives it an id that the list does not have, and resets its
// counts.
func (f *faults) prepare(fault *Fault, list []Fault) error {
	if err := fault.check(); err != nil {
		return err
	}
	taken := func(id string) bool {
		return slices.ContainsFunc(list, func(other Fault) bool { return other.ID == id })
	}
	for fault.ID == "" {
		f.given++
		if id := strconv.Itoa(f.given); !taken(id) {
			fault.ID = id
		}
	}
	if taken(fault.ID) {
		return fmt.Errorf("there is a fault %q already", fault.ID)
	}
	fault.Hits, fault.seen = 0, 0
	return nil
}

// pick returns the fault that hits a request, if one does, and counts it.
func (f *faults) pick(r *http.Request) (Fault, bool) {
	f.mu.Lock()
	reads, body := slices.ContainsFunc(f.list, func(f Fault) bool { return f.Contains != "" }), ""
	none := len(f.list) == 0
	f.mu.Unlock()
	if none {
		return Fault{}, false
	}
	if reads {
		body = peekBody(r) // without the lock: the client sends at its own pace
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	given, chosen := anyKey(r), -1
	for i := range f.list {
		fault := &f.list[i]
		if !fault.fits(r, given, body) {
			continue
		}
		fault.seen++
		if chosen < 0 && fault.turn() && (fault.Probability == 0 || f.chance.Float64() < fault.Probability) {
			chosen = i
		}
	}
	if chosen < 0 {
		return Fault{}, false
	}
	hit := &f.list[chosen]
	hit.Hits++
	fault := *hit
	if spread := fault.LatencyMax - fault.Latency; spread > 0 {
		fault.Latency += Duration(f.chance.Int64N(int64(spread) + 1))
	}
	return fault, true
}

// anyKey is the write key of a request, in the query or the header.
func anyKey(r *http.Request) string {
	key, _ := gateway.KeyOfWebhook(r)
	return key
}

// peekBody returns the uncompressed body of a request, as far as it can be
// uncompressed and up to MaxRead bytes. The request can be read again afterwards.
func peekBody(r *http.Request) string {
	received, again := buffered(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(received))
	var text bytes.Buffer
	_, _ = io.Copy(&text, io.LimitReader(gateway.Uncompressed(r), gateway.MaxRead)) // the gateway reports what is broken
	r.Body = again
	return text.String()
}

// buffered reads up to MaxRead bytes of a body, and returns one that reads the same,
// with the same error: after io.ErrUnexpectedEOF a body of net/http says io.EOF.
func buffered(body io.ReadCloser) (text []byte, again io.ReadCloser) {
	text, err := io.ReadAll(io.LimitReader(body, gateway.MaxRead+1))
	var rest io.Reader = body
	if err != nil {
		failing, w := io.Pipe()
		_ = w.CloseWithError(err)
		rest = failing
	}
	return text, struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(text), rest), body}
}

// Fault is an injected fault of the gateway. A request first waits for Latency;
// then Close, Hang or Status end it, or else it goes on as usual. WrongBody, Trickle
// and Close with Middle then change the response, be it of Status or the gateway's
// own. Of the list the first fault acts that fits the request by its limits, its
// turn and its probability. The query API has no faults.
type Fault struct {
	ID string `json:"id"` // names the fault among those in force. If it is "", the server chooses one
	// Path limits the fault to one path, or with a * at its end to all paths that
	// begin so; "" is every path.
	Path        string  `json:"path,omitempty"`
	Method      string  `json:"method,omitempty"`      // limits it to requests of this method
	Source      string  `json:"source,omitempty"`      // limits it to requests that carry this write key
	TestID      string  `json:"test_id,omitempty"`     // limits it to requests that carry this X-Test-ID header
	Contains    string  `json:"contains,omitempty"`    // limits it to requests with this text in the uncompressed body
	Probability float64 `json:"probability,omitempty"` // of hitting a request, over 0 and up to 1; 0 means 1
	// Nth hits one request, the n-th that fits the limits above since the fault is
	// in force; 0 is any. Requests that another fault hits count too.
	Nth      int `json:"nth,omitempty"`
	Every    int `json:"every,omitempty"`    // hits every n-th of them: 3 is the third, the sixth and so on
	Requests int `json:"requests,omitempty"` // ends the fault after so many hits; 0 is never

	// Latency is a wait before anything else; with LatencyMax, a random time between
	// the two.
	Latency    Duration `json:"latency,omitempty"`
	LatencyMax Duration `json:"latency_max,omitempty"`
	// Status is the response without any processing, with Body, and with a
	// Retry-After header of RetryAfter seconds if that is not 0.
	Status     int    `json:"status,omitempty"`
	Body       string `json:"body,omitempty"`
	RetryAfter int    `json:"retry_after,omitempty"`
	// Hang does not respond for this time, and then closes the connection; nothing
	// is stored. A negative duration is until the client leaves.
	Hang      Duration  `json:"hang,omitempty"`
	Close     When      `json:"close,omitempty"`      // closes the connection without a response, or within it
	Trickle   Duration  `json:"trickle,omitempty"`    // sends the body of the response in pieces over this time
	WrongBody WrongBody `json:"wrong_body,omitempty"` // replaces the response's body, under the same status
	// Transformer makes RudderStack's transformer fail, which only the webhook uses.
	Transformer TransformerState `json:"transformer,omitempty"`
	// Database makes RudderStack's database fail, which every request uses that is
	// to be stored.
	Database DatabaseState `json:"database,omitempty"`

	Hits int `json:"hits"` // how many requests the fault has hit; it is read-only

	seen int // requests that were within the limits
}

// check returns an error for a contradiction.
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

// does says whether the fault has any effect.
func (f *Fault) does() bool {
	return f.Latency != 0 || f.LatencyMax != 0 || f.Status != 0 || f.Hang != 0 || f.Close != "" || f.Trickle != 0 ||
		f.WrongBody != "" || f.Transformer != "" || f.Database != ""
}

// oneOf returns an error for a value that is neither empty nor known.
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

// turn says whether Nth and Every hit the request that was counted last.
func (f *Fault) turn() bool {
	return (f.Nth == 0 || f.seen == f.Nth) && (f.Every == 0 || f.seen%f.Every == 0)
}

// When is the moment at which a connection is closed.
type When string

// The moments for Fault.Close.
const (
	Before When = "before" // before reading the body
	After  When = "after"  // after reading the body, with nothing stored
	// Stored: after everything but the response. The sender cannot know, and its
	// retry is a duplicate.
	Stored When = "stored"
	// Middle: after the headers and half of the body of the response. The request is
	// processed as without the fault.
	Middle When = "middle"
	Reset  When = "reset" // before reading the body, by a TCP reset; without TCP, as Before
)

// WrongBody is a body that RudderStack does not send.
type WrongBody string

// The bodies for Fault.WrongBody.
const (
	Garbage   WrongBody = "garbage" // bytes that are no text
	HTMLPage  WrongBody = "html"    // the error page of a proxy
	JSONError WrongBody = "json"    // {"error":…}
	NoBody    WrongBody = "empty"
)

// TransformerState is how the transformer fails.
type TransformerState string

// The states for Fault.Transformer.
const (
	TransformerDown  TransformerState = "down"  // 503 after a second
	TransformerHang  TransformerState = "hang"  // the connection is closed after 30 seconds
	TransformerError TransformerState = "error" // 500
)

// DatabaseState is how the database fails.
type DatabaseState string

// The states for Fault.Database.
const (
	DatabaseDown   DatabaseState = "down"   // 500
	DatabaseLocked DatabaseState = "locked" // the connection is closed after 10 seconds
)

// Duration is a duration that is text such as "250ms" in JSON. JSON may also have
// milliseconds as a number, true for Forever and false for none.
type Duration time.Duration

// Forever lasts until the client leaves.
const Forever Duration = -1

// MarshalJSON gives the text, or true for Forever.
func (d Duration) MarshalJSON() ([]byte, error) {
	if d < 0 {
		return []byte("true"), nil
	}
	return json.Marshal(time.Duration(d).String())
}

// UnmarshalJSON takes "250ms", 250, true or false.
func (d *Duration) UnmarshalJSON(text []byte) error {
	var given any
	_ = json.Unmarshal(text, &given) // the decoder has checked it
	switch v := given.(type) {
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
		if span, err := time.ParseDuration(v); err == nil {
			*d = Duration(span)
			return nil
		}
	}
	return fmt.Errorf(`%s is no duration such as "250ms"`, text)
}
