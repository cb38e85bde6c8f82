package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
)

// Claim hands out pending records, oldest first, that are not claimed already;
// backfilled ones where there are no others.
// It waits until there is one or ctx ends. Each record goes back with Release,
// settled or not. With the store's end it returns ErrClosed.
func (q *Queue) Claim(ctx context.Context, limit Limit) ([]*Record, error) {
	for {
		q.mu.Lock()
		more := q.more
		q.mu.Unlock()
		if err := q.store.stopped(); err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		records, err := q.claimNow(ctx, limit)
		if err != nil || len(records) > 0 {
			return records, err
		}
		if err := q.store.wait(ctx, more); err != nil {
			return nil, err
		}
	}
}

// claimNow claims what there is now.
func (q *Queue) claimNow(ctx context.Context, limit Limit) ([]*Record, error) {
	records, err := q.claimOf(ctx, live, limit)
	if err != nil || len(records) > 0 {
		return records, err
	}
	return q.claimOf(ctx, backfilled, limit)
}

// claimOf claims what there is now of a lane. The records that cannot be read are
// quarantined.
func (q *Queue) claimOf(ctx context.Context, from lane, limit Limit) ([]*Record, error) {
	chosen, limit := q.choose(from, nil, limit)
	if limit.Events > 0 && limit.Bytes > 0 {
		err := q.refill(ctx, from, limit)
		if err != nil && len(chosen) == 0 {
			return nil, err
		}
		if chosen, _ = q.choose(from, chosen, limit); len(chosen) == 0 {
			return nil, nil
		}
	}
	records := make([]*Record, 0, len(chosen))
	var failed error
	err := q.store.db.view(ctx, func(t tx) error {
		for _, c := range chosen {
			var r *Record
			if r, failed = q.read(t, c); failed != nil {
				return nil
			}
			records = append(records, r)
		}
		return nil
	})
	if failed == nil {
		failed = err
	}
	if failed == nil {
		return records, nil
	}
	q.giveBack(chosen[len(records):]...)
	if errors.Is(failed, errBody) {
		if err := q.quarantine(ctx, chosen[len(records)].seq, failed); err != nil {
			q.Release(records...)
			return nil, err
		}
		return records, nil // perhaps none: the caller asks again
	}
	if len(records) > 0 {
		return records, nil
	}
	return nil, q.store.db.classify(failed)
}

// choose adds records that wait to be handed out to chosen, within the limit, and
// returns what is left of the limit; nothing is left where the next one is too
// large.
func (q *Queue) choose(from lane, chosen []claimed, limit Limit) ([]claimed, Limit) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, l := 0, &q.lanes[from]
	for _, seq := range l.back {
		c := q.claims[seq]
		if c.pending == 0 { // a settlement came to its end after the record was released
			delete(q.claims, seq)
			n++
			continue
		}
		if len(chosen) > 0 && (int(c.pending) > limit.Events || int(c.size) > limit.Bytes) {
			limit = Limit{}
			break
		}
		limit.Events -= int(c.pending)
		limit.Bytes -= int(c.size)
		n++
		c.out = true
		chosen = append(chosen, c.snapshot())
	}
	l.back = slices.Delete(l.back, 0, n)
	return chosen, limit
}

// snapshot copies the state of a claim, for use without the lock.
func (c *claim) snapshot() claimed {
	s := c.claimed
	s.outcome = slices.Clone(s.outcome)
	return s
}

