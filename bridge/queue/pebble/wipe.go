package pebble

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
)

const (
	wipeEvery    = 10 * time.Millisecond // between two looks at Pebble's work
	wipePatience = time.Minute           // that its work may stand still

	squeezeTime     = 10 * time.Second // for what upkeep waits
	squeezePatience = time.Second
)

// wiper makes Pebble let go of bytes that were overwritten or deleted. Left
// alone, they stay in three places: in logs that are kept to be used again, in
// tables until a compaction comes by, and in blob files, which the tuning never
// has rewritten. One Erase uses it at a time.
type wiper struct {
	turn    chan struct{} // holds one element; who has taken it may erase
	rewrite atomic.Int32  // above 0: blob files with anything dead in them are rewritten
	logs    logFS
}

// tune makes Pebble's options do what the wiper asks for.
func (w *wiper) tune(opts *pebble.Options) {
	w.turn = make(chan struct{}, 1)
	w.turn <- struct{}{}
	w.logs.FS = opts.FS
	opts.FS = &w.logs
	usual := opts.Experimental.ValueSeparationPolicy
	opts.Experimental.ValueSeparationPolicy = func() pebble.ValueSeparationPolicy {
		policy := usual()
		if w.rewrite.Load() > 0 {
			policy.TargetGarbageRatio = 0
		}
		return policy
	}
}

// wipe returns once nothing that was overwritten or deleted in the records and
// dead letters of q is in a file any more. Where nothing is left to do, it only
// looks; so it also finishes what was cut off before.
func (s *Store) wipe(ctx context.Context, q *connQueue) error {
	s.wiper.rewrite.Add(1)
	defer s.wiper.rewrite.Add(-1)
	if err := s.wipeLogs(ctx); err != nil {
		return fmt.Errorf("erase from the log: %w", err)
	}
	crashpoint.At("erase.logs-dropped")
	for _, kind := range [...]byte{keyRecord, keyDead} {
		// Moves keys only; values below 256 bytes lie beside them.
		if err := s.db.Compact(ctx, seqKey(kind, q.conn, 0), seqKey(kind, q.conn, end), false); err != nil {
			return fmt.Errorf("erase from tables: %w", err)
		}
	}
	// One file at a time is rewritten, so that it takes no room to speak of.
	if err := s.await(ctx, wipePatience, garbage); err != nil {
		return fmt.Errorf("erase from blob files: %w", err)
	}
	if err := s.await(ctx, wipePatience, func(m *pebble.Metrics) uint64 {
		return m.BlobFiles.ZombieCount + m.BlobFiles.ObsoleteCount + uint64(m.Table.ZombieCount+m.Table.ObsoleteCount)
	}); err != nil {
		return fmt.Errorf("delete files that something was erased from: %w", err)
	}
	crashpoint.At("erase.wiped")
	return syncDir(s.opts.FS, s.dir)
}

// garbage is how many bytes in blob files nothing refers to any more.
func garbage(m *pebble.Metrics) uint64 {
	return m.BlobFiles.ValueSize - min(m.BlobFiles.ValueSize, m.BlobFiles.ReferencedValueSize)
}

// squeeze has blob files rewritten that hold more than what is alive, as far as
// that gets on.
func (s *Store) squeeze(ctx context.Context) {
	if garbage(s.db.Metrics()) == 0 {
		return
	}
	s.wiper.rewrite.Add(1)
	defer s.wiper.rewrite.Add(-1)
	ctx, cancel := context.WithTimeout(ctx, squeezeTime)
	defer cancel()
	_ = s.await(ctx, squeezePatience, garbage) // what is left is met the next time
}

// await returns when left is 0 for a moment, which says that all that there was
// before is done, whatever has come since; or an error when it stands still for
// so long.
func (s *Store) await(ctx context.Context, patience time.Duration, left func(*pebble.Metrics) uint64) error {
	tick := time.NewTicker(wipeEvery)
	defer tick.Stop()
	last, since := uint64(0), time.Now()
	for {
		n := left(s.db.Metrics())
		switch {
		case n == 0:
			return nil
		case n != last:
			last, since = n, time.Now()
		case time.Since(since) > patience:
			return errors.New("storage does not get on with it; ask again")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.failed:
			return s.failure.Load().err
		case <-tick.C:
		}
	}
}

// wipeLogs has all that is in the logs written to tables and deletes the logs.
func (s *Store) wipeLogs(ctx context.Context) error {
	logs := &s.wiper.logs
	logs.fresh.Store(true)
	defer logs.fresh.Store(false)
	newest := uint64(0)
	names, err := s.opts.FS.List(s.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if n, ok := logNumber(name); ok {
			newest = max(newest, n)
		}
	}
	// A flush begins a log of its own; once it is done, none before is needed.
	flushed, err := s.db.AsyncFlush()
	if err != nil {
		return err
	}
	select {
	case <-flushed:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.failed:
		return s.failure.Load().err
	}
	for _, name := range names {
		if n, ok := logNumber(name); ok && n <= newest {
			if err := logs.drop(s.opts.FS.PathJoin(s.dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// logNumber takes the number out of a log's name, NUMBER.log.
func logNumber(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, ".log")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil
}

// logFS is a file system in which the logs that Pebble keeps to be used again
// can be deleted: where such a log is gone, it gets a new one. While fresh is
// set it gets new ones always, as an old one would bring its bytes along.
type logFS struct {
	vfs.FS
	fresh atomic.Bool
	mu    sync.Mutex // keeps a log from being used again while it is deleted
}

// Unwrap is for Pebble, which looks for what lies below.
func (l *logFS) Unwrap() vfs.FS { return l.FS }

// ReuseForWrite implements vfs.FS. Pebble uses it for logs alone.
func (l *logFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.FS.Stat(from)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return l.FS.Create(to, c)
	case err == nil && l.fresh.Load():
		if err := l.FS.Remove(from); err != nil {
			return nil, err
		}
		return l.FS.Create(to, c)
	default:
		return l.FS.ReuseForWrite(from, to, c)
	}
}

// drop deletes a log, if it is there.
func (l *logFS) drop(name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.FS.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
