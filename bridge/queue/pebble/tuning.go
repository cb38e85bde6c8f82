package pebble

import (
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
)

const (
	memTableSize = 8 << 20
	cacheSize    = 8 << 20
	maxOpenFiles = 256
	garbageShare = 0.5 // of what is in blob files: no more is copied than is won by it
)

// tuning sets Pebble up for a queue: large values that are compressed already,
// written once in order, read once in order soon after, and deleted in order.
func tuning(o Options) *pebble.Options {
	opts := &pebble.Options{
		FS:                          o.FS,
		Logger:                      logger{o.Logger},
		FormatMajorVersion:          pebble.FormatValueSeparation,
		CacheSize:                   cacheSize,
		MaxOpenFiles:                maxOpenFiles,
		MemTableSize:                o.memTable,
		MemTableStopWritesThreshold: 4,
		// Only keys and ids are ever compacted, so that a compaction is cheap
		// and a few more files in L0 cost nothing.
		L0CompactionThreshold: 4,
		L0StopWritesThreshold: 1000,
		BytesPerSync:          1 << 20,
		WALBytesPerSync:       1 << 20,
		// One flush makes one blob file; the sizes count what tables refer to.
		FlushSplitBytes: 64 << 20,
		TargetFileSizes: [7]int64{32 << 20, 64 << 20, 64 << 20, 64 << 20, 64 << 20, 64 << 20, 64 << 20},
	}
	// Bodies go to blob files when the memtable is flushed and are not
	// rewritten by compactions: what is written twice is all that is written.
	// A blob file goes when the last of its records goes. As records go in the
	// order in which they came, that is soon, unless it holds a dead letter or
	// what waits for a destination that is down: a few of those would keep all
	// that came at the same time. So what is alive in such files is copied once
	// more than garbageShare of all values is dead.
	opts.Experimental.ValueSeparationPolicy = func() pebble.ValueSeparationPolicy {
		return pebble.ValueSeparationPolicy{
			Enabled:               true,
			MinimumSize:           256,
			MaxBlobReferenceDepth: 1 << 20,
			TargetGarbageRatio:    garbageShare,
		}
	}
	opts.Experimental.SpanPolicyFunc = spanPolicy
	opts.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	opts.EventListener = &pebble.EventListener{
		BackgroundError: func(err error) {
			o.Logger.Error("queue storage: background work failed", "error", brief(err))
		},
	}
	return opts
}

// spanPolicy lets only the values of records and of dead letters go to blob
// files: they say whose they are, so that what is in such a file is of use
// without the tables. Ids in particular are deleted at another time than
// records, and one of the two would keep the other's blob files.
func spanPolicy(start []byte) (pebble.SpanPolicy, []byte, error) {
	inTable := pebble.SpanPolicy{ValueStoragePolicy: pebble.ValueStorageLowReadLatency}
	kind := byte(0)
	if len(start) > 0 {
		kind = start[0]
	}
	switch {
	case kind == keyDead || kind == keyRecord:
		return pebble.SpanPolicy{}, []byte{kind + 1}, nil
	case kind < keyDead:
		return inTable, []byte{keyDead}, nil
	case kind < keyRecord:
		return inTable, []byte{keyRecord}, nil
	default:
		return inTable, nil, nil
	}
}

// logger passes on what Pebble says.
type logger struct{ to *slog.Logger }

func (l logger) Infof(format string, args ...any) {
	l.to.Debug("queue storage: " + fmt.Sprintf(format, args...))
}

func (l logger) Errorf(format string, args ...any) {
	l.to.Error("queue storage: " + fmt.Sprintf(format, args...))
}

// Fatalf must not return. Pebble calls it where its state in memory and that on
// disk have come apart; only a new start from what is on disk is safe.
func (l logger) Fatalf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.to.Error("queue storage: fatal: " + text)
	panic("queue storage: " + text)
}
