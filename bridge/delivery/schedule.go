package delivery

import (
	"container/heap"
	"maps"
	"slices"
	"time"
)

// quietAfter is how long a claim must have waited until the queue is taken to be
// empty, so that all requests at once may work on suspects.
const quietAfter = 100 * time.Millisecond

// maxHeld bounds the events that a Sender holds: claimed, parked or in flight. Where
// so many are, nothing more is claimed. A parked event takes some 300 bytes.
const maxHeld = 100_000

// splitWait bounds the wait before a half is sent. It is drawn at random.
const splitWait = 100 * time.Millisecond

// event is one pending event.
type event struct {
	seq   uint64 // of its record
	index int    // in its record
	raw   []byte // as Braze sent it; nil while it is parked
	id    string // messageId where it has none
}

// request is events that are sent together.
type request struct {
	events []event
	trial  trial

	probe   bool // a batch of no events, to see what RudderStack answers
	suspect bool // it was taken from the suspects
	rank    [2]int64
}

// part takes events[from:to] out as a request of its own with the same history.
func (r *request) part(from, to int) *request {
	p := *r
	p.events = r.events[from:to:to]
	return &p
}

// requestHeap is a heap of requests, the one with the lowest rank first.
type requestHeap []*request

func (p requestHeap) Len() int           { return len(p) }
func (p requestHeap) Less(i, j int) bool { return slices.Compare(p[i].rank[:], p[j].rank[:]) < 0 }
func (p *requestHeap) Push(r any)        { *p = append(*p, r.(*request)) }
func (p requestHeap) Swap(i, j int)      { p[i], p[j] = p[j], p[i] }

func (p *requestHeap) Pop() any {
	last := len(*p) - 1
	r := (*p)[last]
	(*p)[last] = nil
	*p = (*p)[:last]
	return r
}

func (p *requestHeap) take() *request { return heap.Pop(p).(*request) }

// scheduler chooses what is sent next and keeps what is not settled. Like the
// evidence, it holds no lock, reads no clock and starts nothing.
type scheduler struct {
	evidence *evidence
	giveUp   time.Duration
	places   int // requests at once

	fresh      []*request  // were not tried yet, oldest first
	waiting    requestHeap // suspects whose backoff is not over, the next first
	ready      requestHeap // suspects that may be tried, the largest first
	busy       map[*request]bool
	onSuspects int  // of busy
	keepsBytes bool // of parked events, because they cannot be read again

	events    int       // fresh, suspects and in flight
	backlog   bool      // the last claim was full, so there is more in the queue
	claimedAt time.Time // since then a claim waits for the queue; zero: none does
}

func newScheduler(e *evidence, places int, giveUp time.Duration) *scheduler {
	return &scheduler{evidence: e, places: places, giveUp: giveUp, busy: map[*request]bool{}}
}

// add adds fresh events. full says that there are more where they came from.
func (s *scheduler) add(events []event, full bool) {
	s.fresh = append(s.fresh, &request{events: events})
	s.events += len(events)
	s.backlog, s.claimedAt = full, time.Time{}
}

// idle reports whether there is nothing to send and nothing in flight.
func (s *scheduler) idle() bool { return s.events == 0 && len(s.busy) == 0 }

// quiet reports whether nothing fresh waits, here or in the queue.
func (s *scheduler) quiet(now time.Time) bool {
	return len(s.fresh) == 0 && !s.claimedAt.IsZero() && now.Sub(s.claimedAt) >= quietAfter
}

// take returns the request to send now, or nil and when to ask again; zero: when
// something has changed. It goes back through done or putBack.
func (s *scheduler) take(now time.Time) (*request, time.Time) {
	if s.evidence.open && s.evidence.inFlight > 0 {
		return nil, time.Time{}
	}
	from := later(s.evidence.floor, s.evidence.slot)
	if s.evidence.open {
		from = later(from, s.evidence.next)
	}
	if now.Before(from) {
		return nil, from
	}
	for len(s.waiting) > 0 && !now.Before(s.waiting[0].trial.next) {
		s.makeReady(s.waiting.take())
	}
	var r *request
	if s.evidence.open {
		r = s.whileOpen(now)
	} else {
		r = s.whileClosed(now)
	}
	if r == nil {
		return nil, s.wake(now)
	}
	s.evidence.begin(now)
	r.suspect = r.probe || !r.trial.fresh()
	s.busy[r] = true
	if r.suspect {
		s.onSuspects++
	}
	return r, time.Time{}
}

