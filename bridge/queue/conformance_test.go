package queue_test

import (
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
)

func TestConformanceOnDisk(t *testing.T) {
	runConformance(t, func(t *testing.T) Site {
		dir := filepath.Join(t.TempDir(), "data", "queue")
		return Site{
			Open: func() (*queue.Store, error) {
				return queue.Open(context.Background(), testOptions(t, queue.Options{Dir: dir, RetainAge: time.Hour}))
			},
			History: true,
		}
	})
}

func TestConformanceWithPowerCuts(t *testing.T) {
	runConformance(t, func(t *testing.T) Site { return newSite(t, queue.Options{RetainAge: time.Hour}).site() })
}

// The same with history that goes as soon as it may, and with a scrub that reads
// all the time and must find nothing.
func TestConformanceUnderPressure(t *testing.T) {
	runConformance(t, func(t *testing.T) Site {
		return newSite(t, queue.Options{ScrubEvery: 20 * time.Millisecond}.WithUpkeepEvery(time.Millisecond)).site()
	})
}

func testOptions(t *testing.T, opts queue.Options) queue.Options {
	opts.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	opts.AppendTimeout = time.Minute
	return opts
}

// site is a directory on a disk that forgets what was not synced.
type site struct {
	t     *testing.T
	opts  queue.Options
	store *queue.Store

	mu   sync.Mutex
	disk *crashDisk
	dir  string
	full bool
}

func newSite(t *testing.T, opts queue.Options) *site {
	s := &site{t: t, opts: testOptions(t, opts), disk: newCrashDisk(t), dir: t.TempDir()}
	t.Cleanup(func() {
		if s.store != nil && s.store.Usage().Damaged > 0 {
			t.Errorf("%d places are said to be damaged", s.store.Usage().Damaged)
		}
	})
	return s
}

func (s *site) site() Site {
	return Site{Open: s.open, Crash: s.crash, Stall: s.disk0, Fill: s.fill, History: s.opts.RetainAge > 0}
}

func (s *site) disk0() func(bool) { return s.disk.stall() }

func (s *site) open() (*queue.Store, error) {
	opts := s.opts.WithVFS(s.disk.name).WithDisk(func() (int64, int64) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.full {
			return 100 << 20, 100 << 30
		}
		return 50 << 30, 100 << 30
	})
	opts.Dir = s.dir
	store, err := queue.Open(context.Background(), opts)
	if err == nil {
		s.store = store
	}
	return store, err
}

func (s *site) crash(percent int, seed uint64) {
	to := s.t.TempDir()
	require.NoError(s.t, s.disk.crash(to, percent, seed))
	_ = s.store.Close() // on the old disk, which is not read again
	vfs.Unregister(s.disk.name)
	require.NoError(s.t, os.RemoveAll(s.dir))
	s.disk, s.dir = newCrashDisk(s.t), to
}

func (s *site) fill(full bool) {
	s.mu.Lock()
	s.full = full
	s.mu.Unlock()
}
