package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/body"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/sqldb"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/sqlite"
)

// noteDamage counts and logs a place that cannot be read, once however often it is met.
func (s *Store) noteDamage(place, message string, args ...any) {
	if _, noted := s.noted.LoadOrStore(place, true); !noted {
		s.damagedPlaces.Add(1)
		s.log.Error(message, args...)
	}
}

// noteFile notes that the file is damaged around the records and letters.
func (s *Store) noteFile(cause error) {
	s.noteDamage("file", "not everything can be read; the next start rebuilds the file", "error", cause)
}

// setAside quarantines a record that was found damaged, unless a worker has its events in
// memory: then those are delivered.
func (q *Queue) setAside(ctx context.Context, seq int64, damage error) (inFlight bool, err error) {
	q.mu.Lock()
	c := q.claims[seq]
	inFlight = c != nil && c.out
	q.mu.Unlock()
	if inFlight {
		return true, nil
	}
	return false, q.store.quarantine(ctx, q, seq, damage)
}

// quarantine sets a record aside that cannot be read: its pending events become
// dead letters with the reason damaged, with what can still be read of them. Its
// row is deleted, so that no later call reads it. Its body is deleted too, unless pages of
// it are damaged: these cannot be freed safely, and the next start rebuilds the file
// without them.
func (s *Store) quarantine(ctx context.Context, q *Queue, seq int64, cause error) error {
	rest, err := q.readBody(ctx, seq)
	if err == nil || !errors.Is(err, body.ErrDamaged) {
		return s.db.Classify(err) // nil: it can be read after all
	}
	stays := s.db.Corrupt(err)
	if stays {
		_ = s.db.Classify(err) // which has the next start rebuild the file
	}
	var r sqldb.Record
	err = q.transact(ctx, func(c *change) (err error) {
		if r, err = readState(c, seq); err != nil || r.Events == 0 {
			return err // it was pruned, or set aside, meanwhile
		}
		if err := deadLetterDamaged(c, q, r, rest, cause); err != nil {
			return err
		}
		p := c.of(q)
		p.sums[dead] += r.Pending
		if r.Pending == 0 {
			p.sums[history] -= r.Stored
		}
		if claimed := c.state(q, seq); claimed != nil {
			claimed.Pending, claimed.Outcome = 0, nil
		}
		if err := c.Exec(`DELETE FROM record WHERE seq = $1`, seq); err != nil || stays {
			return err
		}
		return c.Exec(`DELETE FROM `+s.db.Body(seq)+` WHERE seq = $1`, seq)
	})
	if err != nil || r.Events == 0 {
		return err
	}
	if stays {
		q.mu.Lock()
		q.left[seq] = true
		q.mu.Unlock()
	}
	message := "a record cannot be read and is set aside; see the dead letters with the reason damaged"
	if r.Pending == 0 {
		message = "a record of history cannot be read; it is left out of replays from now on"
	}
	s.noteDamage(placeOf(seq), message, "connector", q.name, "record", seq, "events", r.Pending, "error", cause)
	return nil
}

func placeOf(seq int64) string { return fmt.Sprintf("record %d", seq) }

// deadLetterDamaged makes dead letters of the pending events of a record: one each
// where all of its events can be read, else one for all of them.
func deadLetterDamaged(c *change, q *Queue, s sqldb.Record, rest body.Decoded, cause error) error {
	if s.Pending == 0 {
		return nil
	}
	l := DeadLetter{ReceivedAt: time.UnixMicro(s.Received), Reason: ReasonDamaged, Answer: cause.Error(), Events: int(s.Pending)}
	events := rest.Split()
	if int64(len(events)) != s.Events {
		return q.insertLetter(c, l)
	}
	l.Events = 1 // whole ones of a record of several batches can be replayed
	for i, o := range outcomes(s) {
		if o != outPending {
			continue
		}
		l.Event, l.Altered = events[i], rest.Altered(i)
		if err := q.insertLetter(c, l); err != nil {
			return err
		}
	}
	return nil
}

// scrubs reads everything once in ScrubEvery.
func (s *Store) scrubs() {
	for {
		begin := time.Now()
		s.scrubOnce()
		if !pause(s.ended, max(time.Second, s.opts.ScrubEvery-time.Since(begin))) {
			return
		}
	}
}

// scrubOnce reads everything. A table or an index that cannot be read has the next start
// rebuild the file, and is logged and counted if it is the first one.
func (s *Store) scrubOnce() {
	whole := true
	err := s.scrub(s.ended, s.opts.ScrubEvery, func(what string, err error) error {
		if !errors.Is(err, ErrDamaged) {
			return err
		}
		whole = false
		s.noteFile(fmt.Errorf("%s: %w", what, err))
		return nil
	})
	if err != nil && s.ended.Err() == nil {
		s.log.Warn("the store could not be read from end to end", "error", err)
	} else if err == nil && whole {
		s.scrubbed.Store(time.Now().UnixMicro())
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// scrub reads everything within the time. note is told what cannot be read, or why it
// cannot go on.
func (s *Store) scrub(ctx context.Context, within time.Duration, note func(what string, err error) error) error {
	total, err := s.queryInt(ctx, `SELECT (SELECT count(*) FROM record) + (SELECT count(*) FROM ids) + (SELECT count(*) FROM letter)`)
	if err != nil && !errors.Is(err, ErrDamaged) { // which shows below
		return err
	}
	gap := min(within/2/time.Duration(total/bodiesAtOnce+1), time.Second)
	if db, ok := s.db.(*sqlite.DB); ok { // PostgreSQL looks after its pages
		err := db.Scrub(ctx, func() error {
			pause(ctx, gap)
			return ctx.Err()
		}, note)
		if err != nil {
			return err
		}
	}
	for _, q := range s.queues() {
		if err := note("records or dead letters", s.scrubQueue(ctx, q, gap)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) scrubQueue(ctx context.Context, q *Queue, gap time.Duration) error {
	err := q.eachBody(ctx, 1<<62, gap, func(seq int64, _ body.Decoded, damage error) error {
		if damage != nil {
			_, damage = q.setAside(ctx, seq, damage)
		}
		return damage
	})
	if err != nil {
		return err
	}
	for after := uint64(0); ; {
		letters, err := q.Letters(ctx, LetterFilter{After: after})
		if err != nil || len(letters) == 0 {
			return err
		}
		after = letters[len(letters)-1].Number
		if !pause(ctx, gap) {
			return ctx.Err()
		}
	}
}
