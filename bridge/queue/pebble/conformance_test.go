package pebble

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/queuetest"
)

func TestConformanceOnDisk(t *testing.T) {
	queuetest.Run(t, func(t *testing.T) queuetest.Site {
		dir := filepath.Join(t.TempDir(), "data", "queue")
		return queuetest.Site{
			Open:    func() (queue.Store, error) { return openStore(dir, Options{RetainAge: time.Hour}) },
			History: true,
		}
	})
}

func TestConformanceInMemory(t *testing.T) {
	queuetest.Run(t, func(t *testing.T) queuetest.Site {
		return newSite(t, Options{RetainAge: time.Hour, memTable: 1 << 20}).site()
	})
}

// The same with memtables so small that they are flushed and compacted all the
// time, with history that goes as soon as it may, and with a scrub that reads all
// the time and must find nothing.
func TestConformanceUnderPressure(t *testing.T) {
	queuetest.Run(t, func(t *testing.T) queuetest.Site {
		return newSite(t, Options{memTable: 16 << 10, CheckEvery: time.Millisecond, ScrubEvery: 20 * time.Millisecond}).site()
	})
}

// The same with history that stays, so that it is read again and rewritten
// while memtables are flushed and compacted.
func TestConformanceUnderPressureWithHistory(t *testing.T) {
	queuetest.Run(t, func(t *testing.T) queuetest.Site {
		return newSite(t, Options{RetainAge: time.Hour, memTable: 16 << 10, CheckEvery: time.Millisecond}).site()
	})
}

// openStore keeps a nil *Store from becoming an interface that is not nil.
func openStore(dir string, opts Options) (queue.Store, error) {
	s, err := Open(dir, opts)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// site is a directory in a file system that forgets what was not synced, and
// whose syncs can be held up and made to fail.
type site struct {
	opts  Options
	store queue.Store

	mu      sync.Mutex
	fs      *vfs.MemFS
	stalled chan struct{} // closed when syncs may go on; nil: they may
	fail    bool
	full    bool
}

func newSite(t *testing.T, opts Options) *site {
	opts.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	s := &site{opts: opts, fs: vfs.NewCrashableMem()}
	s.fill(false)
	t.Cleanup(func() {
		if store, ok := s.store.(*Store); ok && store.Usage().Damaged > 0 {
			t.Errorf("%d places are said to be damaged", store.Usage().Damaged)
		}
	})
	return s
}

func (s *site) site() queuetest.Site {
	return queuetest.Site{Open: s.open, Crash: s.crash, Stall: s.stall, Fill: s.fill, History: s.opts.RetainAge > 0}
}

func (s *site) open() (queue.Store, error) {
	s.mu.Lock()
	opts := s.opts
	opts.FS = errorfs.Wrap(s.fs, errorfs.InjectorFunc(s.inject))
	s.mu.Unlock()
	if opts.CheckEvery == 0 {
		opts.CheckEvery = 5 * time.Millisecond
	}
	store, err := openStore("data/queue", opts)
	if err == nil {
		s.store = store
	}
	return store, err
}

func (s *site) crash(percent int, seed uint64) {
	s.mu.Lock()
	clone := s.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(seed, 0))})
	s.mu.Unlock()
	_ = s.store.Close() // on the old file system, where nobody looks any more
	s.mu.Lock()
	s.fs, s.fail = clone, false
	s.mu.Unlock()
	s.fill(s.full)
}

// stall holds up syncs, and only those: a write that a sync waits for may come.
func (s *site) stall() (release func(fail bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gate := make(chan struct{})
	s.stalled = gate
	return func(fail bool) {
		s.mu.Lock()
		s.stalled, s.fail = nil, fail
		s.mu.Unlock()
		close(gate)
	}
}

func (s *site) inject(op errorfs.Op) error {
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
	default:
		return nil
	}
	s.mu.Lock()
	gate := s.stalled
	s.mu.Unlock()
	if gate != nil {
		<-gate
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail {
		return errors.New("injected: sync failed")
	}
	return nil
}

func (s *site) fill(full bool) {
	s.full = full
	usage := vfs.DiskUsage{TotalBytes: 100 << 30, AvailBytes: 50 << 30, UsedBytes: 50 << 30}
	if full {
		usage.AvailBytes, usage.UsedBytes = 100<<20, 100<<30-100<<20
	}
	s.fs.TestingSetDiskUsage(usage)
}
