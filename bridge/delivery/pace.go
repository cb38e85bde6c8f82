package delivery

import "time"

// breakAfter is how many failures in a row, with no success between them, open
// the breaker. One alone makes only its own batch wait: it may be the batch.
const breakAfter = 3

// pacing is the arithmetic of waits.
type pacing struct {
	min, max time.Duration  // bounds of the backoff
	pause    time.Duration  // between tries of a paused destination
	every    time.Duration  // between the beginnings of two tries; 0: no limit
	random   func() float64 // from 0 up to 1
}

// backoff returns the wait after the n-th failure in a row, n from 1: full
// jitter over a bound that doubles up to max, so that what failed together does
// not come back together.
func (p pacing) backoff(n int) time.Duration {
	bound := p.min
	for ; n > 1 && bound < p.max; n-- {
		bound *= 2
	}
	bound = min(bound, p.max)
	return time.Duration(p.random() * float64(bound))
}

// outcome is what a try says about the destination.
type outcome struct {
	verdict    verdict
	began      time.Time // waits count from here: a try that hung has waited already
	ended      time.Time
	retryAfter time.Duration // counts from ended
	failed     int           // tries of this batch that failed in a row, this one included
	text       string        // what went wrong
}

// ticket allows one try.
type ticket struct {
	round uint64
	probe bool // the one try that is allowed while the breaker is open
	well  bool // nothing was wrong with the destination when it was given
}

// pacer is the breaker and the state of one destination. It is plain
// arithmetic: it holds no lock, reads no clock and starts nothing.
//
// Closed, every batch is tried when its own wait is over. Open, one is tried at
// a time, not before next. It opens after breakAfter failures in a row, at a
// Retry-After, and at an answer that says the destination is wrong (paused).
// It closes when a probe gets any other answer.
type pacer struct {
	pacing
	open    bool
	paused  bool
	probing bool      // a probe is under way
	next    time.Time // while open: no probe before
	floor   time.Time // Retry-After: no try before
	slot    time.Time // requests a second: no try before
	fails   int       // in a row
	probes  int       // since it opened
	// round counts openings and closings. What was begun in an earlier round
	// says nothing about this one.
	round uint64
	// resumes counts the operator's words: they end the waits set before.
	resumes uint64

	since   time.Time
	lastErr string
}

// state returns what the outside sees.
func (p *pacer) state() State {
	s := State{Name: StateOK, Since: p.since}
	switch {
	case p.paused:
		s.Name = StatePaused
	case p.fails > 0:
		s.Name = StateBackingOff
	default:
		return s
	}
	s.LastError = p.lastErr
	if p.open {
		s.NextTry = p.next
	}
	return s
}

// report takes in what came of a try and returns before when its batch is not
// to be tried again by its own account; while the breaker is open that is next.
func (p *pacer) report(t ticket, o outcome) time.Time {
	before := p.state().Name
	if t.probe {
		p.probing = false
	}
	stale := t.round != p.round
	var again time.Time
	switch o.verdict {
	case retry:
		again = p.failed(t, o, stale)
	case misled:
		again = o.began.Add(p.pause)
		if !stale {
			p.shut(again)
			p.paused, p.lastErr = true, o.text
		}
	default:
		if !stale {
			p.worked()
		}
	}
	if p.state().Name != before {
		p.since = o.ended
	}
	return again
}

// failed handles a try without a useful answer. A stale one was begun before
// the breaker opened or closed; what failed together counts once, but a
// Retry-After is heard whenever it comes.
func (p *pacer) failed(t ticket, o outcome, stale bool) time.Time {
	asked := o.retryAfter > 0
	if asked {
		p.floor = later(p.floor, o.ended.Add(o.retryAfter))
	}
	own := later(o.began.Add(p.backoff(o.failed)), p.floor)
	if stale && p.open {
		if asked && !p.paused {
			p.next = later(p.next, p.floor)
		}
		return own
	}
	if stale && !asked {
		return own
	}
	p.fails++
	p.lastErr = o.text
	if t.probe || asked || p.fails >= breakAfter {
		p.paused = false
		p.shut(later(o.began.Add(p.backoff(p.fails)), p.floor))
	}
	return own
}

// shut opens the breaker, or keeps it open, until next.
func (p *pacer) shut(next time.Time) {
	if !p.open {
		p.open = true
		p.round++
		p.probes = 0
	}
	p.next = next
}

// worked closes the breaker: the destination answers and takes events.
func (p *pacer) worked() {
	p.fails, p.lastErr, p.paused = 0, "", false
	if p.open {
		p.open = false
		p.round++
		p.next, p.floor = time.Time{}, time.Time{}
	}
}

// resume makes the destination be tried at once, whatever it has asked for. A
// breaker that is open lets in one, as ever.
func (p *pacer) resume(now time.Time) {
	p.resumes++
	p.floor = time.Time{}
	if p.open {
		p.next = now
	}
}

// contender is a batch that waits to be tried.
type contender struct {
	seq     uint64    // its first record: the lowest is the oldest
	again   time.Time // its own wait
	round   uint64    // in which again was set
	resumes uint64    // before again was set
	fails   int       // tries that failed in a row
}

// choose picks the batch to be tried next at now, or says with -1 that none is,
// and then when to ask again (zero: when something has changed). Closed, the
// first that came goes first, so that none waits for ever where tries are few.
func (p *pacer) choose(now time.Time, waiting []contender) (int, time.Time) {
	if len(waiting) == 0 || p.open && p.probing {
		return -1, time.Time{}
	}
	earliest := p.slot
	if p.open {
		earliest = later(p.slot, p.next)
	}
	if now.Before(earliest) {
		return -1, earliest
	}
	if p.open {
		return p.candidate(waiting), time.Time{}
	}
	var next time.Time
	for i, w := range waiting {
		// A breaker that closed since it failed has ended its wait, and so has
		// the operator: all resume.
		if w.round != p.round || w.resumes != p.resumes || !now.Before(w.again) {
			return i, time.Time{}
		}
		if next.IsZero() || w.again.Before(next) {
			next = w.again
		}
	}
	return -1, next
}

// candidate is the oldest batch. While backing off every second probe is
// another one, the least tried: a batch that RudderStack chokes on each time
// must not hold up the others for ever.
func (p *pacer) candidate(waiting []contender) int {
	oldest := 0
	for i, w := range waiting {
		if w.seq < waiting[oldest].seq {
			oldest = i
		}
	}
	if p.paused || p.probes%2 == 0 {
		return oldest
	}
	other := -1
	for i, w := range waiting {
		if i == oldest {
			continue
		}
		if other < 0 || w.fails < waiting[other].fails || w.fails == waiting[other].fails && w.seq < waiting[other].seq {
			other = i
		}
	}
	if other < 0 {
		return oldest
	}
	return other
}

// slack is how late a try may begin without the ones after it being late too;
// timers are. It lets at most slack's worth of tries begin together.
const slack = 50 * time.Millisecond

// grant allows one try.
func (p *pacer) grant(now time.Time) ticket {
	if p.every > 0 {
		p.slot = later(p.slot, now.Add(-slack)).Add(p.every)
	}
	if p.open {
		p.probing = true
		p.probes++
	}
	return ticket{round: p.round, probe: p.open, well: !p.open && p.fails == 0}
}

// giveBack takes a ticket back that was not used, or whose try was cut off.
func (p *pacer) giveBack(t ticket) {
	if t.probe {
		p.probing = false
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
