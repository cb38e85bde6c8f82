package queue

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
	"github.com/currentsbridge/currentsbridge/internal/progress"
)

const (
	minReserve = 24 << 20
	maxReserve = 256 << 20
)

// room knows how much room there is.
type room struct {
	store   *Store
	hurried chan struct{} // wakes the upkeep

	mu      sync.Mutex
	used    int64
	spare   int64 // of the store's own file
	free    int64 // of the file system; -1: unknown
	reserve int64
	full    bool
}

func newRoom(s *Store) *room {
	r := &room{store: s, hurried: make(chan struct{}, 1)}
	r.measure()
	return r
}

// measure asks the database and the file system.
func (r *room) measure() {
	used, spare, free, total := r.store.db.size()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used, r.spare, r.free = used, spare, free
	r.reserve = r.store.opts.Reserve
	if r.reserve <= 0 {
		r.reserve = max(minReserve, min(maxReserve, total/10))
	}
	slack := int64(0)
	if r.full {
		slack = r.reserve / 8 // some more room before batches are taken again than for going on
	}
	r.turn(r.short(0, slack, 0) > 0)
}

// turn notes whether the store is full and logs when that changes. mu must be
// held.
func (r *room) turn(full bool) {
	if full != r.full {
		r.full = full
		r.store.log.Warn(map[bool]string{true: "no room for new batches", false: "room for new batches again"}[full], "used", progress.Bytes(r.used),
			"max_size", sizeOr(r.store.opts.MaxBytes, "all there is"), "free", sizeOr(r.free, "unknown"), "reserve", progress.Bytes(r.reserve))
	}
}

// sizeOr is a size for people, and otherwise where there is none.
func sizeOr(n int64, otherwise string) string {
	if n <= 0 {
		return otherwise
	}
	return progress.Bytes(n)
}

// short returns how many bytes are missing for n more, and slack beyond them on
// the disk (and no more than an eighth of the limit within it), where the disk is
// to get back so many; it is negative where there are some to spare. mu must be
// held.
func (r *room) short(n, slack, back int64) int64 {
	missing := int64(-1) << 62
	if limit := r.store.opts.MaxBytes; limit > 0 {
		missing = r.used + n + min(slack, limit/8) - limit
	}
	if r.free >= 0 {
		missing = max(missing, r.reserve+slack+n-r.free-back)
	}
	return missing
}

// admit says whether a batch of n bytes may be stored.
func (r *room) admit(n int) error {
	used, _, free, _ := r.store.db.size()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used, r.free = used, free
	if !r.full && r.short(2*int64(n), 0, 0) <= 0 { // once in the log, once in the file
		return nil
	}
	r.turn(r.full || r.short(0, r.reserve/8, 0) > 0) // a batch that is large beside the room says nothing of others
	r.hurry()
	return ErrFull
}

// admitOutcome says whether an outcome, or what an operator orders, may be
// stored. It may while there is an eighth of the reserve: outcomes are small, and
// what they free is more.
func (r *room) admitOutcome() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.free >= 0 && r.free < r.reserve/8 {
		r.hurry()
		return ErrFull
	}
	return nil
}

func (r *room) hurry() {
	select {
	case r.hurried <- struct{}{}:
	default:
	}
}

// excess returns how much history should be pruned, in bytes, so that there is
// room before batches have to be rejected. What was pruned and not given back to
// the disk yet is room.
func (r *room) excess() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.short(0, r.reserve/2, r.spare)
}

func (r *room) usage() Usage {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Usage{Bytes: r.used, Free: max(r.free, 0), Limit: r.store.opts.MaxBytes, Full: r.full}
}

// One transaction removes so many records or about so many bytes: the pages that
// it frees are overwritten by way of the log, which needs room on a full disk.
const (
	pruned      = 200
	prunedBytes = 2 << 20
)

// prune removes history that is too old or too much, oldest first, and ids beyond
// the windows.
func (s *Store) prune(ctx context.Context) error {
	if !s.db.prunes() {
		return nil
	}
	stored, err := s.number(ctx, `SELECT CAST(coalesce(sum(history), 0) AS BIGINT) FROM ledger`)
	if err != nil {
		return err
	}
	drop := int64(0)
	if s.opts.RetainBytes > 0 {
		drop = stored - s.opts.RetainBytes
	}
	drop = max(drop, min(s.room.excess(), stored))
	olderThan := s.opts.Now().Add(-s.opts.RetainAge).UnixMicro()
	for dropped := int64(1); stored > 0 && dropped > 0; drop -= dropped {
		if dropped, err = s.pruneSome(ctx, olderThan, drop); err != nil {
			return err
		}
	}
	s.room.measure()
	for _, q := range s.queues() {
		if err := q.pruneIDs(ctx); err != nil {
			return err
		}
	}
	return nil
}

