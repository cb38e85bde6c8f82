package delivery

import (
	"cmp"
	"flag"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/config"
)

var (
	soak     = flag.Bool("soak", false, "thousands of seeds instead of a few")
	soakTime = flag.Duration("soak-time", 20*time.Second, "with -soak, when no further seed is begun with a destination")
)

// place names an event of a simulation.
type place struct {
	seq   uint64
	index int
}

// simAnswer is how a simulated destination fails, and after how long. Without a
// status it gives no answer.
type simAnswer struct {
	status int
	own    bool
	took   time.Duration
}

// refusal reports whether a destination fails a request of these events at a time
// since the beginning.
type refusal func(events []event, now time.Duration, random *rand.Rand) bool

// arrival is one batch of events.
type arrival struct {
	at     time.Duration
	events int
}

// Requests of a simulation at once, their events, and the time that each takes.
const simPlaces, simSize, simTook = 4, 100, 50 * time.Millisecond

// simulation drives the scheduler and the evidence as a Sender does, in time that
// costs nothing.
type simulation struct {
	answer   simAnswer
	refuses  refusal
	arrivals []arrival
	until    time.Duration
	seed     uint64

	now       time.Duration
	sched     *scheduler
	random    *rand.Rand
	pending   [][]event
	flights   []flight
	delivered map[place]time.Duration
	dead      map[place]time.Duration
	requests  int
}

type flight struct {
	end     time.Duration
	request *request
	answer  response
}

// clock is the time of the simulation as one that a scheduler knows.
func clock(now time.Duration) time.Time {
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(now)
}

// run simulates until nothing is left to do, or the time is over.
func (s *simulation) run() *simulation {
	until := cmp.Or(s.until, 20000*time.Second)
	s.random = rand.New(rand.NewPCG(s.seed, 17))
	s.delivered, s.dead = map[place]time.Duration{}, map[place]time.Duration{}
	c := config.Connector{Backoff: config.Backoff{Min: 500 * time.Millisecond, Max: 30 * time.Second}, BatchEvents: simSize}
	s.sched = newScheduler(newEvidence(c, s.random, clock(0)), simPlaces, time.Hour)
	next := 0
	for s.now < until {
		for ; next < len(s.arrivals) && s.arrivals[next].at <= s.now; next++ {
			var list []event
			for i := range s.arrivals[next].events {
				list = append(list, event{seq: uint64(next), index: i, raw: []byte{}})
			}
			s.pending = append(s.pending, list)
		}
		wake := s.send()
		if s.sched.idle() && len(s.pending) == 0 && next == len(s.arrivals) {
			break
		}
		at := until
		for _, f := range s.flights {
			at = min(at, f.end)
		}
		if !wake.IsZero() {
			at = min(at, max(wake.Sub(clock(0)), s.now+time.Microsecond))
		}
		if next < len(s.arrivals) {
			at = min(at, s.arrivals[next].at)
		}
		s.now = at
		s.flights = slices.DeleteFunc(s.flights, s.land)
		s.now += time.Microsecond // what begins now begins after that
	}
	return s
}

// claim hands out events as the queue does.
func (s *simulation) claim() {
	if len(s.sched.fresh) > 0 || s.sched.events >= maxHeld {
		return
	}
	var got []event
	for len(s.pending) > 0 && (len(got) == 0 || len(got)+len(s.pending[0]) <= simSize) {
		got = append(got, s.pending[0]...)
		s.pending = s.pending[1:]
	}
	if len(got) > 0 {
		s.sched.add(got, len(got)*2 >= simSize)
	} else if s.sched.claimedAt.IsZero() {
		s.sched.claimedAt = clock(s.now)
	}
}

// send begins what may begin now and returns when to look again.
func (s *simulation) send() time.Time {
	for {
		s.claim()
		if len(s.flights) == simPlaces {
			return time.Time{}
		}
		r, wake := s.sched.take(clock(s.now))
		if r == nil {
			return wake
		}
		s.requests++
		a, words := simAnswer{status: 200}, "ok"
		switch refused := s.refuses(r.events, s.now, s.random); {
		case refused:
			a, words = s.answer, ""
			a.own = a.own && !r.probe
		case r.probe:
			a = simAnswer{status: 400, own: true}
		}
		s.flights = append(s.flights, flight{s.now + cmp.Or(a.took, simTook), r, response{
			kind: classify(a.status, words, false), own: a.own, status: a.status, began: clock(s.now),
		}})
	}
}

// land ends a request that is answered by now.
func (s *simulation) land(f flight) bool {
	if f.end > s.now {
		return false
	}
	f.answer.ended = clock(s.now)
	events := f.request.events
	switch s.sched.done(f.request, f.answer) {
	case deliver:
		for _, e := range events {
			s.delivered[place{e.seq, e.index}] = s.now
		}
	case die:
		s.dead[place{events[0].seq, events[0].index}] = s.now
	}
	return true
}