// wake returns when to look for a request to send again.
func (s *scheduler) wake(now time.Time) time.Time {
	var at time.Time
	if len(s.waiting) > 0 {
		at = s.waiting[0].trial.next
	}
	if len(s.ready) > 0 && !s.claimedAt.IsZero() && !s.quiet(now) {
		if quiet := s.claimedAt.Add(quietAfter); at.IsZero() || quiet.Before(at) {
			at = quiet
		}
	}
	return at
}

// whileClosed chooses while the destination does well: suspects never hold a
// place from others, apart from one, or two where they are more.
func (s *scheduler) whileClosed(now time.Time) *request {
	places := 1
	switch {
	case s.quiet(now):
		places = s.places
	case !s.backlog && len(s.ready) > len(s.fresh):
		places = 2
	}
	suspects := len(s.ready) > 0 && s.onSuspects < places
	switch {
	case len(s.fresh) > 0 && (!suspects || s.evidence.random.Float64() < 0.5):
		return s.nextFresh(0, s.evidence.size.size)
	case suspects:
		return s.nextSuspect(s.ready.take(), now)
	}
	return nil
}

// whileOpen chooses the one request that is sent while the breaker is open: in turn
// one of the usual size and a single event drawn at random; where nothing is fresh,
// a suspect or a part of it. A destination that answers with pages gets single
// events.
func (s *scheduler) whileOpen(now time.Time) *request {
	single := s.evidence.turns%2 == 0 || s.evidence.trouble.kind == misdirected
	if len(s.fresh) > 0 {
		s.evidence.turns++
		if single {
			return s.nextFresh(int(s.evidence.random.Float64()*float64(len(s.fresh[0].events))), 1)
		}
		return s.nextFresh(0, s.evidence.size.size)
	}
	var r *request
	switch {
	case len(s.ready) > 0:
		r = s.ready.take()
	case len(s.waiting) > 0:
		r = s.waiting.take()
	default:
		return nil
	}
	s.evidence.turns++
	if single && len(r.events) > 1 && (s.evidence.trouble.kind == misdirected ||
		s.evidence.inARow >= timesNeeded(s.evidence.rate(), halfChance) && s.evidence.mayTryPart(now)) {
		s.evidence.partTries, s.evidence.partTriedAt = s.evidence.partTries+1, now
		return s.pick(r, int(s.evidence.random.Float64()*float64(len(r.events))), 1, now)
	}
	return s.nextSuspect(r, now)
}

// nextFresh takes at most n fresh events, from the one at the given place on.
func (s *scheduler) nextFresh(at, n int) *request {
	r := s.fresh[0]
	switch {
	case len(r.events) <= n:
		s.fresh[0] = nil
		s.fresh = s.fresh[1:]
		return r
	case n == 1 && at > 0:
		one := &request{events: []event{r.events[at]}}
		r.events = slices.Delete(r.events, at, at+1)
		return one
	}
	first := r.part(0, n)
	r.events = r.events[n:]
	return first
}

// nextSuspect returns a suspect, or the part of it that is to be tried: no more
// than the size of requests, and where nothing else can be sent, in turn a half and
// a single event drawn at random. For what RudderStack refuses in its own words it
// may be a probe.
func (s *scheduler) nextSuspect(r *request, now time.Time) *request {
	t, n, from := &r.trial, len(r.events), 0
	uncertain := !t.last.IsZero() && !s.evidence.acceptedSince(t) && len(s.fresh) == 0 && (s.quiet(now) || s.evidence.open)
	if uncertain && t.response.own && !t.probed && !s.evidence.probeBegan.After(t.last) {
		t.probed, t.probe, t.next = true, now, now.Add(s.evidence.minBackoff)
		s.park(r, now)
		return &request{probe: true}
	}
	if uncertain && n > 1 && t.fails >= timesNeeded(s.evidence.rate(), halfChance) && s.evidence.mayTryPart(now) {
		if n /= 2; s.evidence.partTries%2 == 1 {
			n, from = 1, int(s.evidence.random.Float64()*float64(n))
		}
		s.evidence.partTries, s.evidence.partTriedAt = s.evidence.partTries+1, now
	}
	if n = min(n, s.evidence.size.size); n == len(r.events) {
		return r
	}
	return s.pick(r, from, n, now)
}

