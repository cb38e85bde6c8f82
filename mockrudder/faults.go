package mockrudder

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"

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

// Fault adds a fault to those in force.
func (s *Server) Fault(fault Fault) error {
	_, err := s.faults.add(fault)
	return err
}

// RemoveFault removes the fault with this id, and says whether there was one.
func (s *Server) RemoveFault(id string) bool {
	f := s.faults
	f.mu.Lock()
	defer f.mu.Unlock()
	before := len(f.list)
	f.list = slices.DeleteFunc(f.list, func(fault Fault) bool { return fault.ID == id })
	return len(f.list) < before
}

// SetFaults replaces the faults in force, and all counts start at 0; with no argument
// it removes them.
func (s *Server) SetFaults(list ...Fault) error {
	f := s.faults
	f.mu.Lock()
	defer f.mu.Unlock()
	fresh := make([]Fault, 0, len(list))
	for i, fault := range list {
		if err := f.prepare(&fault, fresh); err != nil {
			return fmt.Errorf("fault %d: %w", i+1, err)
		}
		fresh = append(fresh, fault)
	}
	f.list = fresh
	return nil
}

// Faults returns the faults in force, with how often each has hit.
func (s *Server) Faults() []Fault {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	return append([]Fault{}, s.faults.list...)
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
		rest = failing{err}
	}
	return text, struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(text), rest), body}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
