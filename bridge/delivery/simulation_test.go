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

// answer is what a simulated destination says, and after how long. took without a
// status is a request without an answer.
type simAnswer struct {
	status int
	own    bool
	took   time.Duration
}

// destination answers a request of these events at a time since the beginning.
type destination func(events []event, now time.Duration, random *rand.Rand) simAnswer

// arrival is one batch of events.
type arrival struct {
	at     time.Duration
	events int
}

// Requests of a simulation at once, and their events.
const simPlaces, simSize = 4, 100

// simulation drives the scheduler and the evidence as a Sender does, in time that
// costs nothing.
type simulation struct {
	dest     destination
	arrivals []arrival
	until    time.Duration
	seed     uint64

	now       time.Duration
	next      int // arrival
	sched     *scheduler
	random    *rand.Rand
	pending   [][]event
	flights   []flight
	born      map[place]time.Duration
	delivered map[place]time.Duration
	dead      map[place]time.Duration
	requests  int
}

type flight struct {
	end, began time.Duration
	request    *request
	answer     simAnswer
}

// simStart is the instant at which a simulation begins.
func simStart() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

func (s *simulation) clock() time.Time { return simStart().Add(s.now) }

// run simulates from the beginning.
func (s *simulation) run() *simulation {
	s.until = cmp.Or(s.until, 20000*time.Second)
	s.random = rand.New(rand.NewPCG(s.seed, 17))
	s.born, s.delivered, s.dead = map[place]time.Duration{}, map[place]time.Duration{}, map[place]time.Duration{}
	c := config.Connector{Backoff: config.Backoff{Min: 500 * time.Millisecond, Max: 30 * time.Second}, BatchEvents: simSize}
	s.sched = newScheduler(newEvidence(c, s.random, s.clock()), simPlaces, time.Hour)
	return s.resume()
}

