package mockrudder

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Fault makes the gateway misbehave. Its parts work together: a request first
// waits for Latency, then Close, Hang or Status decide; with none of the three
// it goes on as usual. The first fault of the list that fits a request and
// whose chance strikes is the one that acts. The query API is never hit.
type Fault struct {
	// ID names the fault among those in force. A server gives one where it is
	// "".
	ID string `json:"id"`
	// Path limits the fault to one path, or with a * at its end to what begins
	// so; "" is every path.
	Path string `json:"path,omitempty"`
	// Source limits it to requests that carry this write key.
	Source string `json:"source,omitempty"`
	// Probability is the chance that a request is hit, over 0 and up to 1; 0
	// means 1.
	Probability float64 `json:"probability,omitempty"`
	// Requests ends the fault after so many hits; 0 is never.
	Requests int `json:"requests,omitempty"`

	// Latency is waited for before anything else.
	Latency Duration `json:"latency,omitempty"`
	// Status is answered instead of doing anything, with Body, and with a
	// Retry-After header of RetryAfter seconds where that is not 0.
	Status     int    `json:"status,omitempty"`
	Body       string `json:"body,omitempty"`
	RetryAfter int    `json:"retry_after,omitempty"`
	// Hang gives no answer for so long, and then closes the connection; nothing
	// is stored. A negative duration is until the client leaves.
	Hang Duration `json:"hang,omitempty"`
	// Close closes the connection without an answer.
	Close When `json:"close,omitempty"`
	// Transformer makes RudderStack's transformer fail, which only the webhook
	// needs: "down" answers 503 after a second, "hang" closes the connection
	// after 30 seconds.
	Transformer TransformerState `json:"transformer,omitempty"`

	// Hits counts how many requests the fault has struck; it is for reading.
	Hits int `json:"hits"`
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
)

// TransformerState is what is wrong with the transformer.
type TransformerState string

// The states for Fault.Transformer.
const (
	TransformerDown TransformerState = "down"
	TransformerHang TransformerState = "hang"
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

// check says what is wrong with a fault that nobody could mean.
func (f Fault) check() error {
	switch {
	case f.Probability < 0 || f.Probability > 1:
		return fmt.Errorf("probability must be between 0 and 1, not %v", f.Probability)
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("status must be between 200 and 599, not %d", f.Status)
	case f.Requests < 0:
		return fmt.Errorf("requests must not be negative: %d", f.Requests)
	case f.RetryAfter < 0:
		return fmt.Errorf("retry_after must not be negative: %d", f.RetryAfter)
	case f.Latency < 0:
		return fmt.Errorf("latency must be a duration that ends")
	case f.Close != "" && f.Close != Before && f.Close != After && f.Close != Stored:
		return fmt.Errorf("close must be %s, %s or %s, not %q", Before, After, Stored, f.Close)
	case f.Transformer != "" && f.Transformer != TransformerDown && f.Transformer != TransformerHang:
		return fmt.Errorf("transformer must be %s or %s, not %q", TransformerDown, TransformerHang, f.Transformer)
	case f.Latency == 0 && f.Status == 0 && f.Hang == 0 && f.Close == "" && f.Transformer == "":
		return fmt.Errorf("a fault needs one of status, latency, hang, close and transformer")
	case (f.Body != "" || f.RetryAfter != 0) && f.Status == 0:
		return fmt.Errorf("body and retry_after need a status")
	}
	return nil
}

func (f Fault) fits(path, key string) bool {
	if f.Source != "" && f.Source != key || f.Requests > 0 && f.Hits >= f.Requests {
		return false
	}
	if f.Transformer != "" && path != webhookPath {
		return false
	}
	if begin, wild := strings.CutSuffix(f.Path, "*"); wild {
		return strings.HasPrefix(path, begin)
	}
	return f.Path == "" || f.Path == path
}

// faults is the list in force. It is safe for concurrent use.
type faults struct {
	mu     sync.Mutex
	list   []Fault
	chance *rand.Rand
	given  int // ids given so far
}

func newFaults(seed uint64) *faults {
	return &faults{chance: rand.New(rand.NewPCG(seed, seed))}
}

// set replaces the whole list; all counts start at 0.
func (f *faults) set(list []Fault) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	fresh := make([]Fault, 0, len(list))
	for i, fault := range list {
		var err error
		if fresh, _, err = f.appended(fresh, fault); err != nil {
			return fmt.Errorf("fault %d: %w", i+1, err)
		}
	}
	f.list = fresh
	return nil
}

// add puts a fault behind the others and returns it with its id.
func (f *faults) add(fault Fault) (Fault, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list, added, err := f.appended(f.list, fault)
	if err != nil {
		return Fault{}, err
	}
	f.list = list
	return added, nil
}

func (f *faults) appended(list []Fault, fault Fault) ([]Fault, Fault, error) {
	if err := fault.check(); err != nil {
		return list, fault, err
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
		return list, fault, fmt.Errorf("there is a fault %q already", fault.ID)
	}
	fault.Hits = 0
	return append(list, fault), fault, nil
}

// remove ends one fault, and says whether there was one.
func (f *faults) remove(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := len(f.list)
	f.list = slices.DeleteFunc(f.list, func(fault Fault) bool { return fault.ID == id })
	return len(f.list) < before
}

func (f *faults) all() []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Fault{}, f.list...)
}

// strike returns the fault that hits a request, if one does, and counts it.
func (f *faults) strike(path string, key func() string) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.list) == 0 {
		return Fault{}, false
	}
	given := key()
	for i := range f.list {
		fault := &f.list[i]
		if !fault.fits(path, given) || fault.Probability > 0 && f.chance.Float64() >= fault.Probability {
			continue
		}
		fault.Hits++
		return *fault, true
	}
	return Fault{}, false
}
