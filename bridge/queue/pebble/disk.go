package pebble

import (
	"math"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

const (
	maxReserve = 256 << 20
	// minReserve is for what Pebble takes all at once: a new log has room for a
	// memtable set aside while the one before is written out.
	minReserve = 3 * memTableSize
	// written is by how much a byte of a commit may grow the store: once in
	// the log, once in a blob file before that log is gone.
	written = 2
	// reopenSlack is the slack, as short takes it, that there must be before a
	// store that was full takes batches again.
	reopenSlack = 8
)

// disk knows how much room there is. It measures every now and then and in
// between counts what is written.
type disk struct {
	store   *Store
	max     int64 // 0: no limit but the reserve
	reserve int64

	mu    sync.Mutex
	bytes int64 // of the store's files, as last measured
	free  int64 // of the file system, as last measured; -1: unknown
	since int64 // bytes of commits since then
	log   int64 // bytes that were only in the log then, and will be in a blob file too
	full  bool
}

// init takes the first measure.
func (d *disk) init(s *Store) {
	d.store, d.max, d.free = s, s.opts.MaxBytes, -1
	d.measure()
}

// measure asks the store and the file system.
func (d *disk) measure() {
	d.mu.Lock()
	d.since = 0 // what is written from here on may count twice, never not at all
	d.mu.Unlock()
	metrics := d.store.db.Metrics()
	bytes := filesOf(metrics)
	usage, err := d.store.opts.FS.GetDiskUsage(d.store.dir)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bytes, d.free, d.log = bytes, -1, int64(metrics.WAL.Size)
	if err == nil {
		d.free = int64(usage.AvailBytes)
		d.reserve = d.store.opts.Reserve
		if d.reserve <= 0 {
			d.reserve = max(minReserve, min(maxReserve, int64(usage.TotalBytes/10)))
		}
	}
	d.update()
}

// filesOf is what the files of the store take, but for a few small ones. (The
// sum that Pebble itself offers forgets the blob files that were there when the
// store was opened.)
func filesOf(m *pebble.Metrics) int64 {
	total := m.Total()
	return int64(m.WAL.PhysicalSize+m.WAL.ObsoletePhysicalSize+
		m.Table.ObsoleteSize+m.Table.ZombieSize+
		m.BlobFiles.LiveSize+m.BlobFiles.ObsoleteSize+m.BlobFiles.ZombieSize) +
		total.TablesSize + m.Compact.InProgressBytes
}

// update decides whether the store is full. It asks for some more room before it
// takes batches again than for going on. mu must be held.
func (d *disk) update() {
	slack := int64(0)
	if d.full {
		slack = reopenSlack
	}
	d.turn(d.short(0, slack) > 0)
}

// turn notes whether the store is full and says so when that changes. mu must be
// held.
func (d *disk) turn(full bool) {
	if full == d.full {
		return
	}
	d.full = full
	log := d.store.opts.Logger
	if full {
		log.Warn("no room for new batches", "bytes", d.bytes, "max_bytes", d.max, "free_bytes", d.free, "reserve_bytes", d.reserve)
	} else {
		log.Info("room for new batches again", "bytes", d.bytes, "free_bytes", d.free)
	}
}

// short returns how many bytes are missing for a commit of n bytes; it is
// negative where there are some to spare. A slack of k asks for the k-th part
// of the reserve, and the 4k-th of the limit, in addition. mu must be held.
func (d *disk) short(n, slack int64) int64 {
	missing := int64(math.MinInt64)
	grown := written * (d.since + n)
	part := func(of int64) int64 {
		if slack == 0 {
			return 0
		}
		return of / slack
	}
	if d.max > 0 {
		missing = d.bytes + grown - (d.max - part(d.max/4))
	}
	if d.free >= 0 {
		missing = max(missing, d.reserve+part(d.reserve)-(d.free-d.log-grown))
	}
	return missing
}

// admit says whether a batch of n bytes may be stored. Where the rest of the room
// is too small for one, the store is full, though not to the last byte: else
// batches of one size would all be refused, and nobody would be told.
func (d *disk) admit(n int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.full && d.short(int64(n), 0) <= 0 {
		return nil
	}
	// A batch that is large beside the room that there is says nothing of others.
	d.turn(d.full || d.short(0, reopenSlack) > 0)
	d.store.hurry()
	return queue.ErrFull
}

// admitOutcome says whether an outcome, or what an operator orders, may be
// stored, of n bytes. It may while there is an eighth of the reserve: outcomes
// are small, and what they free is more.
func (d *disk) admitOutcome(n int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.free >= 0 && d.free-d.log-written*(d.since+int64(n)) < d.reserve/8 {
		d.store.hurry()
		return queue.ErrFull
	}
	return nil
}

// wrote counts a commit of n bytes.
func (d *disk) wrote(n int) {
	d.mu.Lock()
	d.since += int64(n)
	d.mu.Unlock()
}

// excess returns how much history should be given up, in bytes, so that there
// is room before batches have to be refused.
func (d *disk) excess() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.short(0, 2)
}

func (d *disk) usage() queue.Usage {
	d.mu.Lock()
	defer d.mu.Unlock()
	return queue.Usage{Bytes: d.bytes + d.since, Free: max(d.free, 0), Full: d.full}
}
