package queue_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/pgtest"
)

func TestConformanceOnDisk(t *testing.T) {
	runConformance(t, func(t *testing.T) *kit {
		return newKit(t, queue.Options{Dir: filepath.Join(t.TempDir(), "data", "queue"), RetainAge: time.Hour})
	})
}

func TestConformanceWithPowerCuts(t *testing.T) {
	runConformance(t, func(t *testing.T) *kit { return newCrashKit(t, queue.Options{RetainAge: time.Hour}) })
}

// The same with history that goes as soon as it may, and with a scrub that reads
// all the time and must find nothing.
func TestConformanceUnderPressure(t *testing.T) {
	runConformance(t, func(t *testing.T) *kit {
		return newCrashKit(t, queue.Options{ScrubEvery: 20 * time.Millisecond}.WithUpkeepEvery(time.Millisecond))
	})
}

func TestConformanceOnPostgres(t *testing.T) {
	server := pgtest.Start(t, "fsync=off")
	runConformance(t, func(t *testing.T) *kit {
		return newKit(t, queue.Options{URL: server.Database(t), RetainAge: time.Hour})
	})
}

// runConformance runs all cases, each with a store of its own, but for those that
// need what the store does not have.
func runConformance(t *testing.T, newKit func(t *testing.T) *kit) {
	disk := func(k *kit) bool { return k.disk != nil } // that forgets
	kept := func(k *kit) bool { return k.opts.RetainAge > 0 }
	both := func(k *kit) bool { return disk(k) && kept(k) }
	alone := func(k *kit) bool { return k.opts.URL == "" }
	for _, c := range []struct {
		name  string
		run   func(*kit)
		needs func(*kit) bool // nil: nothing
	}{
		{"Append and fetch", appendAndFetch, nil},
		{"Batches of which nothing is stored", nothingToStore, nil},
		{"Large batch", largeBatch, nil},
		{"Fetch within limits", fetchLimits, nil},
		{"Fetch waits", fetchWaits, nil},
		{"Backfilled records come last", backfilledLast, nil},
		{"Settle in parts", settleInParts, nil},
		{"Settle twice", settleTwice, nil},
		{"Settle what is not handed out", settleNotHeld, alone},
		{"Fates known at once", fatesAtOnce, nil},
		{"Dead letters", deadLetters, nil},
		{"Replay and purge dead letters", replayAndPurge, nil},
		{"Repeats", repeats, nil},
		{"Repeats beyond the window", repeatsBeyond, nil},
		{"Restart", restart, nil},
		{"Connectors are apart", connectorsApart, nil},
		{"Oldest pending", oldestPending, nil},
		{"Closed", closed, nil},
		{"Locked", locked, alone},
		{"Many at once", manyAtOnce, nil},
		{"Full disk", fullDisk, disk},
		{"Nothing shows before it is synced", nothingBeforeSync, disk},
		{"Failed sync", failedSync, disk},
		{"Replay history", replayHistory, kept},
		{"Replay a time", replayTimes, kept},
		{"Replay passes over what was not delivered", replayPassesOver, kept},
		{"Replay goes on after a restart", replayGoesOn, kept},
		{"Replay ends", replayEnds, kept},
		{"Erase from history and dead letters", eraseHistory, kept},
		{"Erase of one connector", eraseApart, kept},
		{"Power cuts while erasing", erasePowerCuts, both},
	} {
		t.Run(c.name, func(t *testing.T) {
			if k := newKit(t); c.needs == nil || c.needs(k) {
				c.run(k)
			} else {
				t.Log("LEFT OUT: it is about what the store does not have")
			}
		})
	}
}
