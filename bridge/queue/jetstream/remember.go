package jetstream

import (
	"context"
	"time"
)

// rememberFor is how long a start waits for one reading of the stream.
const rememberFor = 10 * time.Minute

// remember fills the window with the newest ids in the stream.
func (q *connQueue) remember(ctx context.Context, limit int) error {
	if limit <= 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, rememberFor)
	defer cancel()
	q.fold.mu.Lock()
	from, to := uint64(1), q.fold.totals.seq+1
	for _, m := range q.fold.idMarks {
		if q.fold.ids-m.value >= uint64(limit) {
			from = m.seq
		}
	}
	q.fold.mu.Unlock()
	for _, subject := range []string{q.names.below(wordOld), q.names.below(wordRecord), q.names.of(wordRecord)} {
		if err := q.scan(ctx, subject, from, to, false, q.rememberIDs); err != nil {
			return err
		}
	}
	return nil
}

func (q *connQueue) rememberIDs(m stored) error {
	ids, _, err := splitBody(m.data)
	if err != nil {
		q.store.opts.Logger.Error("a record's ids cannot be read; repeats of its events are not caught", "connector", q.name, "message", m.seq)
		return nil
	}
	for i := range len(ids) / idSize {
		q.ids.Add(idAt(ids, i))
	}
	q.ids.Trim()
	return nil
}