// pick takes n events out of a suspect, from the one at the given place on. The
// others are a suspect of their own with the same history.
func (s *scheduler) pick(r *request, from, n int, now time.Time) *request {
	rest := r.part(0, from)
	rest.events = append(slices.Clone(rest.events), r.events[from+n:]...)
	rest.trial.next, rest.trial.count = now, min(1, rest.trial.count)
	s.park(rest, now)
	return r.part(from, from+n)
}

// park puts a suspect aside. Its bytes are read again when it is tried; its events
// are copied, so that a few do not keep the memory of many.
func (s *scheduler) park(r *request, now time.Time) {
	r.events = slices.Clone(r.events)
	if !s.keepsBytes {
		for i := range r.events {
			r.events[i].raw, r.events[i].id = nil, ""
		}
	}
	if !r.trial.next.After(now) {
		s.makeReady(r)
		return
	}
	r.rank = [2]int64{r.trial.next.UnixNano()}
	heap.Push(&s.waiting, r)
}

func (s *scheduler) makeReady(r *request) {
	r.rank = [2]int64{-int64(len(r.events)), r.trial.next.UnixNano()}
	heap.Push(&s.ready, r)
}

// done notes the outcome of a request and says what to do with its events. What
// is to be tried again is kept; the others are the caller's.
func (s *scheduler) done(r *request, o response) action {
	s.leave(r)
	if r.probe {
		if o.own {
			s.evidence.probeBegan = later(s.evidence.probeBegan, o.began)
		}
		return deliver
	}
	act := s.evidence.judge(&r.trial, len(r.events), o, s.giveUp)
	switch act {
	case retry:
		s.park(r, o.ended)
	case split:
		middle := len(r.events) / 2
		for _, half := range []*request{r.part(0, middle), r.part(middle, len(r.events))} {
			half.trial = trial{
				split: o.ended, suspected: r.trial.suspected || r.trial.count > 1,
				attempts: r.trial.attempts, lineage: r.trial.lineage, response: o,
				next: o.ended.Add(time.Duration(s.evidence.random.Float64() * float64(splitWait))),
			}
			s.park(half, o.ended)
		}
	default:
		s.events -= len(r.events)
	}
	return act
}

// leave notes that a request is no longer in flight.
func (s *scheduler) leave(r *request) {
	delete(s.busy, r)
	s.evidence.inFlight--
	if r.suspect {
		s.onSuspects--
	}
}

// putBack takes back a request that was not sent, or whose end is not known.
func (s *scheduler) putBack(r *request, now time.Time) {
	s.leave(r)
	if !r.probe {
		s.keep(r, now)
	}
}

// keep keeps events to be sent later, the fresh ones before all others.
func (s *scheduler) keep(r *request, now time.Time) {
	switch {
	case len(r.events) == 0:
	case r.trial.fresh():
		s.fresh = slices.Insert(s.fresh, 0, r)
	default:
		s.park(r, now)
	}
}

// suspected returns each suspect, in flight or not.
func (s *scheduler) suspected() []*request {
	all := slices.Concat(s.ready, s.waiting, slices.Collect(maps.Keys(s.busy)))
	return slices.DeleteFunc(all, func(r *request) bool { return r.probe || !s.evidence.suspects(&r.trial) })
}

// retryNow ends the backoff of every suspect.
func (s *scheduler) retryNow(now time.Time) {
	for _, r := range s.waiting {
		r.trial.next = now
		s.makeReady(r)
	}
	s.waiting = nil
}

// remove takes a suspect out that is not in flight.
func (s *scheduler) remove(r *request) {
	for _, p := range []*requestHeap{&s.ready, &s.waiting} {
		if i := slices.Index(*p, r); i >= 0 {
			heap.Remove(p, i)
			return
		}
	}
}
