package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// recordState is a row of record.
type recordState struct {
	seq, received, events, pending int64
	outcome                        []byte
}

// scanRecords passes the records of the connector that meet the condition, whose
// last parameter is the number of the record to begin after, to each, in order.
func (q *Queue) scanRecords(ctx context.Context, condition string, each func(recordState) error, args ...any) error {
	const page = 1000
	args = append(append([]any{q.id}, args...), int64(page))
	after := len(args) - 2
	for n := page; n == page; {
		stopped := false
		err := q.store.db.view(ctx, func(t tx) error {
			n = 0
			return t.query(`SELECT seq, received, events, pending, outcome FROM record WHERE connector = ? AND `+condition+` ORDER BY seq LIMIT ?`,
				func(r row) error {
					var s recordState
					if err := r.scan(&s.seq, &s.received, &s.events, &s.pending, &s.outcome); err != nil {
						return err
					}
					n++
					args[after] = s.seq
					err := each(s)
					stopped = err == errStop
					return err
				}, args...)
		})
		if err != nil || stopped {
			return err
		}
	}
	return nil
}

// Pending lists the records of which something is pending, claimed or not,
// oldest first, beyond the record after, with those events. It returns at most
// limit events, but one record at least; none only at the end.
func (q *Queue) Pending(ctx context.Context, after uint64, limit int) ([]*Record, error) {
	return q.recordsWith(ctx, `pending > 0 AND seq > ?`, Limit{Events: limit, Bytes: letterBytes}, outPending, int64(after))
}

// recordsWith reads records and of them the events that have the outcome.
func (q *Queue) recordsWith(ctx context.Context, condition string, limit Limit, outcome byte, args ...any) ([]*Record, error) {
	var rows []recordState
	events := 0
	err := q.scanRecords(ctx, condition, func(s recordState) error {
		n := 0
		for _, o := range outcomes(s.outcome, s.events, s.pending) {
			if o == outcome {
				n++
			}
		}
		if n == 0 {
			return nil
		}
		if events += n; events > limit.Events && len(rows) > 0 {
			return errStop
		}
		rows = append(rows, s)
		return nil
	}, args...)
	if err != nil {
		return nil, q.store.db.classify(err)
	}
	var records []*Record
	bytes := 0
	for _, s := range rows {
		b, err := q.readBody(ctx, s.seq)
		if errors.Is(err, errBody) {
			if s.pending == 0 {
				q.store.damaged(fmt.Sprintf("record %d of history", s.seq), err)
			}
			continue
		}
		if err != nil {
			return nil, q.store.db.classify(err)
		}
		r := &Record{Seq: uint64(s.seq), ReceivedAt: time.UnixMicro(s.received), Origin: q.origin(s.seq)}
		for i, o := range outcomes(s.outcome, s.events, s.pending) {
			if o == outcome && i < len(b.events) {
				r.Events = append(r.Events, Event{Index: i, Raw: b.events[i]})
				bytes += len(b.events[i])
			}
		}
		if bytes > limit.Bytes && len(records) > 0 {
			break
		}
		records = append(records, r)
	}
	if len(records) == 0 && len(rows) > 0 { // all of them are damaged: go on behind them
		args[len(args)-1] = rows[len(rows)-1].seq
		return q.recordsWith(ctx, condition, limit, outcome, args...)
	}
	return records, nil
}

// StartReplay stores an order to deliver history again and returns it. It
// outlives restarts: the next start goes on where the last SettleReplay left it.
// There is one at a time, else the error is ErrReplaying. Records that are stored
// later than the order are no part of it. A replay does not keep history from
// being pruned.
func (q *Queue) StartReplay(ctx context.Context, order ReplayOrder) (Replay, error) {
	text, err := json.Marshal(order)
	if err != nil {
		return Replay{}, err
	}
	var replay Replay
	err = q.order(ctx, func(c *change) error {
		newest, err := newestReplay(c, q.id)
		if err != nil {
			return err
		}
		if newest.Active() {
			return refuse(ErrReplaying)
		}
		last, err := one(c, `SELECT coalesce(max(last_seq), 0) FROM ledger WHERE connector = ?`, q.id)
		if err != nil {
			return err
		}
		err = c.query(`INSERT INTO replay (connector, request, started, next_seq, last_seq) VALUES (?, ?, ?, ?, ?) RETURNING number`,
			func(r row) error { return nil }, q.id, string(text), q.store.opts.Now().UnixMicro(), int64(1), last)
		if err != nil {
			return err
		}
		replay, err = newestReplay(c, q.id)
		return err
	}, q.wakeReplays)
	if err != nil { // the writer may still be at it
		return Replay{}, err
	}
	return replay, nil
}

func (q *Queue) wakeReplays() {
	q.mu.Lock()
	close(q.orders)
	q.orders = make(chan struct{})
	q.mu.Unlock()
}

// order runs a small change that an operator has asked for.
func (q *Queue) order(ctx context.Context, do func(*change) error, done func()) error {
	if err := q.store.room.admitOutcome(); err != nil {
		return err
	}
	return q.store.writer.run(ctx, &op{size: 1000, do: do, done: done})
}

