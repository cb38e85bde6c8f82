package delivery

import (
	"container/heap"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var soak = flag.Bool("soak", false, "thousands of seeds instead of a few")

// place names an event of a simulation.
type place struct {
	seq   uint64
	index int
}

// answer is what a simulated destination says, and after how long. took without a
// status is a request without an answer.
type simAnswer struct {
	status int
	own    bool
	took   time.Duration
	after  time.Duration // Retry-After
}

// destination answers a request of these events at a time since the beginning.
type destination func(events []event, now time.Duration, random *rand.Rand) simAnswer

// arrival is one batch of events.
type arrival struct {
	at     time.Duration
	events int
}

// simulation drives the scheduler and the evidence as a Sender does, in time that
// costs nothing.
type simulation struct {
	dest     destination
	arrivals []arrival
	places   int
	size     int
	giveUp   time.Duration
	until    time.Duration
	seed     uint64

	now       time.Duration
	sched     *scheduler
	random    *rand.Rand
	pending   [][]event
	flights   flights
	born      map[place]time.Duration
	delivered map[place]time.Duration
	dead      map[place]time.Duration
	requests  int
	probes    int
	mostHeld  int
}

type flight struct {
	end, began time.Duration
	n          int
	request    *request
	answer     simAnswer
}

type flights []flight

func (f flights) Len() int { return len(f) }
func (f flights) Less(i, j int) bool {
	return f[i].end < f[j].end || f[i].end == f[j].end && f[i].n < f[j].n
}
func (f flights) Swap(i, j int) { f[i], f[j] = f[j], f[i] }
func (f *flights) Push(x any)   { *f = append(*f, x.(flight)) }
func (f *flights) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}

// simStart is the instant at which a simulation begins.
func simStart() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

func (s *simulation) clock() time.Time { return simStart().Add(s.now) }

// run simulates until nothing is left to do, or the time is over.
func (s *simulation) run() *simulation {
	if s.places == 0 {
		s.places = 4
	}
	if s.size == 0 {
		s.size = 100
	}
	if s.giveUp == 0 {
		s.giveUp = time.Hour
	}
	if s.until == 0 {
		s.until = 20000 * time.Second
	}
	s.random = rand.New(rand.NewPCG(s.seed, 17))
	s.born, s.delivered, s.dead = map[place]time.Duration{}, map[place]time.Duration{}, map[place]time.Duration{}
	s.sched = newScheduler(newEvidence(Config{
		MinBackoff: 500 * time.Millisecond, MaxBackoff: 30 * time.Second, MaxEvents: s.size, Random: s.random.Float64,
	}, s.clock()), s.places, s.giveUp)
	next := 0
	for s.now < s.until {
		for next < len(s.arrivals) && s.arrivals[next].at <= s.now {
			s.arrive(uint64(next), s.arrivals[next])
			next++
		}
		wake := s.send()
		if s.sched.idle() && len(s.pending) == 0 && next == len(s.arrivals) {
			break
		}
		at := s.until
		if len(s.flights) > 0 {
			at = min(at, s.flights[0].end)
		}
		if !wake.IsZero() {
			at = min(at, max(wake.Sub(simStart()), s.now+time.Microsecond))
		}
		if next < len(s.arrivals) {
			at = min(at, s.arrivals[next].at)
		}
		s.now = at
		for len(s.flights) > 0 && s.flights[0].end <= s.now {
			s.land(heap.Pop(&s.flights).(flight))
		}
		s.now += time.Microsecond // what begins now begins after that
	}
	return s
}

func (s *simulation) arrive(seq uint64, a arrival) {
	var list []event
	for i := range a.events {
		list = append(list, event{seq: seq, index: i, raw: []byte{}})
		s.born[place{seq, i}] = s.now
	}
	s.pending = append(s.pending, list)
}

// claim hands out events as the queue does.
func (s *simulation) claim() {
	if len(s.sched.fresh) > 0 || s.sched.events >= maxHeld {
		return
	}
	var got []event
	for len(s.pending) > 0 && (len(got) == 0 || len(got)+len(s.pending[0]) <= s.size) {
		got = append(got, s.pending[0]...)
		s.pending = s.pending[1:]
	}
	if len(got) > 0 {
		s.sched.add(got, len(got)*2 >= s.size)
	} else if s.sched.claimedAt.IsZero() {
		s.sched.claimedAt = s.clock()
	}
}

// send begins what may begin now and returns when to look again.
func (s *simulation) send() time.Time {
	for {
		s.claim()
		s.mostHeld = max(s.mostHeld, s.sched.events)
		if len(s.flights) == s.places {
			return time.Time{}
		}
		r, wake := s.sched.take(s.clock())
		if r == nil {
			return wake
		}
		s.requests++
		var a simAnswer
		if r.probe {
			s.probes++
			if a = s.dest(nil, s.now, s.random); a.status == 200 {
				a.status, a.own = 400, true
			} else {
				a.own = false
			}
		} else {
			a = s.dest(r.events, s.now, s.random)
		}
		heap.Push(&s.flights, flight{end: s.now + a.took, began: s.now, n: s.requests, request: r, answer: a})
	}
}