// resume goes on until nothing is left to do, or the time is over.
func (s *simulation) resume() *simulation {
	for s.now < s.until {
		for s.next < len(s.arrivals) && s.arrivals[s.next].at <= s.now {
			s.arrive(uint64(s.next), s.arrivals[s.next])
			s.next++
		}
		wake := s.send()
		if s.sched.idle() && len(s.pending) == 0 && s.next == len(s.arrivals) {
			break
		}
		at := s.until
		for _, f := range s.flights {
			at = min(at, f.end)
		}
		if !wake.IsZero() {
			at = min(at, max(wake.Sub(simStart()), s.now+time.Microsecond))
		}
		if s.next < len(s.arrivals) {
			at = min(at, s.arrivals[s.next].at)
		}
		s.now = at
		s.flights = slices.DeleteFunc(s.flights, func(f flight) bool {
			if f.end <= s.now {
				s.land(f)
			}
			return f.end <= s.now
		})
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
	for len(s.pending) > 0 && (len(got) == 0 || len(got)+len(s.pending[0]) <= simSize) {
		got = append(got, s.pending[0]...)
		s.pending = s.pending[1:]
	}
	if len(got) > 0 {
		s.sched.add(got, len(got)*2 >= simSize)
	} else if s.sched.claimedAt.IsZero() {
		s.sched.claimedAt = s.clock()
	}
}

// send begins what may begin now and returns when to look again.
func (s *simulation) send() time.Time {
	for {
		s.claim()
		if len(s.flights) == simPlaces {
			return time.Time{}
		}
		r, wake := s.sched.take(s.clock())
		if r == nil {
			return wake
		}
		s.requests++
		var a simAnswer
		if r.probe {
			if a = s.dest(nil, s.now, s.random); a.status == 200 {
				a.status, a.own = 400, true
			} else {
				a.own = false
			}
		} else {
			a = s.dest(r.events, s.now, s.random)
		}
		s.flights = append(s.flights, flight{end: s.now + a.took, began: s.now, request: r, answer: a})
	}
}

func (s *simulation) land(f flight) {
	words := "ok"
	if f.answer.status == 204 {
		words = ""
	}
	o := response{
		kind: classify(f.answer.status, words, false), own: f.answer.own, status: f.answer.status,
		began: simStart().Add(f.began), ended: s.clock(),
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
	a.took = cmp.Or(a.took, 50*time.Millisecond)
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

// places lists the events at an index of batches.
func places(index int, batches ...uint64) map[place]bool {
	list := map[place]bool{}
	for _, b := range batches {
		list[place{b, index}] = true
	}
	return list
}

func everyTenth() map[place]bool {
	list := map[place]bool{}
	for b := range uint64(200) {
		for i := 0; i < 100; i += 10 {
			list[place{b, i}] = true
		}
	}
	return list
}

// unless fails with a where the condition holds.
func unless(a simAnswer, condition func(events []event, now time.Duration) bool) destination {
	a.took = cmp.Or(a.took, 50*time.Millisecond)
	return func(events []event, now time.Duration, _ *rand.Rand) simAnswer {
		if condition(events, now) {
			return a
		}
		return simAnswer{status: 200, took: 50 * time.Millisecond}
	}
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
	five, tenth := places(7, 0, 3, 9, 50, 120), everyTenth()
	for _, c := range []struct {
		name      string
		dest      destination
		bad       map[place]bool
		p99, most float64 // seconds
		requests  int
		dead      int // -1: not all of the bad ones need to be, yet
	}{
		{"403, five", fails(simAnswer{status: 403}, 0, five), five, 2, 10, 1429, 5},
		{"no answer for 25 s, five", fails(simAnswer{took: 25 * time.Second}, 0, five), five, 80, 480, 1400, 5},
		{"400 in own words, five", fails(simAnswer{status: 400, own: true}, 0, five), five, 0.5, 2, 1310, 5},
		{"500, 1%", fails(simAnswer{status: 500}, 0.01, nil), nil, 0.6, 3, 1230, 0},
		{"500, 10%", fails(simAnswer{status: 500}, 0.1, nil), nil, 1.6, 12, 1390, 0},
		{"500, 33%", fails(simAnswer{status: 500}, 0.33, nil), nil, 15, 200, 1910, 0},
		{"500, 60%", fails(simAnswer{status: 500}, 0.6, nil), nil, 160, 6000, 3280, 0},
		{"500, 33%, and five", fails(simAnswer{status: 500}, 0.33, five), five, 30, 600, 2950, -1},
		{"500, 60%, and five", fails(simAnswer{status: 500}, 0.6, five), five, 220, 6000, 4750, -1},
		{"all 500 for an hour", unless(simAnswer{status: 500}, func(_ []event, now time.Duration) bool { return now < time.Hour }), nil, 3640, 3640, 830, 0},
		{"403 over 20 events", unless(simAnswer{status: 403}, func(e []event, _ time.Duration) bool { return len(e) > 20 }), nil, 40, 50, 2960, 0},
		{"403, a tenth of all", fails(simAnswer{status: 403}, 0, tenth), tenth, 320, 330, 51000, 2000},
	} {
		t.Run(c.name, func(t *testing.T) {
			for seed := range seeds(t, 1, 100) {
				s := (&simulation{dest: c.dest, arrivals: steady(), seed: seed}).run()
				d := s.delays(c.bad)
				p99, most := d[len(d)*99/100].Seconds(), d[len(d)-1].Seconds()
				t.Logf("seed %d: p50 %.1f, p99 %.1f, longest %.1f s; %d dead; %d requests", seed, d[len(d)/2].Seconds(), p99, most, len(s.dead), s.requests)
				require.Zero(t, s.wronglyDead(c.bad))
				require.Len(t, d, len(s.born)-len(c.bad), "all good ones are delivered")
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
func killsNothing(t *testing.T, variant any, long uint64, until time.Duration, dest func(simAnswer) destination, traffic ...[]arrival) {
	for name, answer := range kinds() {
		t.Run(fmt.Sprint(name, "/", variant), func(t *testing.T) {
			for seed := range seeds(t, 1, long) {
				for i, arrivals := range traffic {
					s := (&simulation{dest: dest(answer), arrivals: arrivals, seed: seed, until: until}).run()
					require.Empty(t, s.dead, "seed %d, traffic %d", seed, i)
					require.Len(t, s.delivered, len(s.born), "seed %d, traffic %d", seed, i)
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
		killsNothing(t, chance, 400, 12*time.Hour, func(a simAnswer) destination { return fails(a, chance, nil) },
			sparse(300, 5*time.Second), sparse(100, time.Minute), steady()[:200], steady()[150:250])
	}
}

// One bad node of three behind a balancer, and a destination that comes and goes.
func TestFailingByTheClockKillsNothing(t *testing.T) {
	for _, period := range []time.Duration{time.Second, 10 * time.Second, 3 * time.Minute, 20 * time.Minute} {
		killsNothing(t, period, 100, 24*time.Hour, func(a simAnswer) destination {
			return unless(a, func(_ []event, now time.Duration) bool { return now%period < period*2/5 })
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
					dest := unless(answer, func(_ []event, now time.Duration) bool {
						if now < from || now >= back {
							return false
						}
						failed++
						return true
					})
					s := (&simulation{dest: dest, arrivals: steady()[70:250], seed: seed, until: back}).run()
					require.Empty(t, s.dead)
					require.LessOrEqual(t, failed, int((back-from)/(11*time.Second))+3*100, "one in 22 seconds, a probe with some, and 413 splits what is held")
					s.until = back + time.Hour
					s.resume()
					require.Len(t, s.delivered, len(s.born))
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
				s := (&simulation{dest: fails(answer, 0, bad), arrivals: steady(), seed: seed}).run()
				require.Zero(t, s.wronglyDead(bad))
				require.Len(t, s.dead, len(bad), "seed %d", seed)
				require.Len(t, s.delivered, len(s.born)-len(bad))
				const halvings = 7 // of a hundred events
				require.LessOrEqual(t, s.requests, 1200+30+len(bad)*(4*(halvings+1)+20), "seed %d", seed)
				if answer.took > time.Second {
					continue
				}
				d := s.delays(bad)
				require.LessOrEqual(t, d[len(d)-1], 45*time.Second, "seed %d", seed)
			}
		})
	}
}
