package pebble

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
)

const (
	markShare = 64               // marks that the configured history has, about
	maxStep   = 64 << 20         // bytes between marks, at most
	minStep   = 64 << 10         // and at least
	maxEvery  = 10 * time.Minute // time between marks, at most
	compactAt = 256 << 20        // bytes of history given up that are worth a compaction
)

// hurry asks for upkeep at once.
func (s *Store) hurry() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// keepUp looks after disk and history until the store is closed. It may use the
// database without enter: Close waits for it.
func (s *Store) keepUp() {
	defer s.upkeep.Done()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-s.done
		cancel()
	}()
	tick := time.NewTicker(s.opts.CheckEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-s.failed:
			return
		case <-tick.C:
		case <-s.kick:
		}
		if err := s.look(ctx); err != nil && ctx.Err() == nil {
			s.opts.Logger.Error("upkeep of the queue failed", "error", err)
		}
	}
}

// look does one round of upkeep. What fails for one queue or in one step does not
// keep the others from theirs: the disk fills up meanwhile.
func (s *Store) look(ctx context.Context) error {
	if s.failure.Load() != nil {
		return nil
	}
	s.mu.Lock()
	queues := append([]*connQueue(nil), s.all...)
	s.mu.Unlock()
	var failed []error
	for _, q := range queues {
		failed = append(failed, q.dropIDs(), q.note(s.opts.Now(), s.markEvery(), s.markStep()))
	}
	failed = append(failed, s.forget(queues))
	if s.unclaimed >= s.opts.compactAt {
		failed = append(failed, s.reclaim(ctx, queues))
	}
	return errors.Join(append(failed, s.makeRoom(ctx, queues))...)
}

func (s *Store) markEvery() time.Duration {
	return min(s.opts.RetainAge/markShare, maxEvery)
}

func (s *Store) markStep() uint64 {
	step := int64(maxStep)
	for _, limit := range [...]int64{s.opts.RetainBytes, s.opts.MaxBytes} {
		if limit > 0 {
			step = min(step, max(limit/markShare, minStep))
		}
	}
	return uint64(step)
}

// forget gives up history that is too old or too much.
func (s *Store) forget(queues []*connQueue) error {
	old := s.opts.Now().Add(-s.opts.RetainAge)
	for _, q := range queues {
		n := 0
		for n < len(q.history.marks) && !q.history.marks[n].at.After(old) {
			n++
		}
		if n == 0 {
			continue
		}
		if err := s.cut(q, n); err != nil {
			return err
		}
	}
	for s.opts.RetainBytes > 0 && historyOf(queues) > uint64(s.opts.RetainBytes) {
		if ok, err := s.cutOldest(queues); err != nil || !ok {
			return err
		}
	}
	return nil
}

func historyOf(queues []*connQueue) (bytes uint64) {
	for _, q := range queues {
		bytes += q.size()
	}
	return bytes
}

func (s *Store) cut(q *connQueue, marks int) error {
	freed, err := q.cut(marks)
	s.unclaimed += freed
	return err
}

// cutOldest gives up the oldest piece of all histories; false: there is none.
func (s *Store) cutOldest(queues []*connQueue) (bool, error) {
	var oldest *connQueue
	for _, q := range queues {
		if len(q.history.marks) == 0 {
			continue
		}
		if oldest == nil || q.history.marks[0].at.Before(oldest.history.marks[0].at) {
			oldest = q
		}
	}
	if oldest == nil {
		return false, nil
	}
	return true, s.cut(oldest, 1)
}

// makeRoom measures the disk and gives up history while it is too full. What
// was given up before and is still on disk, beside what is alive, goes first.
func (s *Store) makeRoom(ctx context.Context, queues []*connQueue) error {
	squeezed := false
	for s.disk.measure(); ctx.Err() == nil; s.disk.measure() {
		missing := s.disk.excess()
		if missing <= 0 {
			return nil
		}
		if dead := garbage(s.db.Metrics()); !squeezed && dead > 0 {
			squeezed = true
			s.squeeze(ctx)
			continue
		}
		if err := s.giveUp(queues, uint64(missing)); err != nil {
			return err
		}
		if s.unclaimed == 0 {
			return nil // all that is left is pending
		}
		s.opts.Logger.Info("history given up to make room", "bytes", s.unclaimed)
		if err := s.reclaim(ctx, queues); err != nil {
			return err
		}
		s.squeeze(ctx)
	}
	return nil
}

// giveUp cuts history until what has been cut and not reclaimed yet is at least
// missing, or there is none left.
func (s *Store) giveUp(queues []*connQueue, missing uint64) error {
	for s.unclaimed < missing {
		ok, err := s.cutOldest(queues)
		if err != nil {
			return err
		}
		if !ok && !s.noteAll(queues) {
			return nil
		}
	}
	return nil
}

// noteAll marks what is done by now, however little; false: nothing is new.
func (s *Store) noteAll(queues []*connQueue) bool {
	found := false
	for _, q := range queues {
		before := len(q.history.marks)
		if err := q.note(s.opts.Now(), 0, 0); err != nil {
			return false
		}
		found = found || len(q.history.marks) > before
	}
	return found
}

// reclaim makes the store let go of the files whose records were deleted. Only
// keys are rewritten for that.
func (s *Store) reclaim(ctx context.Context, queues []*connQueue) error {
	s.unclaimed = 0
	var failed []error
	for _, q := range queues {
		if q.history.gone.seq <= 1 {
			continue
		}
		crashpoint.At("upkeep.before-compact")
		from, to := seqKey(keyRecord, q.conn, 0), seqKey(keyRecord, q.conn, q.history.gone.seq)
		if err := s.db.Compact(ctx, from, to, false); err != nil {
			failed = append(failed, fmt.Errorf("reclaim what history of connector %q took: %w", q.name, err))
			continue
		}
		crashpoint.At("upkeep.compacted")
	}
	return errors.Join(failed...)
}
