package delivery

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/config"
)

// This file is the rule by which the bridge decides whose fault a failure is. It
// is plain arithmetic: it holds no lock, reads no clock and starts nothing.
//
//	response                    the destination is well             it is not, or nothing is known
//	2XX with RudderStack's ok   delivered                           delivered; it is well again
//	2XX with another body       as 403                              misdirected; one event at a time
//	400                         split; alone: dead by number        paused
//	  in RudderStack's words    split at once; alone: as 400        paused; a probe is evidence
//	413                         split at once; alone: as 400        split at once; alone: parked
//	401, 403, 404, 3XX, 4XX     split; alone: dead by number, time  paused
//	429                         backoff as asked                    backoff as asked
//	5XX, no answer              split; alone: dead by number, time  backoff
//
// The destination is well for a request that failed when it has accepted another
// one that was sent after that failure. Only such failures count. A request is
// split, and an event dead, by number: when the chance is small enough that a
// good request fails that often, at the rate at which other requests fail. By
// time: when it has failed for GiveUpAfter.
const (
	breakAfter    = 3                // failures of fresh requests in a row that open the breaker
	lately        = time.Minute      // a destination that accepted a request within it was well
	leastRate     = 0.03             // bounds of the rate at which requests are taken to fail at random
	mostRate      = 0.95             //
	splitChance   = 1e-2             // accepted chance of splitting a good request
	deadChance    = 1e-9             // accepted chance of dead-lettering a good event
	halfChance    = 1e-2             // accepted chance of trying a part of a good suspect
	fewFail       = 0.2              // rate below which RudderStack's own words split at once
	fade          = 0.98             // what remains of the weight of older results at each new one
	pausedWait    = 30 * time.Second // longest wait between requests to a paused destination
	lateWait      = 5 * time.Second  // the same where one was accepted lately
	mostPartTries = 20               // parts of suspects that are tried without an acceptance
	partTryEvery  = 5 * time.Minute  // between two more of them
	mostByProbe   = 10               // events in a row that die on the evidence of probes alone
	usualGood     = 9.5              // prior of the rate: so many requests were accepted,
	usualBad      = 0.5              // and so many failed
)

// trial is the history of a request that failed. It is zero in a fresh request. A
// half of a split request starts again with the attempts of the whole.
type trial struct {
	attempts    int       // requests that its events were in
	split       time.Time // it is a half of a request that was split then; zero: it is whole
	suspected   bool      // that request was, and not the destination
	fails       int       // failures in all
	backoffs    int       // failures beside a destination that did well; they lengthen the backoff
	count       int       // failures between each two of which something else was accepted
	first, last time.Time // failure; zero: there was none
	next        time.Time // it is not tried before
	before      uint64    // requests accepted by the destination at first
	// lineage is the number of the first request that was accepted after this one
	// failed first, or the whole from which it was split; 0: none of them failed. What
	// was accepted since then shows that the destination takes others.
	lineage  uint64
	probe    time.Time // a probe was sent for it, after the failure before
	probed   bool      // a probe was sent since the last failure
	response response  // of the last failure
}

// fresh reports whether the request was never tried, nor a part of what was.
func (t *trial) fresh() bool { return t.first.IsZero() && t.split.IsZero() }

// since is the instant after which an acceptance is evidence against the request.
func (t *trial) since() time.Time { return later(t.last, t.split) }

// action is what to do with the events of a request.
type action uint8

const (
	deliver action = iota
	retry          // park, and try again at trial.next
	split          // try each half by itself
	die            // to the dead letters
)

