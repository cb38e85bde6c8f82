package queue

import (
	"context"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/sqldb"
	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
	"github.com/currentsbridge/currentsbridge/internal/progress"
)

const maxReserve = 256 << 20

// diskSpace knows how much room there is.
type diskSpace struct {
	store *Store
	wake  chan struct{} // wakes maintain

	mu      sync.Mutex
	used    int64
	spare   int64 // of the store's own file
	free    int64 // of the file system; -1: unknown
	reserve int64
	full    bool
}

// lock asks the database and the file system, and locks mu.
func (r *diskSpace) lock() {
	used, spare, free, total := r.store.db.Size()
	r.mu.Lock()
	r.used, r.spare, r.free = used, spare, free
	r.reserve = max(sqldb.MinReserve, min(maxReserve, total/10))
}

// measure finds out whether the store is full.
func (r *diskSpace) measure() {
	r.lock()
	defer r.mu.Unlock()
	slack := int64(0)
	if r.full {
		slack = r.reserve / 8 // some more room before batches are taken again than for going on
	}
	r.setFull(r.short(0, slack, 0) > 0)
}

// setFull notes whether the store is full and logs when that changes. mu must be
// held.
func (r *diskSpace) setFull(full bool) {
	if full != r.full {
		r.full = full
		r.store.log.Warn(map[bool]string{true: "no room for new batches", false: "room for new batches again"}[full], "used", progress.Bytes(r.used),
			"max_size", sizeOr(r.store.opts.MaxBytes, "all there is"), "free", sizeOr(r.free, "unknown"), "reserve", progress.Bytes(r.reserve))
	}
}

func (r *diskSpace) isFull() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.full
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
func (r *diskSpace) short(n, slack, back int64) int64 {
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
func (r *diskSpace) admit(n int) error {
	r.lock()
	defer r.mu.Unlock()
	if !r.full && r.short(2*int64(n), 0, 0) <= 0 { // once in the log, once in the file
		return nil
	}
	r.setFull(r.full || r.short(0, r.reserve/8, 0) > 0) // a batch that is large beside the room says nothing of others
	signal(r.wake)
	return ErrFull
}

// admitOutcome says whether an outcome, or what an operator orders, may be
// stored. It may while there is an eighth of the reserve: outcomes are small, and
// what they free is more.
func (r *diskSpace) admitOutcome() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.store.shared && r.free >= 0 && r.free < r.reserve/8 { // a server has room for one or has not
		signal(r.wake)
		return ErrFull
	}
	return nil
}

// excess returns how much history should be pruned, in bytes, so that there is
// room before batches have to be rejected. What was pruned and not given back to
// the disk yet is room.
func (r *diskSpace) excess() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	slack := r.reserve / 2
	if r.store.shared { // a table of bodies gives its room back as a whole
		slack = max(slack, r.used/16)
	}
	return r.short(0, slack, r.spare)
}

// One transaction removes so many records or about so many bytes: the pages that
// it frees are overwritten by way of the log, which needs room on a full disk.
// Whoever appends meanwhile waits for it, so it is a small one, unless pruning has taken
// a second already: small ones alone may never catch up with what is appended.
const pruned, prunedBytes, prunedIDs, prunedBehind = 200, 256 << 10, 64 << 10, 2 << 20

// pruneStep is how many bytes a transaction of pruning that began then removes.
func pruneStep(began time.Time, usual int64) int64 {
	if time.Since(began) > time.Second {
		return prunedBehind
	}
	return usual
}

// prune removes history that is too old or too much, oldest first, and ids beyond
// the windows. It began then.
func (s *Store) prune(ctx context.Context, began time.Time) error {
	if !s.db.Prunes() {
		return nil
	}
	stored, err := s.queryInt(ctx, `SELECT CAST(coalesce(sum(history), 0) AS BIGINT) FROM ledger`)
	if err != nil {
		return err
	}
	drop := int64(0)
	if s.opts.RetainBytes > 0 {
		drop = stored - s.opts.RetainBytes
	}
	drop = max(drop, min(s.space.excess(), stored))
	if s.shared && s.space.isFull() { // room comes with a whole table of bodies, of whatever size
		drop = max(drop, (stored+1)/2)
	}
	olderThan := time.Now().Add(-s.opts.RetainAge).UnixMicro()
	after := int64(0)
	for dropped := int64(1); stored > 0 && dropped > 0; drop -= dropped {
		if s.shared && time.Since(began) > 5*time.Second {
			break // there may be room by now: it is measured again
		}
		if after, dropped, err = s.pruneSome(ctx, after, olderThan, drop, pruneStep(began, prunedBytes)); err != nil {
			return err
		}
	}
	s.space.measure()
	for _, q := range s.queues() {
		if err := s.pruneIDs(ctx, q, began); err != nil {
			return err
		}
	}
	return nil
}

// OldestHistory returns when the oldest record of history was received, which is
// how far back a replay can go; zero: there is no history.
func (s *Store) OldestHistory(ctx context.Context) (time.Time, error) {
	micros, err := s.queryInt(ctx, `SELECT coalesce((SELECT received FROM record WHERE pending = 0 ORDER BY seq LIMIT 1), 0)`)
	return timeOf(micros), err
}