func (s *simulation) land(f flight) {
	o := outcome{
		kind: classify(f.answer.status, "ok", false), own: f.answer.own, status: f.answer.status,
		began: simStart().Add(f.began), ended: s.clock(), retryAfter: f.answer.after,
	}
	events := f.request.events
	switch s.sched.done(f.request, o) {
	case deliver:
		for _, e := range events {
			s.delivered[place{e.seq, e.index}] = s.now
		}
	case die:
		s.dead[place{events[0].seq, events[0].index}] = s.now
	}
}

// steady is the traffic of the model: 20,000 events in batches of 100, one every
// 0.2 s, then ten events every 5 s.
func steady() []arrival {
	var list []arrival
	for b := range 200 {
		list = append(list, arrival{time.Duration(b) * 200 * time.Millisecond, 100})
	}
	for k := range 1000 {
		list = append(list, arrival{40*time.Second + time.Duration(k)*5*time.Second, 10})
	}
	return list
}

// delays are those of good events until they were delivered, in order.
func (s *simulation) delays(bad map[place]bool) []time.Duration {
	var list []time.Duration
	for p, at := range s.delivered {
		if !bad[p] {
			list = append(list, at-s.born[p])
		}
	}
	slices.Sort(list)
	return list
}

func (s *simulation) wronglyDead(bad map[place]bool) int {
	n := 0
	for p := range s.dead {
		if !bad[p] {
			n++
		}
	}
	return n
}

// fails answers with a where a request holds a bad event, or by chance.
func fails(a simAnswer, chance float64, bad map[place]bool) destination {
	if a.took == 0 {
		a.took = 50 * time.Millisecond
	}
	return func(events []event, _ time.Duration, random *rand.Rand) simAnswer {
		if random.Float64() < chance {
			return a
		}
		for _, e := range events {
			if bad[place{e.seq, e.index}] {
				return a
			}
		}
		return simAnswer{status: 200, took: 50 * time.Millisecond}
	}
}

func TestModel(t *testing.T) {
	five := map[place]bool{}
	for _, b := range []uint64{0, 3, 9, 50, 120} {
		five[place{b, 7}] = true
	}
	tenth := map[place]bool{}
	for b := range uint64(200) {
		for i := 0; i < 100; i += 10 {
			tenth[place{b, i}] = true
		}
	}
	quick := 50 * time.Millisecond
	for _, c := range []struct {
		name  string
		dest  destination
		bad   map[place]bool
		until time.Duration
	}{
		{"403 five", fails(simAnswer{status: 403}, 0, five), five, 0},
		{"hang five", fails(simAnswer{took: 25 * time.Second}, 0, five), five, 0},
		{"400 own five", fails(simAnswer{status: 400, own: true}, 0, five), five, 0},
		{"500 1%", fails(simAnswer{status: 500}, 0.01, nil), nil, 0},
		{"500 10%", fails(simAnswer{status: 500}, 0.1, nil), nil, 0},
		{"500 33%", fails(simAnswer{status: 500}, 0.33, nil), nil, 0},
		{"500 60%", fails(simAnswer{status: 500}, 0.6, nil), nil, 0},
		{"500 33% five", fails(simAnswer{status: 500}, 0.33, five), five, 0},
		{"500 60% five", fails(simAnswer{status: 500}, 0.6, five), five, 0},
		{"500 hour", func(_ []event, now time.Duration, _ *rand.Rand) simAnswer {
			if now < time.Hour {
				return simAnswer{status: 500, took: quick}
			}
			return simAnswer{status: 200, took: quick}
		}, nil, 0},
		{"400 for all", func([]event, time.Duration, *rand.Rand) simAnswer { return simAnswer{status: 400, took: quick} }, nil, 5000 * time.Second},
		{"403 >20", func(events []event, _ time.Duration, _ *rand.Rand) simAnswer {
			if len(events) > 20 {
				return simAnswer{status: 403, took: quick}
			}
			return simAnswer{status: 200, took: quick}
		}, nil, 0},
		{"403 tenth", fails(simAnswer{status: 403}, 0, tenth), tenth, 0},
		{"400 33%", fails(simAnswer{status: 400}, 0.33, nil), nil, 0},
		{"400 60%", fails(simAnswer{status: 400}, 0.6, nil), nil, 0},
		{"400own 33%", fails(simAnswer{status: 400, own: true}, 0.33, nil), nil, 0},
		{"400own 60%", fails(simAnswer{status: 400, own: true}, 0.6, nil), nil, 0},
	} {
		for seed := range uint64(2) {
			began := time.Now()
			s := (&simulation{dest: c.dest, arrivals: steady(), until: c.until, seed: seed}).run()
			d := s.delays(c.bad)
			if len(d) == 0 {
				d = []time.Duration{0}
			}
			fmt.Printf("%-14s %d good %6d of %d p50 %6.1f p99 %6.1f max %6.1f dead %d wrong %d requests %d probes %d held %d size %d (%s)\n", c.name, seed, len(d), len(s.born)-len(c.bad),
				d[len(d)/2].Seconds(), d[len(d)*99/100].Seconds(), d[len(d)-1].Seconds(), len(s.dead), s.wronglyDead(c.bad), s.requests, s.probes, s.mostHeld, s.sched.size.size, time.Since(began).Round(time.Millisecond))
			require.Zero(t, s.wronglyDead(c.bad), c.name)
		}
	}
}
