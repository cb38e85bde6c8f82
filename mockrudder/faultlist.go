package mockrudder

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// check says what is wrong with a fault that nobody could mean.
func (f *Fault) check() error {
	switch {
	case f.Probability < 0 || f.Probability > 1:
		return fmt.Errorf("probability must be between 0 and 1, not %v", f.Probability)
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("status must be between 200 and 599, not %d", f.Status)
	case f.Latency < 0 || f.LatencyMax < 0:
		return fmt.Errorf("latency must be a duration that ends")
	case f.LatencyMax > 0 && f.LatencyMax < f.Latency:
		return fmt.Errorf("latency_max must not be less than latency")
	case f.Trickle < 0:
		return fmt.Errorf("trickle must be a duration that ends")
	case f.Nth > 0 && f.Every > 0:
		return fmt.Errorf("nth and every exclude each other")
	case !f.does():
		return fmt.Errorf("a fault needs one of status, latency, hang, close, trickle, wrong_body and transformer")
	case (f.Body != "" || f.RetryAfter != 0) && f.Status == 0:
		return fmt.Errorf("body and retry_after need a status")
	case f.Body != "" && f.WrongBody != "":
		return fmt.Errorf("body and wrong_body exclude each other")
	}
	for name, n := range map[string]int{"requests": f.Requests, "retry_after": f.RetryAfter, "nth": f.Nth, "every": f.Every} {
		if n < 0 {
			return fmt.Errorf("%s must not be negative: %d", name, n)
		}
	}
	return errors.Join(
		oneOf("close", f.Close, Before, After, Stored, Middle),
		oneOf("wrong_body", f.WrongBody, Garbage, HTMLPage, JSONError, NoBody),
		oneOf("transformer", f.Transformer, TransformerDown, TransformerHang),
	)
}

// does says whether the fault does anything at all.
func (f *Fault) does() bool {
	return f.Latency != 0 || f.LatencyMax != 0 || f.Status != 0 || f.Hang != 0 || f.Close != "" || f.Trickle != 0 ||
		f.WrongBody != "" || f.Transformer != ""
}

// oneOf refuses a value that is neither empty nor one of those.
func oneOf[T ~string](name string, value T, known ...T) error {
	if value == "" || slices.Contains(known, value) {
		return nil
	}
	return fmt.Errorf("%s must be one of %v, not %q", name, known, value)
}

// fits says whether a request with this write key is within the limits.
func (f *Fault) fits(r *http.Request, key string) bool {
	path := r.URL.Path
	switch {
	case f.Requests > 0 && f.Hits >= f.Requests,
		f.Method != "" && f.Method != r.Method,
		f.Source != "" && f.Source != key,
		f.TestID != "" && f.TestID != r.Header.Get(testIDHeader),
		f.Transformer != "" && path != webhookPath:
		return false
	}
	if begin, wild := strings.CutSuffix(f.Path, "*"); wild {
		return strings.HasPrefix(path, begin)
	}
	return f.Path == "" || f.Path == path
}

// turn says whether it is the turn of the request that was seen last.
func (f *Fault) turn() bool {
	return (f.Nth == 0 || f.seen == f.Nth) && (f.Every == 0 || f.seen%f.Every == 0)
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
	fault.Hits, fault.seen = 0, 0
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
func (f *faults) strike(r *http.Request) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.list) == 0 {
		return Fault{}, false
	}
	given, struck := anyKey(r), -1
	for i := range f.list {
		fault := &f.list[i]
		if !fault.fits(r, given) {
			continue
		}
		fault.seen++
		if struck < 0 && fault.turn() && (fault.Probability == 0 || f.chance.Float64() < fault.Probability) {
			struck = i
		}
	}
	if struck < 0 {
		return Fault{}, false
	}
	hit := &f.list[struck]
	hit.Hits++
	fault := *hit
	if spread := fault.LatencyMax - fault.Latency; spread > 0 {
		fault.Latency += Duration(f.chance.Int64N(int64(spread) + 1))
	}
	return fault, true
}