// pruneSome removes the oldest settled records beyond the record after: those settled
// before olderThan, and drop bytes in any case, but no more than about most. It returns
// the last one, and how many bytes it has removed.
func (s *Store) pruneSome(ctx context.Context, after, olderThan, drop, most int64) (last, dropped int64, err error) {
	seqs, err := sqldb.QueryRows(ctx, s.db, `SELECT seq, stored, settled FROM record WHERE pending = 0 AND seq > $1 ORDER BY seq LIMIT `+strconv.Itoa(pruned), func(r sqldb.Row) (seq int64, err error) {
		var stored, settled int64
		if err = r.Scan(&seq, &stored, &settled); err != nil {
			return 0, err
		}
		if settled >= olderThan && dropped >= drop || dropped >= most {
			return 0, sqldb.ErrStop
		}
		dropped += stored
		return seq, nil
	}, after)
	if err != nil || len(seqs) == 0 {
		return after, 0, err
	}
	err = s.writer.run(ctx, &op{size: 100 * len(seqs), do: func(c *change) error { return s.removeRecords(c, seqs) }})
	crashpoint.At("prune.after")
	return seqs[len(seqs)-1], dropped, err
}

// removeRecords removes settled records and their bodies.
func (s *Store) removeRecords(c *change, seqs []int64) error {
	err := c.Exec(`INSERT INTO ledger (connector, bridge, history) SELECT connector, CAST($1 AS TEXT), CAST(-sum(stored) AS BIGINT)
 FROM record WHERE seq`+s.db.In("$2")+` GROUP BY connector
 ON CONFLICT (connector, bridge) DO UPDATE SET history = ledger.history + excluded.history`, c.Ledger, seqs)
	in := ` WHERE seq` + s.db.In("$1")
	if err == nil {
		err = c.Exec(`DELETE FROM record`+in, seqs)
	}
	if err == nil && !s.shared { // else bodies go with their table
		err = c.Exec(`DELETE FROM body`+in, seqs)
	}
	crashpoint.At("prune.before-commit")
	return err
}

// pruneSomeIDs removes a connector's oldest rows beyond the record $2 that come before the
// record $3: never more than $4 bytes, and no further row once there are $5.
const pruneSomeIDs = `DELETE FROM ids WHERE seq IN (SELECT seq FROM (
 SELECT seq, size, sum(size) OVER (ORDER BY seq) AS total
 FROM (SELECT seq, length(hashes) AS size FROM ids WHERE (connector, seq) > ($1, $2) AND connector <= $1
 ORDER BY connector, seq LIMIT 200) AS oldest WHERE seq < $3) AS summed
 WHERE total <= $4 AND total - size < $5) RETURNING seq, length(hashes) / 16`

// pruneIDs removes the ids that are far beyond the window. Where bridges share the store,
// the ids of all are counted every ten minutes, and the database looks where the window
// begins.
func (s *Store) pruneIDs(ctx context.Context, q *Queue, began time.Time) (err error) {
	if s.shared && time.Since(q.counted) > 10*time.Minute {
		stored, err := s.queryInt(ctx, `SELECT CAST(coalesce(sum(length(hashes) / 16), 0) AS BIGINT) FROM ids WHERE connector = $1`, q.id)
		if err != nil {
			return err
		}
		q.counted = time.Now()
		q.idsStored.Store(stored)
	}
	if q.idsStored.Load() <= int64(q.windowSize)*5/4+10_000 {
		return nil
	}
	begin := int64(math.MaxInt64)
	if s.shared {
		begin, err = s.queryInt(ctx, `SELECT coalesce(max(seq), 0) FROM (SELECT seq, sum(length(hashes) / 16) OVER (ORDER BY connector DESC, seq DESC) AS n
 FROM ids WHERE connector >= $1 AND connector <= $1) AS i WHERE n >= $2`,
			q.id, int64(q.windowSize))
	}
	after := int64(0) // PostgreSQL walks over removed rows until it has vacuumed them
	for some := true; some && err == nil; {
		removed, last, step := int64(0), after, pruneStep(began, prunedIDs)
		err = q.transact(ctx, func(c *change) error {
			removed, last = 0, after
			// Read here: a transaction before may have ended after its caller gave up.
			most := q.idsStored.Load() - int64(q.windowSize)
			err := c.Query(pruneSomeIDs, func(r sqldb.Row) error {
				var seq, n int64
				err := r.Scan(&seq, &n)
				last, removed = max(last, seq), removed+n
				return err
			}, q.id, after, begin, 16*most, step)
			c.of(q).pruned = removed
			if err == nil && s.shared && removed == 0 {
				err = c.Exec(`DELETE FROM batch WHERE connector = $1 AND seq < $2`, q.id, begin)
			}
			return err
		})
		if some = err == nil && removed > 0; some { // else the writer may still be at it
			after = last
		}
	}
	if err == nil && s.shared {
		q.idsStored.Store(int64(q.windowSize))
	}
	return err
}