// delays are those of the good events until they were delivered, in order. None of
// them may be dead or pending.
func (s *simulation) delays(t *testing.T, bad map[place]bool) (list []time.Duration) {
	for seq, a := range s.arrivals {
		for i := range a.events {
			p := place{uint64(seq), i}
			at, delivered := s.delivered[p]
			if bad[p] {
				continue
			}
			if !delivered {
				require.FailNow(t, "a good event was not delivered", "seed %d, %v, dead at %v", s.seed, p, s.dead[p])
			}
			list = append(list, at-a.at)
		}
	}
	slices.Sort(list)
	return list
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

// fails refuses a request that holds a bad event, and others by chance.
func fails(chance float64, bad map[place]bool) refusal {
	return func(events []event, _ time.Duration, random *rand.Rand) bool {
		return random.Float64() < chance ||
			slices.ContainsFunc(events, func(e event) bool { return bad[place{e.seq, e.index}] })
	}
}

// places lists the events at every step-th index from first on, of batches.
func places(first, step int, batches ...uint64) map[place]bool {
	list := map[place]bool{}
	for _, b := range batches {
		for i := first; i < 100; i += step {
			list[place{b, i}] = true
		}
	}
	return list
}

// seeds are those that a simulation is run with: so many in the short form, and in
// the long one as many more as the time allows.
func seeds(t *testing.T, short, long uint64) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		began := time.Now()
		for seed := range long {
			if seed >= short && (!*soak || time.Since(began) > *soakTime) {
				t.Logf("%d seeds", seed)
				return
			}
			if !yield(seed) {
				return
			}
		}
	}
}

// Destinations with the most that good events may wait and requests may be, over a
// hundred seeds; 1,200 are needed. Where requests fail at random both differ from
// seed to seed, by a tenth and more.
func TestDestinationsOfTheModel(t *testing.T) {
	var all []uint64
	for b := range uint64(200) {
		all = append(all, b)
	}
	five, tenth := places(7, 100, 0, 3, 9, 50, 120), places(0, 10, all...)
	anHour := func(_ []event, now time.Duration, _ *rand.Rand) bool { return now < time.Hour }
	large := func(e []event, _ time.Duration, _ *rand.Rand) bool { return len(e) > 20 }
	for _, c := range []struct {
		name      string
		answer    simAnswer
		refuses   refusal
		bad       map[place]bool
		p99, most float64 // seconds
		requests  int
		dead      int // -1: not all of the bad ones need to be, yet
	}{
		{"403, five", simAnswer{status: 403}, fails(0, five), five, 2, 10, 1429, 5},
		{"no answer for 25 s, five", simAnswer{took: 25 * time.Second}, fails(0, five), five, 80, 480, 1400, 5},
		{"400 in own words, five", simAnswer{status: 400, own: true}, fails(0, five), five, 0.5, 2, 1310, 5},
		{"500, 1%", simAnswer{status: 500}, fails(0.01, nil), nil, 0.6, 3, 1230, 0},
		{"500, 10%", simAnswer{status: 500}, fails(0.1, nil), nil, 1.6, 12, 1390, 0},
		{"500, 33%", simAnswer{status: 500}, fails(0.33, nil), nil, 15, 200, 1910, 0},
		{"500, 60%", simAnswer{status: 500}, fails(0.6, nil), nil, 160, 6000, 3280, 0},
		{"500, 33%, and five", simAnswer{status: 500}, fails(0.33, five), five, 30, 600, 2950, -1},
		{"500, 60%, and five", simAnswer{status: 500}, fails(0.6, five), five, 220, 6000, 4750, -1},
		{"all 500 for an hour", simAnswer{status: 500}, anHour, nil, 3640, 3640, 830, 0},
		{"403 over 20 events", simAnswer{status: 403}, large, nil, 40, 50, 2960, 0},
		{"403, a tenth of all", simAnswer{status: 403}, fails(0, tenth), tenth, 320, 330, 51000, 2000},
	} {
		t.Run(c.name, func(t *testing.T) {
			for seed := range seeds(t, 1, 100) {
				s := (&simulation{answer: c.answer, refuses: c.refuses, arrivals: steady(), seed: seed}).run()
				d := s.delays(t, c.bad)
				p99, most := d[len(d)*99/100].Seconds(), d[len(d)-1].Seconds()
				t.Logf("seed %d: p50 %.1f, p99 %.1f, longest %.1f s; %d dead; %d requests", seed, d[len(d)/2].Seconds(), p99, most, len(s.dead), s.requests)
				require.LessOrEqual(t, p99, c.p99)
				require.LessOrEqual(t, most, c.most)
				require.LessOrEqual(t, s.requests, c.requests)
				if c.dead >= 0 {
					require.Len(t, s.dead, c.dead)
				}
			}
		})
	}
}

