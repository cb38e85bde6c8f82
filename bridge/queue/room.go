package queue

import (
	"context"
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
	used, free, total := r.store.db.size()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used, r.free = used, free
	r.reserve = r.store.opts.Reserve
	if r.reserve <= 0 {
		r.reserve = max(minReserve, min(maxReserve, total/10))
	}
	slack := int64(0)
	if r.full {
		slack = 8 // some more room before batches are taken again than for going on
	}
	r.turn(r.short(0, slack) > 0)
}

// turn notes whether the store is full and logs when that changes. mu must be
// held.
func (r *room) turn(full bool) {
	if full == r.full {
		return
	}
	r.full = full
	if full {
		r.store.log.Warn("no room for new batches", "used", progress.Bytes(r.used), "max_size", sizeOr(r.store.opts.MaxBytes, "all there is"), "free", sizeOr(r.free, "unknown"), "reserve", progress.Bytes(r.reserve))
	} else {
		r.store.log.Info("room for new batches again", "used", progress.Bytes(r.used), "free", sizeOr(r.free, "unknown"))
	}
}

// sizeOr is a size for people, and otherwise where there is none.
func sizeOr(n int64, otherwise string) string {
	if n <= 0 {
		return otherwise
	}
	return progress.Bytes(n)
}

// short returns how many bytes are missing for n more; it is negative where
// there are some to spare. A slack of k asks for the k-th part of the reserve,
// and the 4k-th of the limit, in addition. mu must be held.
func (r *room) short(n, slack int64) int64 {
	part := func(of int64) int64 {
		if slack == 0 {
			return 0
		}
		return of / slack
	}
	missing := int64(-1) << 62
	if limit := r.store.opts.MaxBytes; limit > 0 {
		missing = r.used + n - (limit - part(limit/4))
	}
	if r.free >= 0 {
		missing = max(missing, r.reserve+part(r.reserve)-(r.free-n))
	}
	return missing
}

// admit says whether a batch of n bytes may be stored.
func (r *room) admit(n int) error {
	used, free, _ := r.store.db.size()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used, r.free = used, free
	if !r.full && r.short(2*int64(n), 0) <= 0 { // once in the log, once in the file
		return nil
	}
	r.turn(r.full || r.short(0, 8) > 0) // a batch that is large beside the room says nothing of others
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
// room before batches have to be rejected.
func (r *room) excess() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.short(0, 2)
}

func (r *room) usage() Usage {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Usage{Bytes: r.used, Free: max(r.free, 0), Limit: r.store.opts.MaxBytes, Full: r.full}
}

// pruned is how many records one transaction removes.
const pruned = 200

// prune removes history that is too old or too much, oldest first, and ids beyond
// the windows.
func (s *Store) prune(ctx context.Context) error {
	if !s.db.prunes() {
		return nil
	}
	for {
		history, err := s.history(ctx)
		if err != nil {
			return s.db.classify(err)
		}
		drop := int64(0)
		if s.opts.RetainBytes > 0 {
			drop = history - s.opts.RetainBytes
		}
		drop = max(drop, min(s.room.excess(), history))
		n, err := s.pruneSome(ctx, s.opts.Now().Add(-s.opts.RetainAge).UnixMicro(), drop)
		if err != nil {
			return err
		}
		s.room.measure()
		if n < pruned {
			break
		}
	}
	for _, q := range s.queues() {
		if err := q.pruneIDs(ctx); err != nil {
			return err
		}
	}
	return nil
}

// history returns the bytes of all bodies whose events are settled.
func (s *Store) history(ctx context.Context) (n int64, err error) {
	err = s.db.view(ctx, func(t tx) error {
		n, err = one(t, `SELECT CAST(coalesce(sum(history), 0) AS BIGINT) FROM ledger`)
		return err
	})
	return n, err
}

// OldestHistory returns when the oldest record of history was received, which is
// how far back a replay can go; zero: there is no history.
func (s *Store) OldestHistory(ctx context.Context) (at time.Time, err error) {
	err = s.db.view(ctx, func(t tx) error {
		micros, err := one(t, `SELECT coalesce((SELECT received FROM record WHERE pending = 0 ORDER BY seq LIMIT 1), 0)`)
		if micros > 0 {
			at = time.UnixMicro(micros)
		}
		return err
	})
	return at, s.db.classify(err)
}

type prunable struct{ seq, connector, stored int64 }

// pruneSome removes the oldest settled records: those settled before olderThan, and drop bytes in any case. It returns how many it has removed.
func (s *Store) pruneSome(ctx context.Context, olderThan, drop int64) (int, error) {
	var list []prunable
	err := s.db.view(ctx, func(t tx) error {
		list = list[:0]
		left := drop
		return t.query(`SELECT seq, connector, stored, settled FROM record WHERE pending = 0 ORDER BY seq LIMIT ?`, func(r row) error {
			var p prunable
			var settled int64
			if err := r.scan(&p.seq, &p.connector, &p.stored, &settled); err != nil {
				return err
			}
			if settled >= olderThan && left <= 0 {
				return errStop
			}
			left -= p.stored
			list = append(list, p)
			return nil
		}, int64(pruned))
	})
	if err != nil || len(list) == 0 {
		return 0, s.db.classify(err)
	}
	o := &op{size: 100 * len(list), do: func(c *change) error {
		for _, p := range list {
			if err := s.removeRecord(c, p); err != nil {
				return err
			}
		}
		crashpoint.At("prune.before-commit")
		return nil
	}}
	err = s.writer.run(ctx, o)
	crashpoint.At("prune.after")
	return len(list), err
}

// removeRecord removes a settled record and its body.
func (s *Store) removeRecord(c *change, p prunable) error {
	err := c.exec(`DELETE FROM record WHERE seq = ?`, p.seq)
	if err == nil && !s.shared { // else bodies go with their table
		err = c.exec(`DELETE FROM body WHERE seq = ?`, p.seq)
	}
	if err == nil {
		err = c.exec(`UPDATE ledger SET history = history - ? WHERE connector = ? AND bridge = ?`, p.stored, p.connector, s.bridge)
	}
	return err
}

// pruneIDs removes the ids that are far beyond the window.
func (q *Queue) pruneIDs(ctx context.Context) error {
	stored := int64(0)
	if err := q.order(ctx, func(*change) error { return nil }, func() { stored = q.idsStored }); err != nil {
		return err
	}
	if stored <= int64(q.windowSize)*5/4+10_000 {
		return nil
	}
	var oldest, have int64
	err := q.store.db.view(ctx, func(t tx) error {
		oldest, have = 0, 0
		return t.query(`SELECT seq, events FROM ids WHERE connector = ? ORDER BY seq DESC`, func(r row) error {
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
			removed = 0
			var last int64
			err := c.query(`SELECT coalesce(max(seq), 0), CAST(coalesce(sum(events), 0) AS BIGINT) FROM (SELECT seq, events FROM ids WHERE connector = ? AND seq < ? ORDER BY seq LIMIT 2000) AS old`,
				func(r row) error { return r.scan(&last, &removed) }, q.id, oldest)
			if err != nil || removed == 0 {
				return err
			}
			if q.store.shared {
				if err := c.exec(`DELETE FROM batch WHERE connector = ? AND seq <= ?`, q.id, last); err != nil {
					return err
				}
			}
			return c.exec(`DELETE FROM ids WHERE connector = ? AND seq <= ?`, q.id, last)
		}, func() { q.idsStored -= removed })
		if err != nil {
			return err
		}
	}
	return nil
}