// evidence is what a destination has shown so far.
type evidence struct {
	minBackoff, maxBackoff time.Duration
	random                 *rand.Rand

	accepted      uint64    // requests
	acceptedAt    time.Time // end of the last of them
	acceptedBegan time.Time // latest beginning among them
	probeBegan    time.Time // of the last probe that RudderStack answered in its own words
	partTries     int       // parts of suspects tried since the last acceptance, see mayTryPart
	partTriedAt   time.Time // the last of them
	byProbe       int       // events that died on the evidence of probes since the last acceptance
	good, bad     float64   // results of fresh requests, old ones fading

	inARow   int           // failures since the last acceptance
	open     bool          // the breaker: one request at a time, not before next
	next     time.Time     // while open
	floor    time.Time     // Retry-After: no request before
	slot     time.Time     // requests a second: no request before
	every    time.Duration // between the beginnings of two requests; 0: no limit
	inFlight int
	turns    int       // requests while it was open
	trouble  response  // the last failure while open
	state    string    // its name
	since    time.Time // it is that
	size     sizes
}

func newEvidence(c config.Connector, random *rand.Rand, now time.Time) *evidence {
	var every time.Duration
	if c.RequestsPerSecond > 0 {
		every = time.Duration(min(float64(time.Second)/c.RequestsPerSecond, float64(24*time.Hour)))
	}
	return &evidence{
		every:      every,
		minBackoff: c.Backoff.Min, maxBackoff: c.Backoff.Max, random: random,
		state: StateOK, since: now, size: newSizes(c.BatchEvents),
	}
}

// judge notes the outcome of a request of n events and says what to do with
// them. giveUp is how long an event must have failed before it dies of anything
// but 400 and 413. It is 0 for a replay, in which nothing dies but is counted as
// refused: there a refusal is believed for good once something else was accepted.
func (e *evidence) judge(t *trial, n int, o response, giveUp time.Duration) action {
	t.attempts++
	e.learn(t, o)
	e.size.learn(n, o.kind == accepted, o.ended)
	if o.kind == accepted {
		return deliver
	}
	believed := giveUp == 0 && o.kind.refusal() && t.lineage > 0 && e.accepted >= t.lineage
	well := believed || e.wellFor(t, o)
	t.fail(o, well, e.accepted)
	switch {
	case o.kind == limited, o.compressed: // says nothing of the events; after a failure they are sent uncompressed
	case n > 1 && (o.kind == tooLarge || o.own && e.believes(t) && e.rate() < fewFail ||
		t.count >= timesNeeded(e.rate(), splitChance)):
		return split
	case n == 1 && well && t.count >= timesNeeded(e.rate(), deadChance) &&
		(o.kind == refused || o.kind == tooLarge || o.ended.Sub(t.first) >= giveUp) && (believed || e.mayDie(t)):
		e.closeBreaker(o.ended)
		return die
	}
	bound := e.maxBackoff
	if n == 1 && o.kind != refused && o.kind != tooLarge && t.count >= timesNeeded(e.rate(), splitChance) {
		bound = max(bound, giveUp/6)
	}
	if !e.open && !o.own { // which needs the number alone
		t.backoffs++
	}
	t.next = o.ended.Add(e.backoff(max(1, t.backoffs), bound))
	return retry
}

// fail notes a failure. It counts where the destination was well since the one
// before.
func (t *trial) fail(o response, well bool, accepted uint64) {
	if t.first.IsZero() {
		t.first, t.before = o.ended, accepted
		well = true
	}
	if t.lineage == 0 {
		t.lineage = accepted + 1 // 0: none
	}
	if well && o.kind != limited && !o.compressed {
		t.count++
	}
	t.fails++
	t.last, t.response, t.probed = o.ended, o, false
}

// wellFor reports whether the destination has shown that it is well between the
// last failure of a request and the one now.
func (e *evidence) wellFor(t *trial, o response) bool {
	return e.acceptedSince(t) || o.own && e.probeBegan.After(t.last)
}

// acceptedSince reports whether a request was accepted that was sent after the last
// failure of this one.
func (e *evidence) acceptedSince(t *trial) bool {
	return e.acceptedBegan.After(t.last)
}

// believes reports whether the refusal in RudderStack's own words that was just
// noted is true of the events.
func (e *evidence) believes(t *trial) bool { return !e.open || e.probeBegan.After(t.probe) }

func (e *evidence) acceptedLately(now time.Time) bool {
	return e.accepted > 0 && now.Sub(e.acceptedAt) <= lately
}