// EndReplay ends the replay with this number, if it is active.
func (q *Queue) EndReplay(ctx context.Context, number uint64) error {
	return q.order(ctx, func(c *change) error {
		return c.exec(`UPDATE replay SET ended = ? WHERE number = ? AND connector = ? AND ended = 0`,
			q.store.opts.Now().UnixMicro(), int64(number), q.id)
	}, nil)
}

// Replay returns the newest replay, active or ended; its zero value where there
// was none.
func (q *Queue) Replay(ctx context.Context) (r Replay, err error) {
	if err := q.store.stopped(); err != nil && !errors.Is(err, ErrFailed) {
		return Replay{}, err
	}
	err = q.store.db.view(ctx, func(t tx) error {
		r, err = newestReplay(t, q.id)
		return err
	})
	return r, q.store.db.classify(err)
}

func newestReplay(t tx, connector int64) (r Replay, err error) {
	var number, started, ended, next, replayed, refused, skipped int64
	var request []byte
	err = t.query(`SELECT number, request, started, ended, next_seq, replayed, refused, skipped FROM replay
 WHERE connector = ? ORDER BY number DESC LIMIT 1`, func(row row) error {
		return row.scan(&number, &request, &started, &ended, &next, &replayed, &refused, &skipped)
	}, connector)
	if err != nil || number == 0 {
		return Replay{}, err
	}
	if err := json.Unmarshal(request, &r.Order); err != nil {
		return Replay{}, fmt.Errorf("replay %d: %w", number, err)
	}
	for _, at := range []*time.Time{&r.Order.From, &r.Order.Till} {
		if !at.IsZero() {
			*at = at.Local()
		}
	}
	r.Number, r.Next = uint64(number), uint64(next)
	r.Replayed, r.Refused, r.Skipped = uint64(replayed), uint64(refused), uint64(skipped)
	r.StartedAt = time.UnixMicro(started)
	if ended > 0 {
		r.EndedAt = time.UnixMicro(ended)
		return r, nil
	}
	at, err := one(t, `SELECT coalesce((SELECT received FROM record WHERE connector = ? AND seq >= ? ORDER BY seq LIMIT 1), 0)`, connector, next)
	if at > 0 {
		r.Position = time.UnixMicro(at)
	}
	return r, err
}

// FetchReplay waits for a replay to be active and returns its next records, in
// the order in which they came: of each the events that were delivered, and only
// records of the order's time. They are read, not claimed: they need no Settle
// and no Release, and asking again gives the same until SettleReplay, but for
// what was delivered or pruned meanwhile. Without a record the replay has come to
// its end; say so with SettleReplay. With the store's end it returns ErrClosed.
func (q *Queue) FetchReplay(ctx context.Context, limit Limit) (Replay, []*Record, error) {
	for {
		q.mu.Lock()
		orders := q.orders
		q.mu.Unlock()
		if err := q.store.stopped(); err != nil {
			return Replay{}, nil, err
		}
		replay, err := q.Replay(ctx)
		if err != nil {
			return Replay{}, nil, err
		}
		mine, err := q.store.ownsReplay(ctx, replay)
		if err != nil {
			return Replay{}, nil, err
		}
		if replay.Active() && mine {
			records, err := q.historyOf(ctx, replay, limit)
			return replay, records, err
		}
		if err := q.store.wait(ctx, orders); err != nil {
			return Replay{}, nil, err
		}
	}
}

func (q *Queue) historyOf(ctx context.Context, replay Replay, limit Limit) ([]*Record, error) {
	from, till := int64(0), int64(1)<<62
	if !replay.Order.From.IsZero() {
		from = microsUp(replay.Order.From)
	}
	if !replay.Order.Till.IsZero() {
		till = microsUp(replay.Order.Till)
	}
	return q.recordsWith(ctx, `received >= ? AND received < ? AND seq <= (SELECT last_seq FROM replay WHERE number = ?) AND seq > ?`,
		limit, outDelivered, from, till, int64(replay.Number), int64(replay.Next)-1)
}

// microsUp rounds up: times of receipt are kept in whole microseconds.
func microsUp(t time.Time) int64 { return t.Add(time.Microsecond - 1).UnixMicro() }

// SettleReplay stores how far a replay has come, and returns once that is on
// disk. Each call that returns without an error counts once. Progress of a replay
// that is not active any more changes nothing but the ledger's Replayed.
func (q *Queue) SettleReplay(ctx context.Context, p ReplayProgress) error {
	return q.order(ctx, func(c *change) error {
		c.ledger(q).replayed += int64(p.Replayed)
		ended := int64(0)
		if p.End {
			ended = q.store.opts.Now().UnixMicro()
		}
		return c.exec(`UPDATE replay SET next_seq = ?, replayed = replayed + ?, refused = refused + ?, skipped = skipped + ?, ended = ?
 WHERE number = ? AND connector = ? AND ended = 0`,
			int64(p.Next), int64(p.Replayed), int64(p.Refused), int64(p.Skipped), ended, int64(p.Number), q.id)
	}, nil)
}

