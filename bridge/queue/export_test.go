package queue

import (
	"context"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/postgres"
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
func (s *Store) Abandon() { s.db.(*postgres.DB).Expire() }

// Renew has the bridge renew its row now.
func (s *Store) Renew(ctx context.Context) error { return s.db.(*postgres.DB).Renew(ctx, true) }