// suspects reports whether a request is under suspicion, and not the destination.
func (e *evidence) suspects(t *trial) bool {
	return t.suspected || t.count > 1 || t.count == 1 && e.acceptedSince(t)
}

// mayDie limits what a destination can kill that answers probes and takes
// nothing, such as a proxy that garbles bodies.
func (e *evidence) mayDie(t *trial) bool {
	if e.accepted > t.before {
		return true
	}
	e.byProbe++
	return e.byProbe <= mostByProbe
}

// learn keeps what the result of a request says about the destination. The failure
// of one that was tried before says something only where nothing was accepted
// lately, or, for a refusal that splits at once, nothing since.
func (e *evidence) learn(t *trial, o response) {
	fresh := t.fresh()
	if o.kind == accepted {
		e.accepted, e.acceptedAt, e.byProbe, e.partTries = e.accepted+1, o.ended, 0, 0
		e.acceptedBegan = later(e.acceptedBegan, o.began)
		if fresh {
			e.good, e.bad = e.good*fade+1, e.bad*fade
		}
		e.closeBreaker(o.ended)
		return
	}
	if fresh && o.kind != limited {
		e.good, e.bad = e.good*fade, e.bad*fade+1
	}
	splits := o.own || o.kind == tooLarge // at once: what is left of it says more than a retry does
	if !fresh && o.kind != limited && (!splits && e.acceptedLately(o.ended) || !e.open && e.acceptedBegan.After(t.since())) {
		if e.open {
			e.openBreaker(o)
		}
		return
	}
	e.inARow++
	asked := o.retryAfter > 0 && (o.kind == limited || !e.suspects(t))
	if asked {
		e.floor = later(e.floor, o.ended.Add(o.retryAfter))
	}
	if asked || e.accepted == 0 || o.ended.Sub(e.acceptedAt) > lately {
		e.inARow = max(e.inARow, breakAfter)
	}
	if e.inARow >= breakAfter {
		e.openBreaker(o)
	}
}

// openBreaker opens the breaker, or keeps it open. The wait counts from the start
// of the request: one that hung has waited already.
func (e *evidence) openBreaker(o response) {
	e.open, e.trouble = true, o
	state, bound := consequences[o.kind].state, e.maxBackoff
	if state != StateBackingOff {
		bound = min(bound, pausedWait)
	}
	if e.acceptedLately(o.ended) {
		bound = min(bound, lateWait)
	}
	e.next = o.began.Add(e.backoff(min(e.inARow-breakAfter+1, 16), bound))
	e.setState(state, o.ended)
}

func (e *evidence) closeBreaker(now time.Time) {
	e.inARow, e.open, e.trouble = 0, false, response{}
	e.setState(StateOK, now)
}

// slack is how late a request may begin without the ones after it being late too;
// timers are. It lets at most slack's worth of requests begin together.
const slack = 50 * time.Millisecond

// mayTryPart reports whether a part of a suspect may be tried to find out whether
// the destination takes anything. Without a bound, suspects would be cut into ever
// smaller requests while the destination is away.
func (e *evidence) mayTryPart(now time.Time) bool {
	return e.partTries < mostPartTries || now.Sub(e.partTriedAt) >= partTryEvery
}

func (e *evidence) begin(now time.Time) {
	e.inFlight++
	if e.every > 0 {
		e.slot = later(e.slot, now.Add(-slack)).Add(e.every)
	}
}

// resume ends all waits, for an operator.
func (e *evidence) resume(now time.Time) {
	e.floor = time.Time{}
	if e.open {
		e.next = now
	}
}

func (e *evidence) setState(state string, now time.Time) {
	if state != e.state {
		e.state, e.since = state, now
	}
}

// rate estimates how often fresh requests fail now, good ones and bad ones alike.
func (e *evidence) rate() float64 {
	return min(max(leastRate, (e.bad+usualBad)/(e.good+e.bad+usualGood+usualBad)), mostRate)
}

// timesNeeded returns how many times in a row a request must fail until the
// chance of that, where each time has the given rate, is no more than chance; two
// at least.
func timesNeeded(rate, chance float64) int {
	return max(2, int(math.Ceil(math.Log(chance)/math.Log(rate)-1e-9)))
}