// erased is how many records one round of Erase looks at.
const erased = 200

// Erase removes the events that match from history and from the dead letters,
// bytes and all: once it has returned, they are in none of the files of the
// embedded store. (PostgreSQL keeps what was deleted until it vacuums, and in its
// log.) History is every stored event that has an outcome, also one of a record
// of which a part is pending. Letters count as purged, all else in the ledger
// stays; ids stay in the window. Events that are pending stay and are counted.
// match is called from one goroutine at a time and must not keep the event. What
// was erased when it fails half-way is erased; asking again does the rest.
func (q *Queue) Erase(ctx context.Context, match func(event []byte) bool) (e Erasure, err error) {
	q.store.erasing.Lock()
	defer q.store.erasing.Unlock()
	if err := q.store.stopped(); err != nil {
		return e, err
	}
	last, err := q.newestSeq(ctx)
	if err != nil {
		return e, err
	}
	for after := int64(0); err == nil && after < last; {
		after, err = q.eraseRecords(ctx, after, match, &e)
	}
	if err == nil {
		err = q.eraseLetters(ctx, match, &e)
	}
	if err != nil {
		return e, err
	}
	return e, q.store.scrubDeleted(ctx)
}

func (q *Queue) newestSeq(ctx context.Context) (last int64, err error) {
	err = q.store.db.view(ctx, func(t tx) error {
		last, err = one(t, `SELECT coalesce(max(last_seq), 0) FROM ledger WHERE connector = ?`, q.id)
		return err
	})
	return last, q.store.db.classify(err)
}

// eraseRecords looks at some records beyond after, and returns how far it came.
func (q *Queue) eraseRecords(ctx context.Context, after int64, match func([]byte) bool, e *Erasure) (int64, error) {
	if err := ctx.Err(); err != nil {
		return after, err
	}
	var seqs []int64
	err := q.scanRecords(ctx, `seq > ?`, func(s recordState) error {
		if seqs = append(seqs, s.seq); len(seqs) == erased {
			return errStop
		}
		return nil
	}, after)
	if err != nil {
		return after, q.store.db.classify(err)
	}
	for _, seq := range seqs {
		b, err := q.readBody(ctx, seq)
		if errors.Is(err, errBody) {
			continue
		}
		if err != nil {
			return after, q.store.db.classify(err)
		}
		hit := map[int]bool{}
		for i, raw := range b.events {
			if len(raw) > 0 && match(raw) {
				hit[i] = true
			}
		}
		if len(hit) > 0 {
			if err := q.eraseEvents(ctx, seq, b, hit, e); err != nil {
				return after, err
			}
		}
	}
	if len(seqs) < erased {
		return 1 << 62, nil
	}
	return seqs[len(seqs)-1], nil
}

// eraseEvents takes events out of a body. Which of them have an outcome is
// decided in the transaction.
func (q *Queue) eraseEvents(ctx context.Context, seq int64, b decodedBody, hit map[int]bool, e *Erasure) error {
	var gone, left int
	err := q.order(ctx, func(c *change) error {
		gone, left = 0, 0
		var s recordState
		err := c.query(`SELECT events, pending, outcome FROM record WHERE seq = ?`, func(r row) error {
			return r.scan(&s.events, &s.pending, &s.outcome)
		}, seq)
		if err != nil || s.events == 0 {
			return err // it was pruned meanwhile
		}
		out := outcomes(s.outcome, s.events, s.pending)
		events := append([][]byte(nil), b.events...)
		for i := range hit {
			if i >= len(out) || out[i] == outPending {
				left++
				continue
			}
			out[i], events[i] = outErased, nil
			gone++
		}
		if gone == 0 {
			return nil
		}
		if err := c.exec(`UPDATE record SET outcome = ? WHERE seq = ?`, out, seq); err != nil {
			return err
		}
		q.setOutcome(seq, out)
		body := appendBody(nil, b.connector, b.received, events)
		return c.exec(`UPDATE `+q.store.db.body(seq)+` SET data = ? WHERE seq = ?`, body, seq)
	}, nil)
	if err == nil { // else the writer may still be at it
		e.History += gone
		e.Pending += left
	}
	return err
}

// setOutcome keeps the copy of a claimed record's outcomes in memory. Erased
// events have an outcome in any case, so nothing is to be undone.
func (q *Queue) setOutcome(seq int64, outcome []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if c := q.claims[seq]; c != nil {
		c.outcome = outcome
	}
}

func (q *Queue) eraseLetters(ctx context.Context, match func([]byte) bool, e *Erasure) error {
	for after := uint64(0); ; {
		letters, err := q.Letters(ctx, LetterFilter{After: after})
		if err != nil || len(letters) == 0 {
			return err
		}
		var numbers []uint64
		for _, l := range letters {
			after = l.Number
			if l.Event != nil && match(l.Event) {
				numbers = append(numbers, l.Number)
			}
		}
		n, err := q.PurgeDead(ctx, numbers...)
		e.Dead += n
		if err != nil {
			return err
		}
	}
}
