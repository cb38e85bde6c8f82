package pebble

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// troublePause is how long new files wait after background work has failed.
	// Pebble tries a flush that has failed again at once and without end, as
	// where the disk has no room, and would need a whole core for it.
	troublePause = 250 * time.Millisecond
	troubleTold  = 10 * time.Second // between two lines of the log about it
)

// trouble is what is known of background work that fails.
type trouble struct {
	last atomic.Int64 // when it failed last, in nanoseconds
	told atomic.Int64 // when that was logged
}

// note takes in that background work has failed.
func (t *trouble) note(log *slog.Logger, err error) {
	now := time.Now().UnixNano()
	t.last.Store(now)
	if told := t.told.Load(); now-told >= int64(troubleTold) && t.told.CompareAndSwap(told, now) {
		log.Error("queue storage: background work failed, and is tried again", "error", brief(err))
	}
}

// Create makes a file of background work wait while that fails.
func (o *opening) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, ok := parseName(o.PathBase(name))
	if ok && f.kind != logFile && time.Since(time.Unix(0, o.trouble.last.Load())) < troublePause {
		time.Sleep(troublePause)
	}
	return o.FS.Create(name, c)
}
