package queue_test

import (
	"testing"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// Site is a place where one store lives, empty at first. The functions that are
// nil are what its test cannot do; runConformance says which cases are left out for that.
type Site struct {
	// Open opens the store, or opens it again after Close or Crash.
	Open func() (*queue.Store, error)
	// Crash cuts the power: the next Open sees what was synced and, of the
	// rest, about the given percentage, drawn with the seed. Calls in progress
	// in the old store may go on for a while and come to nothing. Crash closes
	// the old store.
	Crash func(percent int, seed uint64)
	// Stall holds up every sync until release is called, which lets them go
	// on, or fail. After a failure the site is opened again only after Crash.
	Stall func() (release func(fail bool))
	// Fill makes the disk full, or ends that. The store may need a moment to
	// see it.
	Fill func(full bool)
	// History says that the store keeps history for as long as a case takes.
	History bool
	// Shared says that several bridges may have the store open at a time, so that
	// it is not locked by the first one.
	Shared bool
}

// Factory makes a new Site for one test.
type Factory func(t *testing.T) Site

// runConformance runs all cases against a store, each on a site of its own.
func runConformance(t *testing.T, factory Factory) {
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			k := newKit(t, factory(t))
			if missing := c.needs(k.site); missing != "" {
				t.Logf("LEFT OUT: the store's site has no %s", missing)
				return
			}
			c.run(k)
		})
	}
}

type testCase struct {
	name  string
	needs func(Site) string
	run   func(*kit)
}

func nothing(Site) string { return "" }

func aCrash(s Site) string {
	if s.Crash == nil {
		return "Crash"
	}
	return ""
}

func aStall(s Site) string {
	if s.Stall == nil || s.Crash == nil {
		return "Stall and Crash"
	}
	return ""
}

func aFill(s Site) string {
	if s.Fill == nil {
		return "Fill"
	}
	return ""
}

func history(s Site) string {
	if !s.History {
		return "History"
	}
	return ""
}

func alone(s Site) string {
	if s.Shared {
		return "lock, it is shared"
	}
	return ""
}

func both(a, b func(Site) string) func(Site) string {
	return func(s Site) string {
		if missing := a(s); missing != "" {
			return missing
		}
		return b(s)
	}
}

func cases() []testCase {
	return append(liveCases(), historyCases()...)
}

func historyCases() []testCase {
	return []testCase{
		{"Replay history", history, replayHistory},
		{"Replay a time", history, replayTimes},
		{"Replay tells how far it has come", history, replayProgress},
		{"Replay passes over what was not delivered", history, replayPassesOver},
		{"Replay goes on after a restart", history, replayAfterRestart},
		{"Replay goes on after a power cut", both(history, aCrash), replayAfterPowerCut},
		{"Replay ends", history, replayEnds},
		{"Replay is waited for", history, replayWaits},
		{"Replay fails with the store", both(history, aStall), replayFails},
		{"Erase from history and dead letters", history, eraseHistory},
		{"Erase what was a dead letter", history, eraseRevived},
		{"Erase of one connector", history, eraseApart},
		{"Erase stops", history, eraseStops},
		{"Erase while events come and go", history, eraseAtWork},
		{"Power cuts while erasing", both(history, aCrash), erasePowerCuts},
	}
}

func liveCases() []testCase {
	return []testCase{
		{"Append and fetch", nothing, appendAndFetch},
		{"Batch without items", nothing, emptyBatch},
		{"Item outside of its body", nothing, badItem},
		{"Large batch", nothing, largeBatch},
		{"Fetch within limits", nothing, fetchLimits},
		{"Fetch waits", nothing, fetchWaits},
		{"Fetch ends with the store", nothing, fetchEnds},
		{"Released records come first", nothing, releaseComesBack},
		{"Backfilled records come last", nothing, backfilledLast},
		{"Settle over several records", nothing, settleSeveral},
		{"Settle in parts", nothing, settleInParts},
		{"Settle twice", nothing, settleTwice},
		{"Settle what is not handed out", alone, settleNotHeld},
		{"Fates known at once", nothing, fatesAtOnce},
		{"Dead letters", nothing, deadLetters},
		{"Replay and purge dead letters", nothing, replayAndPurge},
		{"Repeats", nothing, repeats},
		{"Repeats within a batch", nothing, repeatsWithin},
		{"Repeats beyond the window", nothing, repeatsBeyond},
		{"Repeats after a restart", nothing, repeatsAfterRestart},
		{"Restart", nothing, restart},
		{"Connectors are apart", nothing, connectorsApart},
		{"Connectors are listed", nothing, connectorsListed},
		{"Oldest pending", nothing, oldestPending},
		{"Closed", nothing, closed},
		{"Locked", alone, locked},
		{"Many at once", nothing, manyAtOnce},
		{"Full disk", aFill, fullDisk},
		{"Nothing shows before it is synced", aStall, nothingBeforeSync},
		{"Failed sync", aStall, failedSync},
		{"Power cut", aCrash, powerCut},
		{"Power cuts at random", aCrash, powerCuts},
	}
}