// kinds are the answers of a destination that fails at random.
func kinds() map[string]simAnswer {
	return map[string]simAnswer{
		"500": {status: 500}, "400": {status: 400}, "400 in own words": {status: 400, own: true}, "413": {status: 413},
		"403": {status: 403}, "429": {status: 429}, "page": {status: 204}, "hang": {took: 25 * time.Second},
	}
}

// sparse is traffic of a quiet connector: one event every few seconds, in which
// retries are most of the requests.
func sparse(n int, every time.Duration) []arrival {
	var list []arrival
	for i := range n {
		list = append(list, arrival{time.Duration(i) * every, 1 + i%3})
	}
	return list
}

// killsNothing runs a destination that fails in each way and checks that no event
// dies and all arrive.
func killsNothing(t *testing.T, variant any, long uint64, until time.Duration, refuses refusal, traffic ...[]arrival) {
	for name, answer := range kinds() {
		t.Run(fmt.Sprint(name, "/", variant), func(t *testing.T) {
			for seed := range seeds(t, 1, long) {
				for _, arrivals := range traffic {
					s := (&simulation{answer: answer, refuses: refuses, arrivals: arrivals, seed: seed, until: until}).run()
					s.delays(t, nil)
				}
			}
		})
	}
}

// No event that the destination would have taken dies, however it fails.
func TestFailingAtRandomKillsNothing(t *testing.T) {
	chances := []float64{0.05, 0.2, 0.5}
	if *soak {
		chances = []float64{0.01, 0.05, 0.1, 0.2, 0.33, 0.5, 0.6}
	}
	for _, chance := range chances {
		killsNothing(t, chance, 400, 12*time.Hour, fails(chance, nil),
			sparse(300, 5*time.Second), sparse(100, time.Minute), steady()[:200], steady()[150:250])
	}
}

// One bad node of three behind a balancer, and a destination that comes and goes.
func TestFailingByTheClockKillsNothing(t *testing.T) {
	for _, period := range []time.Duration{time.Second, 10 * time.Second, 3 * time.Minute, 20 * time.Minute} {
		killsNothing(t, period, 100, 24*time.Hour, func(_ []event, now time.Duration, _ *rand.Rand) bool {
			return now%period < period*2/5
		}, sparse(300, 7*time.Second), steady()[:300])
	}
}

// A destination that fails for everything kills nothing, ever, and is not flooded;
// once it is back it gets everything soon.
func TestFailingForEverythingKillsNothing(t *testing.T) {
	const back = 24 * time.Hour
	for name, answer := range kinds() {
		for _, from := range []time.Duration{0, 20 * time.Second} {
			t.Run(fmt.Sprint(name, "/from ", from), func(t *testing.T) {
				for seed := range seeds(t, 1, 50) {
					failed := 0
					down := func(_ []event, now time.Duration, _ *rand.Rand) bool {
						if now < from || now >= back {
							return false
						}
						failed++
						return true
					}
					s := (&simulation{answer: answer, refuses: down, arrivals: steady()[70:250], seed: seed, until: back + time.Hour}).run()
					s.delays(t, nil)
					require.LessOrEqual(t, failed, int((back-from)/(11*time.Second))+3*100, "one in 22 seconds, a probe with some, and 413 splits what is held")
					require.LessOrEqual(t, slices.Max(slices.Collect(maps.Values(s.delivered))), back+5*time.Minute)
				}
			})
		}
	}
}

// Beside a destination that does well, isolating a bad event takes at most four
// requests for each halving, and twenty while it is parked alone; no event waits
// behind one that is never taken.
func TestIsolationIsBounded(t *testing.T) {
	for name, answer := range kinds() {
		if answer.status == 429 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			for seed := range seeds(t, 2, 1000) {
				random := rand.New(rand.NewPCG(seed, 3))
				bad := map[place]bool{}
				for range 1 + random.IntN(10) {
					bad[place{uint64(random.IntN(200)), random.IntN(100)}] = true
				}
				s := (&simulation{answer: answer, refuses: fails(0, bad), arrivals: steady(), seed: seed}).run()
				d := s.delays(t, bad)
				require.Len(t, s.dead, len(bad), "seed %d", seed)
				const halvings = 7 // of a hundred events
				require.LessOrEqual(t, s.requests, 1200+30+len(bad)*(4*(halvings+1)+20), "seed %d", seed)
				if answer.took < time.Second {
					require.LessOrEqual(t, d[len(d)-1], 45*time.Second, "seed %d", seed)
				}
			}
		})
	}
}
