// Package pebble keeps the queues of all connectors in one Pebble store, a
// directory on a local disk. It needs nothing installed and is the default.
//
// One Append is one record and one atomic, fsynced commit, whatever it holds:
// the events, their ids for the duplicate window, dead letters, and the
// connector's totals. Concurrent commits share an fsync. Records that are done
// stay as history until they are too old or too many.
package pebble

import (
	"context"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options configure a store. The zero Options are good: history is then not
// kept, and the store may fill the disk up to the reserve.
type Options struct {
	// FS is the file system; nil: the operating system's. Tests put one in its
	// place that fails or forgets what was not synced.
	FS vfs.FS
	// Logger gets what an operator should know; nil: nothing is logged.
	Logger *slog.Logger

	// RetainAge is how long a record stays as history once all of its events
	// have an outcome; 0: not at all.
	RetainAge time.Duration
	// RetainBytes is how much history is kept at most, as it is on disk and
	// over all connectors; 0: as much as RetainAge says. The oldest goes first.
	RetainBytes int64

	// MaxBytes is how much disk the store may take; 0: all but the reserve.
	// The store itself needs some ten megabytes. Above it, and where the disk
	// has less than the reserve left, history is given up, oldest first; where
	// that does not help, Append returns queue.ErrFull until there is room.
	MaxBytes int64
	// Reserve is the free space of the disk that new batches may not take, in
	// bytes; 0: a tenth of the disk, within 24 and 256 MiB. It is there
	// because a log that cannot be written ends the store.
	Reserve int64

	// ScrubEvery is the time in which everything on disk is read once, at an even
	// pace and at 8 MiB a second at most, so that damage is named before anybody
	// needs what it hit; 0: never.
	ScrubEvery time.Duration

	// CheckEvery is the time between two looks at disk and history; 0: a second.
	CheckEvery time.Duration
	// Now is the clock; nil: time.Now.
	Now func() time.Time

	memTable  uint64 // bytes that Pebble collects in memory; tests make it small
	compactAt uint64 // bytes of history given up before their files are let go of; tests make it small
	pause     func(context.Context, time.Duration) error
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = private{vfs.Default}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.CheckEvery <= 0 {
		o.CheckEvery = time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.pause == nil {
		o.pause = pauseFor
	}
	if o.compactAt == 0 {
		o.compactAt = compactAt
	}
	if o.memTable == 0 {
		o.memTable = memTableSize
	}
	return o
}