// backoff returns the wait after the n-th failure, n from 1: drawn from the upper
// half of a bound that doubles up to most, so that what failed together does not
// come back together.
func (e *evidence) backoff(n int, most time.Duration) time.Duration {
	bound := e.minBackoff
	for ; n > 1 && bound < most; n-- {
		bound *= 2
	}
	return time.Duration((0.5 + 0.5*e.random.Float64()) * float64(min(bound, most)))
}

// sizes adapts the number of events in a request to what the destination takes: a
// firewall's limit, a limiter's bucket, many bad events among good ones.
type sizes struct {
	size, most int // events in a request, now and as configured
	usual      int // the largest request among the last ones
	seen, peak int // requests since usual was looked at, and the largest of them

	fullOK, fullFailed int     // of about the usual size: accepted since the last change, failed in a row now
	took, lost         float64 // the same, accepted and failed before that row, since the last change, old ones fading
	smallOK, smallBad  float64 // of a quarter of it at most, old ones fading
	growAfter          time.Time
	growWait           time.Duration
	grew               bool // the last change
}

const (
	growEvery   = 20 * time.Second // shortest time between two enlargements
	growSeldom  = 5 * time.Minute  // the same where growing failed again and again
	growOK      = 10               // requests that are accepted before
	shrinkFails = 3                // of the usual size in a row before requests are halved
	shrinkSmall = 1.9              // small ones that are accepted meanwhile
	shrinkBy    = 1e-4             // accepted chance that the size is not the cause
	priorBad    = 0.5              // prior of the rate of small ones: so many failed
	priorAll    = 2.5              // of so many
	usualEvery  = 32               // requests
)

func newSizes(most int) sizes { return sizes{size: most, most: most, growWait: growEvery} }

// learn notes the result of a request of n events.
func (s *sizes) learn(n int, ok bool, now time.Time) {
	s.peak, s.seen = max(s.peak, n), s.seen+1
	if n > s.usual {
		if n > 2*s.usual { // what is known is of other sizes
			s.fullOK, s.fullFailed, s.took, s.lost = 0, 0, 0, 0
		}
		s.usual = n
	} else if s.seen >= usualEvery {
		s.usual, s.seen, s.peak = s.peak, 0, 0
	}
	small, full := n*4 <= s.usual, n*2 > s.usual
	switch {
	case small && ok:
		s.smallOK, s.smallBad = s.smallOK*fade+1, s.smallBad*fade
	case small:
		s.smallOK, s.smallBad = s.smallOK*fade, s.smallBad*fade+1
	case full && ok:
		s.took, s.lost = s.took*fade+1, s.lost*fade+float64(s.fullFailed)
		s.fullOK, s.fullFailed = s.fullOK+1, 0
		if s.fullOK >= growOK && s.size < s.most && !now.Before(s.growAfter) {
			if s.grew {
				s.growWait = growEvery
			}
			s.change(min(s.most, s.size*2), true, now)
		}
	case full:
		s.fullFailed++
		s.shrink(now)
	}
}

// shrink halves requests where only small ones are accepted, unless that may be
// chance.
func (s *sizes) shrink(now time.Time) {
	if s.usual < 2 || s.fullFailed < shrinkFails || s.smallOK < shrinkSmall {
		return
	}
	rate := max(leastRate, (s.smallBad+priorBad)/(s.smallOK+s.smallBad+priorAll), s.lost/max(1, s.lost+s.took))
	if math.Pow(rate, float64(s.fullFailed)) < shrinkBy {
		if s.grew {
			s.growWait = min(2*s.growWait, growSeldom)
		}
		s.change(max(1, s.usual/2), false, now)
	}
}

func (s *sizes) change(size int, grew bool, now time.Time) {
	*s = sizes{
		size: size, most: s.most, usual: size, smallOK: s.smallOK, smallBad: s.smallBad,
		growAfter: now.Add(s.growWait), growWait: s.growWait, grew: grew,
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
