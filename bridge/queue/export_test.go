package queue

import (
	"context"
	"time"

	"github.com/ncruces/go-sqlite3/vfs"
)

// WithVFS has the embedded store use a file system of a test's own.
func (o Options) WithVFS(name string) Options {
	o.vfs = name
	return o
}

// WithUpkeepEvery sets the time between two looks at disk and history.
func (o Options) WithUpkeepEvery(d time.Duration) Options {
	o.maintainEvery = d
	return o
}

// WithDisk says what the disk has, free and in all.
func (o Options) WithDisk(disk func() (free, total int64)) Options {
	o.disk = disk
	return o
}

// Abandon has the store stop answering, as a bridge that was killed.
func (s *Store) Abandon() {
	p := s.db.(*postgres)
	close(p.stop)
	p.stopped.Wait()
	p.stop = make(chan struct{})
}

// Renew has the bridge renew its row now.
func (s *Store) Renew(ctx context.Context) error { return s.db.(*postgres).renew(ctx, true) }

var ScanLog = scanLog

// OnDisk is a file system as the store uses it, over another one.
func OnDisk(v vfs.VFS) vfs.VFS { return diskVFS{v} }