// OldestHistory returns when the oldest record of history was received, which is
// how far back a replay can go; zero: there is no history.
func (s *Store) OldestHistory(ctx context.Context) (at time.Time, err error) {
	micros, err := s.number(ctx, `SELECT coalesce((SELECT received FROM record WHERE pending = 0 ORDER BY seq LIMIT 1), 0)`)
	if micros > 0 {
		at = time.UnixMicro(micros)
	}
	return at, err
}

type prunable struct{ seq, connector, stored int64 }

// pruneSome removes the oldest settled records: those settled before olderThan,
// and drop bytes in any case. It returns how many bytes it has removed.
func (s *Store) pruneSome(ctx context.Context, olderThan, drop int64) (dropped int64, err error) {
	var list []prunable
	err = s.db.view(ctx, func(t tx) error {
		return t.query(`SELECT seq, connector, stored, settled FROM record WHERE pending = 0 ORDER BY seq LIMIT `+strconv.Itoa(pruned), func(r row) error {
			var p prunable
			var settled int64
			if err := r.scan(&p.seq, &p.connector, &p.stored, &settled); err != nil {
				return err
			}
			if settled >= olderThan && dropped >= drop || dropped >= prunedBytes {
				return errStop
			}
			dropped += p.stored
			list = append(list, p)
			return nil
		})
	})
	if err != nil || len(list) == 0 {
		return 0, s.db.classify(err)
	}
	err = s.writer.run(ctx, &op{size: 100 * len(list), do: func(c *change) error { return s.removeRecords(c, list) }})
	crashpoint.At("prune.after")
	return dropped, err
}

// removeRecords removes settled records and their bodies.
func (s *Store) removeRecords(c *change, list []prunable) error {
	gone := map[int64]int64{} // bytes by connector
	for _, p := range list {
		gone[p.connector] += p.stored
		err := c.exec(`DELETE FROM record WHERE seq = $1`, p.seq)
		if err == nil && !s.shared { // else bodies go with their table
			err = c.exec(`DELETE FROM body WHERE seq = $1`, p.seq)
		}
		if err != nil {
			return err
		}
	}
	for connector, n := range gone {
		if err := c.exec(`UPDATE ledger SET history = history - $1 WHERE connector = $2 AND bridge = $3`, n, connector, s.bridge); err != nil {
			return err
		}
	}
	crashpoint.At("prune.before-commit")
	return nil
}

// pruneIDs removes the ids that are far beyond the window.
func (q *Queue) pruneIDs(ctx context.Context) error {
	if q.idsStored.Load() <= int64(q.windowSize)*5/4+10_000 {
		return nil
	}
	var oldest, have int64
	err := q.store.db.view(ctx, func(t tx) error {
		return t.query(`SELECT seq, length(hashes) / 16 FROM ids WHERE connector = $1 ORDER BY seq DESC`, func(r row) error {
			var n int64
			if err := r.scan(&oldest, &n); err != nil {
				return err
			}
			if have += n; have >= int64(q.windowSize) {
				return errStop
			}
			return nil
		}, q.id)
	})
	if err != nil {
		return q.store.db.classify(err)
	}
	for removed := int64(1); removed > 0; {
		err := q.order(ctx, func(c *change) error {
			var last int64
			err := c.query(`SELECT coalesce(max(seq), 0), CAST(coalesce(sum(n), 0) AS BIGINT) FROM (SELECT seq, length(hashes) / 16 AS n FROM ids WHERE connector = $1 AND seq < $2 ORDER BY seq LIMIT 2000) AS old`,
				func(r row) error { return r.scan(&last, &removed) }, q.id, oldest)
			if err == nil && q.store.shared {
				err = c.exec(`DELETE FROM batch WHERE connector = $1 AND seq <= $2`, q.id, last)
			}
			if err != nil {
				return err
			}
			c.of(q).pruned = removed
			return c.exec(`DELETE FROM ids WHERE connector = $1 AND seq <= $2`, q.id, last)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
