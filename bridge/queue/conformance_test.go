package queue_test

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3/vfs"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/pgtest"
)

func TestConformanceOnDisk(t *testing.T) {
	runConformance(t, func(t *testing.T) *site {
		return &site{opts: queue.Options{Dir: filepath.Join(t.TempDir(), "data", "queue"), RetainAge: time.Hour}}
	})
}

func TestConformanceWithPowerCuts(t *testing.T) {
	runConformance(t, func(t *testing.T) *site { return newSite(t, queue.Options{RetainAge: time.Hour}) })
}

// The same with history that goes as soon as it may, and with a scrub that reads
// all the time and must find nothing.
func TestConformanceUnderPressure(t *testing.T) {
	runConformance(t, func(t *testing.T) *site {
		return newSite(t, queue.Options{ScrubEvery: 20 * time.Millisecond}.WithUpkeepEvery(time.Millisecond))
	})
}

func TestConformanceOnPostgres(t *testing.T) {
	server := pgtest.Start(t, "fsync=off")
	runConformance(t, func(t *testing.T) *site {
		return &site{opts: queue.Options{URL: server.Database(t), RetainAge: time.Hour}}
	})
}

// site is a place where one store lives, empty at first.
type site struct {
	opts queue.Options
	disk *crashDisk // forgets what was not synced; nil: a real disk, or a database

	mu   sync.Mutex
	full bool
}

// newSite is a directory on a disk that forgets what was not synced.
func newSite(t *testing.T, opts queue.Options) *site {
	s := &site{disk: newCrashDisk()}
	opts.Dir = t.TempDir()
	s.opts = opts.WithDisk(func() (int64, int64) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.full {
			return 100 << 20, 100 << 30
		}
		return 50 << 30, 100 << 30
	})
	return s
}

// open opens the store, or opens it again after it was closed or the power was cut.
func (s *site) open(t *testing.T) (*queue.Store, error) {
	opts := s.opts
	if s.disk != nil {
		opts = opts.WithVFS(s.disk.name)
	}
	opts.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	opts.AppendTimeout = cmp.Or(opts.AppendTimeout, time.Minute)
	return queue.Open(context.Background(), opts)
}

// crash cuts the power: the next open sees what was synced and, of the rest, about the
// given percentage, drawn with the seed. Calls in progress in the old store may go on
// for a while and come to nothing.
func (s *site) crash(t *testing.T, old *queue.Store, percent int, seed uint64) {
	to := t.TempDir()
	require.NoError(t, s.disk.crash(to, percent, seed))
	_ = old.Close() // on the old disk, which is not read again
	vfs.Unregister(s.disk.name)
	require.NoError(t, os.RemoveAll(s.opts.Dir))
	s.disk, s.opts.Dir = newCrashDisk(), to
}

// fill makes the disk full, or ends that.
func (s *site) fill(full bool) {
	s.mu.Lock()
	s.full = full
	s.mu.Unlock()
}

// runConformance runs all cases against a store, each on a site of its own, but for
// those that need what it does not have.
func runConformance(t *testing.T, newSite func(t *testing.T) *site) {
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			k := newKit(t, newSite(t))
			missing := map[string]bool{"a disk that forgets": k.site.disk == nil, "history": k.site.opts.RetainAge == 0, "a lock": k.site.opts.URL != ""}
			for _, need := range c.needs {
				if missing[need] {
					t.Logf("LEFT OUT: the store has no %s", need)
					return
				}
			}
			c.run(k)
		})
	}
}

type testCase struct {
	name  string
	run   func(*kit)
	needs []string
}

func cases() []testCase {
	disk, kept, both := []string{"a disk that forgets"}, []string{"history"}, []string{"history", "a disk that forgets"}
	return []testCase{
		{"Append and fetch", appendAndFetch, nil},
		{"Batches of which nothing is stored", nothingToStore, nil},
		{"Large batch", largeBatch, nil},
		{"Fetch within limits", fetchLimits, nil},
		{"Fetch waits", fetchWaits, nil},
		{"Released records come first", releaseComesBack, nil},
		{"Backfilled records come last", backfilledLast, nil},
		{"Settle over several records", settleSeveral, nil},
		{"Settle in parts", settleInParts, nil},
		{"Settle twice", settleTwice, nil},
		{"Settle what is not handed out", settleNotHeld, []string{"a lock"}},
		{"Fates known at once", fatesAtOnce, nil},
		{"Dead letters", deadLetters, nil},
		{"Replay and purge dead letters", replayAndPurge, nil},
		{"Repeats", repeats, nil},
		{"Repeats within a batch", repeatsWithin, nil},
		{"Repeats beyond the window", repeatsBeyond, nil},
		{"Restart", restart, nil},
		{"Connectors are apart", connectorsApart, nil},
		{"Connectors are listed", connectorsListed, nil},
		{"Oldest pending", oldestPending, nil},
		{"Closed", closed, nil},
		{"Locked", locked, []string{"a lock"}},
		{"Many at once", manyAtOnce, nil},
		{"Full disk", fullDisk, disk},
		{"Nothing shows before it is synced", nothingBeforeSync, disk},
		{"Failed sync", failedSync, disk},
		{"Power cut", powerCut, disk},
		{"Power cuts at random", powerCuts, disk},
		{"Replay history", replayHistory, kept},
		{"Replay a time", replayTimes, kept},
		{"Replay tells how far it has come", replayProgress, kept},
		{"Replay passes over what was not delivered", replayPassesOver, kept},
		{"Replay goes on after a restart", replayAfterRestart, kept},
		{"Replay goes on after a power cut", replayAfterPowerCut, both},
		{"Replay ends", replayEnds, kept},
		{"Replay is waited for", replayWaits, kept},
		{"Replay fails with the store", replayFails, both},
		{"Erase from history and dead letters", eraseHistory, kept},
		{"Erase what was a dead letter", eraseRevived, kept},
		{"Erase of one connector", eraseApart, kept},
		{"Erase stops", eraseStops, kept},
		{"Erase while events come and go", eraseAtWork, kept},
		{"Power cuts while erasing", erasePowerCuts, both},
	}
}