// refill claims more records from the database.
func (q *Queue) refill(ctx context.Context, from lane, limit Limit) error {
	q.reading.Lock()
	defer q.reading.Unlock()
	l, most := &q.lanes[from], min(limit.Events, 256)
	q.mu.Lock()
	after, waiting, newest := l.cursor, len(l.back), q.totals.lastSeq
	q.mu.Unlock()
	if waiting > 0 {
		return nil // another caller has done it
	}
	rows, err := q.store.db.claim(ctx, q.id, from, after, most)
	if err != nil {
		return q.store.db.classify(err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(rows) < most && !q.store.shared { // elsewhere older ones may be committed later
		l.cursor = max(l.cursor, newest)
	}
	for _, r := range rows {
		l.cursor, r.lane = max(l.cursor, r.seq), from
		if q.claims[r.seq] != nil {
			continue
		}
		c := &claim{claimed: r, pending: r.events}
		for _, o := range r.outcome {
			if o != outPending {
				c.pending--
			}
		}
		q.claims[r.seq] = c
		l.back = insertSeq(l.back, r.seq)
	}
	return nil
}

// read reads a claimed record's events that have no outcome.
func (q *Queue) read(t tx, c claimed) (*Record, error) {
	b, err := q.bodyOf(t, c.seq)
	if err != nil {
		return nil, err
	}
	if int64(len(b.events)) != c.events {
		return nil, fmt.Errorf("%w: %d events instead of %d", errBody, len(b.events), c.events)
	}
	r := &Record{Seq: uint64(c.seq), ReceivedAt: time.UnixMicro(c.received), Origin: q.origin(c.seq), Events: make([]Event, 0, len(b.events)), bytes: b.all}
	for i, raw := range b.events {
		if c.outcome == nil || c.outcome[i] == outPending {
			r.Events = append(r.Events, Event{Index: i, Raw: raw})
		}
	}
	return r, nil
}

func selectBody(table string) string { return `SELECT data FROM ` + table + ` WHERE seq = ?` }

// readBody reads a body in a transaction of its own; see bodyOf.
func (q *Queue) readBody(ctx context.Context, seq int64) (b decodedBody, err error) {
	var failed error
	err = q.store.db.view(ctx, func(t tx) error {
		b, failed = q.bodyOf(t, seq)
		return nil
	})
	if failed != nil {
		err = failed
	}
	return b, err
}

// bodyOf reads a body; the error wraps errBody where it is damaged or missing.
// What could be read of it is returned beside.
func (q *Queue) bodyOf(t tx, seq int64) (decodedBody, error) {
	data := buffers.Get().(*[]byte)
	found := false
	crashpoint.At("claim.before-read")
	err := t.query(selectBody(q.store.db.body(seq)), func(r row) error {
		found = true
		return r.scan(data)
	}, seq)
	defer giveBuffer(data, *data)
	switch {
	case err != nil && q.store.db.corrupt(err):
		return decodedBody{}, fmt.Errorf("%w: %w", errBody, err)
	case err != nil:
		return decodedBody{}, err
	case !found:
		return decodedBody{}, fmt.Errorf("%w: it is missing", errBody)
	}
	return decodeBody(*data)
}

// Load reads the events of a claimed record again that have no outcome. It
// returns ErrNotHeld for a record that is not claimed.
func (q *Queue) Load(ctx context.Context, seq uint64) (*Record, error) {
	q.mu.Lock()
	c := q.claims[int64(seq)]
	if c == nil || !c.out {
		q.mu.Unlock()
		return nil, fmt.Errorf("%w: record %d", ErrNotHeld, seq)
	}
	chosen := c.snapshot()
	q.mu.Unlock()
	var r *Record
	var failed error
	err := q.store.db.view(ctx, func(t tx) error {
		r, failed = q.read(t, chosen)
		return nil
	})
	if failed != nil {
		err = failed
	}
	if errors.Is(err, errBody) {
		if err := q.quarantine(ctx, int64(seq), err); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%w: record %d is damaged", ErrNotHeld, seq)
	}
	if err != nil {
		return nil, q.store.db.classify(err)
	}
	return r, nil
}

// Release gives back what is not settled of the records; it is claimed again
// before what came later. The records and their bytes must not be used
// afterwards. It must be called once for each claimed record, never blocks and
// may be called after Close.
func (q *Queue) Release(records ...*Record) {
	list := make([]claimed, len(records))
	for i, r := range records {
		list[i].seq = int64(r.Seq)
		if r.bytes != nil {
			giveBuffer(r.bytes, *r.bytes)
			r.bytes = nil
		}
	}
	q.giveBack(list...)
}

func (q *Queue) giveBack(list ...claimed) {
	q.mu.Lock()
	defer q.mu.Unlock()
	woken := false
	for _, l := range list {
		c := q.claims[l.seq]
		if c == nil || !c.out {
			continue
		}
		c.out = false
		if c.pending == 0 {
			delete(q.claims, l.seq)
			continue
		}
		q.lanes[c.lane].back = insertSeq(q.lanes[c.lane].back, l.seq)
		woken = true
	}
	if woken {
		close(q.more)
		q.more = make(chan struct{})
	}
}

// dropClaims forgets all claims: other bridges may have the records by now.
func (q *Queue) dropClaims() {
	q.mu.Lock()
	defer q.mu.Unlock()
	clear(q.claims)
	for i := range q.lanes {
		q.lanes[i].back, q.lanes[i].cursor = q.lanes[i].back[:0], 0
	}
}
