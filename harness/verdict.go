package harness

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/harness/oracle"
)

type evidence struct {
	tally  oracle.Tally
	ledger Ledger
	// answered counts events in requests of Braze that got 2XX, repeats
	// included; unanswered those in requests that got no answer at all, whose
	// batch the bridge may have stored all the same.
	answered, unanswered int64

	faults        map[string]int // what happened, by name
	wanted        []string       // faults that were asked for
	crashes       int
	wantedCrashes int
	// inFlight is how many events the bridge may have in flight at once, and
	// perPost how many in one request; see bound.
	inFlight, perPost int64
	lostAnswers       int64 // after storing
	explained         int64 // duplicates by what was not counted here; see Loss

	troubles []string // errors of the run itself, such as a standstill
	duration time.Duration
}

// bound is the most duplicates that what happened can explain. A kill repeats
// at most what was sent and whose outcome was not on disk yet, which is no more
// than the configured events in flight (requests at a time × events in one
// request). An answer that was lost after its request was stored repeats the
// events of that request:
//
//	bound = crashes × concurrency × events a request + answers lost after storing × events a request
//
// Of a run that the harness did not make, the losses say how much each explains.
// Within it, a repeat counts against the bridge all the same where nothing was
// lost between the two deliveries (Tally.Unexplained). Without kills and lost
// answers the bound is 0.
func (e evidence) bound() int64 {
	return e.explained + int64(e.crashes)*e.inFlight + e.lostAnswers*e.perPost
}

func judge(e evidence) Report {
	r := Report{
		Verdict: Fail,
		Sent:    e.tally.Sent, Acked: e.tally.Acked, Delivered: e.tally.Delivered,
		// Neither delivered nor dead, or filtered less often than the bridge says. What is
		// in the dead letters by mistake is wrong, but not lost.
		Lost:      e.tally.Lost + max(0, e.tally.Filtered-e.ledger.Filtered),
		Corrupted: e.tally.Corrupted, Invalid: e.tally.Invalid, Duplicates: e.tally.Duplicates,
		Dead: e.ledger.Dead, Filtered: e.ledger.Filtered,
		TypesSent: e.tally.TypesSent, TypesDelivered: e.tally.TypesDelivered,
		Crashes: e.crashes, Duration: thousandths(e.duration.Seconds()),
		Faults: e.faults, DuplicateBound: e.bound(),
	}
	if seconds := e.duration.Seconds(); seconds > 0 {
		r.PerSecond = thousandths(float64(r.Delivered) / seconds)
	}
	r.Failures = e.failures(r)
	if len(r.Failures) == 0 {
		r.Verdict = Pass
	}
	return r
}

func thousandths(f float64) float64 { return float64(int64(f*1000+0.5)) / 1000 }

func (e evidence) failures(r Report) []string {
	f := slices.Clone(findings(e.troubles))
	f.count(e.tally.Sent == 0, 1, "nothing was sent")
	f.count(true, r.Lost, "lost: %d acknowledged and neither delivered, filtered nor dead%s", r.Lost, example(e.tally.Missing))
	f.count(true, r.Corrupted, "corrupted: %d delivered but not what was sent", r.Corrupted)
	f.count(true, r.Invalid, "invalid: %d against RudderStack's schema", r.Invalid)
	f.count(true, e.tally.Stray, "stray: %d came in that were never sent", e.tally.Stray)
	f.count(true, e.tally.Misdirected, "misdirected: %d delivered that should be dead or filtered", e.tally.Misdirected)
	f.count(true, e.tally.WronglyDeadLettered, "dead letters: %d that should be none, or have another reason", e.tally.WronglyDeadLettered)
	f.count(true, e.tally.Unexplained, "duplicates: %d with nothing lost between the two deliveries", e.tally.Unexplained)
	f.count(r.Duplicates > e.bound(), r.Duplicates, "duplicates: %d, and at most %d can come of the faults", r.Duplicates, e.bound())
	f.count(true, e.tally.Reissued, "reissued: %d ids were sent with two different contents", e.tally.Reissued)
	f.count(true, e.tally.Sent-e.tally.Acked, "never acknowledged: %d of those sent", e.tally.Sent-e.tally.Acked)
	e.ledgerFindings(&f)
	for _, name := range e.wanted {
		f.count(e.faults[name] == 0, 1, "the fault %s was asked for and did not happen", name)
	}
	f.count(e.crashes < e.wantedCrashes, 1, "the bridge was killed %d times, not %d as asked for", e.crashes, e.wantedCrashes)
	if len(f) > 0 {
		f = append(f, e.tally.Notes...)
	}
	return f
}

func (e evidence) ledgerFindings(f *findings) {
	if err := e.ledger.Check(); err != nil {
		*f = append(*f, err.Error())
	}
	same := func(what string, bridge, here int64) {
		f.count(bridge != here, 1, "the bridge's ledger says %s %d, the oracle %d", what, bridge, here)
	}
	same("accepted", e.ledger.Accepted, e.tally.Acked)
	same("delivered", e.ledger.Delivered, e.tally.Delivered)
	same("dead", e.ledger.Dead, e.tally.DeadLettered)
	same("filtered", e.ledger.Filtered, e.tally.Filtered)
	same("pending", e.ledger.Pending, 0)
	same("purged", e.ledger.Purged, 0)
	same("replayed", e.ledger.Replayed, 0)
	extra := e.ledger.Received - e.answered
	f.count(extra < 0 || extra > e.unanswered, 1,
		"the bridge's ledger says received %d; %d were answered 2XX and %d not answered", e.ledger.Received, e.answered, e.unanswered)
}

type findings []string

// count adds a failure where it holds and n is above 0.
func (f *findings) count(holds bool, n int64, format string, args ...any) {
	if holds && n > 0 {
		*f = append(*f, fmt.Sprintf(format, args...))
	}
}

func example(ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	return ", such as " + strings.Join(ids[:min(3, len(ids))], ", ")
}
