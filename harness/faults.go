package harness

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// Faults says what goes wrong during a run.
type Faults string

// The kinds of faults.
const (
	FaultsNone    Faults = "none"
	FaultsNetwork Faults = "network" // RudderStack answers badly, late or not at all
	FaultsCrash   Faults = "crash"   // the bridge is killed and started again
	FaultsAll     Faults = "all"     // both
)

func (f Faults) network() bool { return f == FaultsNetwork || f == FaultsAll }
func (f Faults) crash() bool   { return f == FaultsCrash || f == FaultsAll }

// Names of the faults that lose a response.
const (
	closedBefore = "closed before reading"
	closedAfter  = "closed after reading"
	closedStored = "closed after storing"
	hung         = "hung"
)

// lostAfterStoring says how many of the lost responses may be of requests that
// were stored: those closed after storing, and any that no fault accounts for,
// such as one after the bridge's timeout. Responses that a kill loses are not
// among lost, but the faults among them may be counted.
func lostAfterStoring(lost int64, faults map[string]int) int64 {
	other := lost - int64(faults[closedBefore]+faults[closedAfter]+faults[hung])
	return max(int64(faults[closedStored]), other)
}

// hangFor is how long a later request hangs before its connection is closed; the
// first one hangs until the bridge's timeout.
const hangFor = time.Second

// round is one pass through every fault, each for one or two requests, in this
// order. An ID is the name under which the fault is counted.
func round(mode Mode, hang time.Duration) []mockrudder.Fault {
	faults := []mockrudder.Fault{
		{ID: "429", Status: http.StatusTooManyRequests, Body: "max requests limit reached\n", Requests: 2},
		{ID: "500", Status: http.StatusInternalServerError, Requests: 2},
		{ID: "503", Status: http.StatusServiceUnavailable, Requests: 1},
		{ID: closedBefore, Close: mockrudder.Before, Requests: 1},
		{ID: closedAfter, Close: mockrudder.After, Requests: 1},
		{ID: closedStored, Close: mockrudder.Stored, Requests: 2},
		{ID: "slow", Latency: mockrudder.Duration(300 * time.Millisecond), Requests: 2}, // and not lost
	}
	if mode == ModeWebhook {
		faults = append(faults, mockrudder.Fault{ID: "transformer down", Transformer: mockrudder.TransformerDown, Requests: 1})
	}
	return append(faults, mockrudder.Fault{ID: hung, Hang: mockrudder.Duration(hang), Requests: 1})
}

// once is the fault that is injected a single time, at the start: it takes whole
// seconds.
func once() mockrudder.Fault {
	return mockrudder.Fault{ID: "429 with Retry-After", Status: http.StatusTooManyRequests, RetryAfter: 1, Requests: 1}
}

// schedule injects faults by the share of events that were delivered: a round
// before the first event, the others evenly over the run. Each fault waits for a
// request, so every fault of the first round happens in any run.
type schedule struct {
	to     *mockrudder.Server
	mode   Mode
	total  int64
	rounds int64

	mu    sync.Mutex
	armed int64
}

// newSchedule has a round for every 5000 events, four at least and fifty at most.
func newSchedule(to *mockrudder.Server, mode Mode, total int64) *schedule {
	return &schedule{to: to, mode: mode, total: total, rounds: min(50, max(4, total/5000))}
}

// begin injects what must happen in any case.
func (s *schedule) begin() error {
	s.armed = 1
	return s.arm(append([]mockrudder.Fault{once()}, round(s.mode, time.Duration(mockrudder.Forever))...))
}

// reached injects the next round once enough events were delivered for it.
func (s *schedule) reached(delivered int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.armed < s.rounds && delivered*s.rounds >= s.armed*s.total {
		s.armed++
		_ = s.arm(round(s.mode, hangFor)) // begin has shown that they are valid
	}
}

// arm injects faults; behind the name in the ID is the number of the round.
func (s *schedule) arm(list []mockrudder.Fault) error {
	for _, fault := range list {
		fault.ID = fmt.Sprintf("%s/%d", fault.ID, s.armed)
		if err := s.to.Fault(fault); err != nil {
			return fmt.Errorf("inject the fault %s: %w", fault.ID, err)
		}
	}
	return nil
}

func (s *schedule) wanted() []string {
	names := []string{once().ID}
	for _, fault := range round(s.mode, hangFor) {
		names = append(names, fault.ID)
	}
	return names
}

func (s *schedule) happened() map[string]int {
	counts := map[string]int{}
	for _, fault := range s.to.Faults() {
		if name, _, _ := strings.Cut(fault.ID, "/"); fault.Hits > 0 {
			counts[name] += fault.Hits
		}
	}
	return counts
}

// crash kills the bridge under load, by the share of events that got through: the first,
// third, … kill when enough were acknowledged, the others when enough were delivered, so
// that both ends are covered. It returns once the bridge is gone, and does not wait for
// the restart.
func (r *run) crash(acked, delivered int64) {
	if r.down.Load() {
		return
	}
	r.killsLock.Lock()
	defer r.killsLock.Unlock()
	kills := int(r.kills.Load())
	if r.down.Load() || kills >= r.config.crashes() || r.running.Err() != nil {
		return
	}
	got := acked
	if kills%2 == 1 {
		got = delivered
	}
	total := int64(r.config.Events) * 9 / 10 // some types cannot be delivered
	if got*int64(r.config.crashes()+1) < int64(kills+1)*total {
		return
	}
	r.down.Store(true)
	r.killed.Store(true)
	r.process.running.Load().Kill()
	r.kills.Add(1)
	r.restarts.Go(r.restart)
}

// restart starts the bridge again. Requests of its killed process may still be in
// flight: once their server is closed and idle, nothing more can come of them, and a
// duplicate that comes later is known to come of the kill.
func (r *run) restart() {
	r.stopRudder()
	err := await(r.running, r.watch.idle)
	if err == nil {
		r.books.Interrupt()
		r.killed.Store(false)
		err = r.startBridge()
	}
	if err != nil {
		r.stopWith(err)
		return
	}
	r.down.Store(false)
}
