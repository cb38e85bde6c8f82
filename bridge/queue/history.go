package queue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/body"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/sqldb"
	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
)

// eachBody passes the records up to last to each, with their bodies, or what could
// be read of one and why not all. It rests for a while after some of them.
func (q *Queue) eachBody(ctx context.Context, last int64, rest time.Duration, each func(seq int64, b body.Decoded, damage error) error) error {
	for after := int64(0); ; {
		seqs, err := sqldb.QueryRows(ctx, q.store.db, `SELECT seq FROM record WHERE connector = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4`,
			sqldb.One[int64], q.id, after, last, bodiesAtOnce)
		if err != nil || len(seqs) == 0 {
			return err
		}
		for _, after = range seqs {
			b, err := q.readBody(ctx, after)
			if err == nil || errors.Is(err, body.ErrDamaged) {
				err = each(after, b, err)
			}
			if err != nil {
				return q.store.db.Classify(err)
			}
		}
		if !pause(ctx, rest) {
			return ctx.Err()
		}
	}
}

// bodiesAtOnce is how many records eachBody reads before it rests.
const bodiesAtOnce int64 = 50

// Pending lists the records of which something is pending, claimed or not,
// oldest first, beyond the record after, with those events. It returns at most
// limit events, but one record at least; none only at the end.
func (q *Queue) Pending(ctx context.Context, after uint64, limit int) ([]*Record, error) {
	return q.recordsWith(ctx, int64(after), sqldb.PendingInOrder, Limit{Events: limit, Bytes: letterBytes}, outPending)
}

// recordsWith reads records beyond the record after, and of them the events that have
// the outcome. Damaged ones are left out. chosen is a condition on the connector $1 and the
// record $2, with an order; it names its parameters from $3 on.
func (q *Queue) recordsWith(ctx context.Context, after int64, chosen string, limit Limit, outcome byte, args ...any) (records []*Record, err error) {
	const page = 1000
	for n := page; n == page && len(records) == 0; {
		var list []claim
		n = 0
		left := limit
		err := q.store.db.View(ctx, func(t sqldb.Tx) error {
			return t.Query(`SELECT `+sqldb.RecordColumns+` FROM record WHERE `+chosen+` LIMIT `+strconv.Itoa(page), func(r sqldb.Row) error {
				s, err := sqldb.ScanRecord(r)
				if err != nil {
					return err
				}
				if events := bytes.Count(outcomes(s), []byte{outcome}); events > 0 {
					left.Events -= events
					left.Bytes -= int(s.Size)
					if (left.Events < 0 || left.Bytes < 0) && len(list) > 0 {
						n = page // there are more
						return sqldb.ErrStop
					}
					list = append(list, claim{Record: s})
				}
				n, after = n+1, s.Seq
				return nil
			}, append([]any{q.id, after}, args...)...)
		})
		if err != nil {
			return nil, q.store.db.Classify(err)
		}
		if records, err = q.readable(ctx, list, outcome); err != nil {
			return nil, err
		}
	}
	return records, nil
}

// readable reads those of the records that are not damaged.
func (q *Queue) readable(ctx context.Context, list []claim, outcome byte) (records []*Record, err error) {
	for len(list) > 0 {
		some, err := q.readRecords(ctx, list, outcome)
		records, list = append(records, some...), list[len(some):]
		if err == nil {
			continue
		}
		if !errors.Is(err, body.ErrDamaged) {
			return nil, q.store.db.Classify(err)
		}
		if list[0].Pending == 0 {
			q.store.noteDamage(placeOf(list[0].Seq), "a record of history cannot be read and is not replayed", "connector", q.name, "record", list[0].Seq, "error", err)
		}
		list = list[1:]
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
	err = q.transact(ctx, func(c *change) error {
		newest, err := newestReplay(c, q.id)
		if err != nil {
			return err
		}
		if newest.Active() {
			return ErrReplaying
		}
		_, err = sqldb.QueryInt(c, `INSERT INTO replay (connector, request, started, next_seq, last_seq) SELECT $1, $2, $3, 1, max(last_seq) FROM ledger WHERE connector = $4 RETURNING number`,
			q.id, string(text), time.Now().UnixMicro(), q.id)
		if err == nil {
			replay, err = newestReplay(c, q.id)
		}
		c.of(q).replay = true
		return err
	})
	if err != nil { // the writer may still be at it
		return Replay{}, err
	}
	replay.Order = order
	return replay, nil
}

// transact runs a small change that an operator has asked for.
func (q *Queue) transact(ctx context.Context, do func(*change) error) error {
	if err := q.store.space.admitOutcome(); err != nil {
		return err
	}
	return q.store.writer.run(ctx, &op{size: 1000, do: do})
}

// EndReplay ends the replay with this number, if it is active.
func (q *Queue) EndReplay(ctx context.Context, number uint64) error {
	return q.SettleReplay(ctx, ReplayProgress{Number: number, End: true})
}

// Replay returns the newest replay, active or ended; its zero value where there
// was none.
func (q *Queue) Replay(ctx context.Context) (r Replay, err error) {
	if err := q.store.stopped(); err != nil && !errors.Is(err, ErrFailed) {
		return Replay{}, err
	}
	err = q.store.db.View(ctx, func(t sqldb.Tx) error {
		r, err = newestReplay(t, q.id)
		return err
	})
	return r, q.store.db.Classify(err)
}

func newestReplay(t sqldb.Tx, connector int64) (r Replay, err error) {
	var started, ended int64
	var request []byte
	err = t.Query(`SELECT number, request, started, ended, next_seq, replayed, refused, skipped FROM replay
 WHERE connector = $1 ORDER BY number DESC LIMIT 1`, func(row sqldb.Row) error {
		return row.Scan(&r.Number, &request, &started, &ended, &r.Next, &r.Replayed, &r.Refused, &r.Skipped)
	}, connector)
	if err != nil || r.Number == 0 {
		return Replay{}, err
	}
	if err := json.Unmarshal(request, &r.Order); err != nil {
		return Replay{}, fmt.Errorf("replay %d: %w", r.Number, err)
	}
	r.StartedAt, r.EndedAt = timeOf(started), timeOf(ended)
	if ended > 0 {
		return r, nil
	}
	at, err := sqldb.QueryInt(t, `SELECT coalesce((SELECT received FROM record WHERE connector = $1 AND seq >= $2 ORDER BY seq LIMIT 1), 0)`, connector, int64(r.Next))
	r.Position = timeOf(at)
	return r, err
}

// FetchReplay waits for a replay to be active and returns its next records, in
// the order in which they came: of each the events that were delivered, and only
// records of the order's time. They are read, not claimed: they need no Settle
// and no Release, and asking again gives the same until SettleReplay, but for
// what was delivered or pruned meanwhile. Without a record the replay has come to
// its end; say so with SettleReplay. With the store's end it returns ErrClosed.
func (q *Queue) FetchReplay(ctx context.Context, limit Limit) (replay Replay, records []*Record, err error) {
	err = q.waitFor(ctx, &q.orders, func() (bool, error) {
		if replay, err = q.Replay(ctx); err != nil || !replay.Active() {
			return false, err
		}
		mine, err := q.store.db.OwnReplay(ctx, int64(replay.Number))
		if err == nil && mine {
			records, err = q.historyOf(ctx, replay, limit)
		}
		return mine, q.store.db.Classify(err)
	})
	if err != nil {
		return Replay{}, nil, err
	}
	return replay, records, nil
}

func (q *Queue) historyOf(ctx context.Context, replay Replay, limit Limit) ([]*Record, error) {
	till := int64(1) << 62
	if !replay.Order.Till.IsZero() {
		till = microsUp(replay.Order.Till)
	}
	return q.recordsWith(ctx, int64(replay.Next)-1, `connector = $1 AND seq > $2 AND received >= $3 AND received < $4
 AND seq <= (SELECT last_seq FROM replay WHERE number = $5) ORDER BY seq`,
		limit, outDelivered, microsUp(replay.Order.From), till, int64(replay.Number))
}

// microsUp rounds up: times of receipt are kept in whole microseconds.
func microsUp(t time.Time) int64 { return t.Add(time.Microsecond - 1).UnixMicro() }

// SettleReplay stores how far a replay has come, and returns once that is on
// disk. Each call that returns without an error counts once. Progress of a replay
// that is not active any more changes nothing but the ledger's Replayed.
func (q *Queue) SettleReplay(ctx context.Context, p ReplayProgress) error {
	return q.transact(ctx, func(c *change) error {
		c.of(q).sums[replayed] += int64(p.Replayed)
		ended := int64(0)
		if p.End {
			ended = time.Now().UnixMicro()
		}
		return c.Exec(`UPDATE replay SET next_seq = CASE WHEN next_seq < $1 THEN $1 ELSE next_seq END, replayed = replayed + $2, refused = refused + $3, skipped = skipped + $4, ended = $5
 WHERE number = $6 AND connector = $7 AND ended = 0`,
			int64(p.Next), int64(p.Replayed), int64(p.Refused), int64(p.Skipped), ended, int64(p.Number), q.id)
	})
}

// Erase removes the events that match from history and from the dead letters,
// bytes and all: once it has returned, they are in none of the files of the
// embedded store. (PostgreSQL keeps what was deleted until it vacuums, and in its
// log.) History is every stored event that has an outcome, also one of a record
// of which a part is pending. Letters count as purged, all else in the ledger
// stays; ids stay in the window. Events that are pending stay and are counted.
// match is called from one goroutine at a time and must not keep the event. What
// was erased when it fails half-way is erased; asking again does the rest. A record that
// cannot be read is set aside as by a scrub.
func (q *Queue) Erase(ctx context.Context, match func(event []byte) bool) (e Erasure, _ error) {
	q.store.erasing.Lock()
	defer q.store.erasing.Unlock()
	if err := q.store.stopped(); err != nil {
		return e, err
	}
	for _, part := range []func() error{
		func() error { return q.eraseHistory(ctx, match, &e) },
		func() error { return q.eraseLetters(ctx, match, &e) },
	} {
		err := part()
		if errors.Is(err, ErrDamaged) && q.store.stopped() == nil {
			q.store.noteFile(err)
			e.Unreadable++
		} else if err != nil {
			return e, err
		}
	}
	q.mu.Lock()
	e.Unreadable += len(q.left)
	q.mu.Unlock()
	return e, q.store.db.Classify(q.store.db.Wipe(ctx))
}

func (q *Queue) eraseHistory(ctx context.Context, match func([]byte) bool, e *Erasure) error {
	last, err := q.store.queryInt(ctx, `SELECT coalesce(max(last_seq), 0) FROM ledger WHERE connector = $1`, q.id)
	if err != nil {
		return err
	}
	return q.eachBody(ctx, last, 0, func(seq int64, b body.Decoded, damage error) error {
		if damage != nil {
			inFlight, err := q.setAside(ctx, seq, damage)
			if inFlight {
				e.Unreadable++
			}
			return err
		}
		var hits []int
		for i, raw := range b.Split() {
			if len(raw) > 0 && match(raw) {
				hits = append(hits, i)
			}
		}
		if len(hits) == 0 {
			return nil
		}
		return q.eraseEvents(ctx, seq, b, hits, e)
	})
}

// eraseEvents takes events out of a body. Which of them have an outcome is
// decided in the transaction.
func (q *Queue) eraseEvents(ctx context.Context, seq int64, b body.Decoded, hits []int, e *Erasure) error {
	var gone, left int
	err := q.transact(ctx, func(c *change) error {
		gone, left = 0, 0
		s, err := readState(c, seq)
		if err != nil || s.Events == 0 {
			return err // it was pruned meanwhile
		}
		out := outcomes(s)
		events := b.Split()
		for _, i := range hits {
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
		if err := c.Exec(`UPDATE record SET outcome = $1 WHERE seq = $2`, out, seq); err != nil {
			return err
		}
		if claimed := c.state(q, seq); claimed != nil {
			claimed.Outcome = out
		}
		data := body.Append(nil, b.Connector, b.Received, body.NewEvents(events...))
		return c.Exec(`UPDATE `+q.store.db.Body(seq)+` SET data = $1 WHERE seq = $2`, data, seq)
	})
	if err == nil { // else the writer may still be at it
		e.History += gone
		e.Pending += left
	}
	return err
}

// readState reads a row of record; no events: there is none.
func readState(t sqldb.Tx, seq int64) (s sqldb.Record, err error) {
	err = t.Query(`SELECT `+sqldb.RecordColumns+` FROM record WHERE seq = $1`, func(r sqldb.Row) error {
		s, err = sqldb.ScanRecord(r)
		return err
	}, seq)
	return s, err
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
			switch {
			case l.Event != nil && match(l.Event):
				numbers = append(numbers, l.Number)
			case l.Unreadable || l.Altered:
				e.Unreadable++
			}
		}
		n, err := q.PurgeDead(ctx, numbers...)
		e.Dead += n
		if err != nil {
			return err
		}
	}
}

var insertLetter = sqldb.Insert("letter", "connector, received, died, reason, status, answer, attempts, events, type, event_id, user_id, external_id, altered, event")

func (q *Queue) insertLetter(c *change, l DeadLetter) error {
	if l.Event != nil {
		l.Description = q.store.opts.Describe(l.Event)
	}
	altered := int64(0)
	if l.Altered {
		altered = 1
	}
	return c.Exec(insertLetter, q.id, l.ReceivedAt.UnixMicro(), time.Now().UnixMicro(), textOf(l.Reason), int64(l.Status), textOf(l.Answer),
		int64(l.Attempts), int64(l.Events), textOf(l.EventType), textOf(l.EventID), textOf(l.UserID), textOf(l.ExternalUserID), altered, l.Event)
}

// textOf makes a text that both databases take: UTF-8 without a zero byte, and
// not longer than what is kept of it.
func textOf(s string) string {
	if len(s) > MaxAnswer {
		s = s[:MaxAnswer]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", " ")
}

// defaultLetters is the most letters, and letterBytes the most bytes of events
// that one call of Letters returns: it ends with the letter that goes beyond.
const (
	defaultLetters = 1000
	letterBytes    = 16 << 20
)

// where makes the condition of a filter.
func (q *Queue) where(f LetterFilter) (string, []any) {
	sql, args := " WHERE connector = $1", []any{q.id}
	if f.Numbers != nil {
		sql = " WHERE connector + 0 = $1" // not by an index that begins with it
	}
	add := func(wanted bool, condition string, value any) {
		if wanted {
			args = append(args, value)
			sql += " AND " + strings.ReplaceAll(condition, "?", "$"+strconv.Itoa(len(args)))
		}
	}
	add(f.Numbers != nil, "number"+q.store.db.In("?"), signed(f.Numbers))
	add(f.After > 0, "number > ?", int64(f.After))
	add(f.Last > 0, "number <= ?", int64(f.Last))
	add(f.Reason != "", "reason = ?", f.Reason)
	add(f.User != "", "(external_id = ? OR user_id = ?)", f.User)
	add(!f.Since.IsZero(), "died >= ?", f.Since.UnixMicro())
	add(!f.Until.IsZero(), "died < ?", f.Until.UnixMicro())
	add(f.Type != "" && !strings.ContainsAny(f.Type, `*?[\`), "type = ?", f.Type)
	return sql, args
}

func signed(numbers []uint64) []int64 {
	list := make([]int64, len(numbers))
	for i, n := range numbers {
		list[i] = int64(n)
	}
	return list
}

// matchesType tells whether an event type is one of the filter's.
func (f LetterFilter) matchesType(eventType string) bool {
	ok, _ := path.Match(f.Type, eventType)
	return ok || f.Type == ""
}

const letterColumns = `SELECT number, received, died, reason, status, answer, attempts, events, type, event_id, user_id, external_id, altered`

// Letters lists the dead letters that the filter chooses, oldest first. It ends
// early where they are large, but returns none only at the end.
func (q *Queue) Letters(ctx context.Context, f LetterFilter) ([]DeadLetter, error) {
	if f.Limit <= 0 {
		f.Limit = defaultLetters
	}
	letters, err := q.readLetters(ctx, f, "event")
	if q.store.db.Corrupt(err) {
		return q.lettersApart(ctx, f)
	}
	return letters, q.store.db.Classify(err)
}

// readLetters reads the letters that the filter chooses with their events, or with NULL
// for each.
func (q *Queue) readLetters(ctx context.Context, f LetterFilter, event string) (letters []DeadLetter, err error) {
	where, args := q.where(f)
	bytes := 0
	err = q.store.db.View(ctx, func(t sqldb.Tx) error {
		return t.Query(letterColumns+`, `+event+` FROM letter`+where+` ORDER BY number`, func(r sqldb.Row) error {
			l, err := scanLetter(r)
			if err != nil || !f.matchesType(l.EventType) {
				return err
			}
			letters = append(letters, l)
			if bytes += len(l.Event); len(letters) == f.Limit || bytes > letterBytes {
				return sqldb.ErrStop
			}
			return nil
		}, args...)
	})
	return letters, err
}

// lettersApart is Letters where an event cannot be read: each is read alone. Where a row
// cannot be read either, the file is damaged around it, and the next start rebuilds it.
func (q *Queue) lettersApart(ctx context.Context, f LetterFilter) (letters []DeadLetter, err error) {
	chosen, err := q.readLetters(ctx, f, "NULL")
	if err != nil && (len(chosen) == 0 || !q.store.db.Corrupt(err)) { // else the next call begins with it
		return nil, q.store.db.Classify(err)
	}
	bytes := 0
	for _, l := range chosen {
		err := q.store.db.View(ctx, func(t sqldb.Tx) error { // no row: it was moved meanwhile
			return t.Query(`SELECT event FROM letter WHERE number = $1`, func(r sqldb.Row) error { return r.Scan(&l.Event) }, int64(l.Number))
		})
		failed := q.store.db.Classify(err) // which has the next start rebuild a damaged file
		if q.store.db.Corrupt(err) {
			q.store.noteDamage(fmt.Sprintf("dead letter %d", l.Number), "the event of a dead letter cannot be read", "connector", q.name, "number", l.Number, "error", err)
			l.Event, l.Unreadable, l.Answer = nil, true, strings.TrimSpace(l.Answer+" (its event is damaged on disk)")
		} else if failed != nil {
			return nil, failed
		}
		letters = append(letters, l)
		if bytes += len(l.Event); bytes > letterBytes {
			break
		}
	}
	return letters, nil
}

func scanLetter(r sqldb.Row) (l DeadLetter, err error) {
	var received, died, altered int64
	err = r.Scan(&l.Number, &received, &died, &l.Reason, &l.Status, &l.Answer, &l.Attempts, &l.Events,
		&l.EventType, &l.EventID, &l.UserID, &l.ExternalUserID, &altered, &l.Event)
	l.ReceivedAt, l.DiedAt, l.Altered = time.UnixMicro(received), time.UnixMicro(died), altered != 0
	return l, err
}

// Summary counts the dead letters that the filter chooses, by reason and event
// type, the most frequent first. Limit and After have no effect.
func (q *Queue) Summary(ctx context.Context, f LetterFilter) (groups []LetterGroup, err error) {
	f.After = 0
	where, args := q.where(f)
	groups, err = sqldb.QueryRows(ctx, q.store.db, `SELECT reason, type, CAST(sum(events) AS BIGINT), count(*), min(number), max(number), max(died) FROM letter`+where+
		` GROUP BY reason, type ORDER BY 3 DESC, reason, type`, func(r sqldb.Row) (g LetterGroup, err error) {
		var died int64
		err = r.Scan(&g.Reason, &g.EventType, &g.Events, &g.Letters, &g.First, &g.Last, &died)
		g.DiedAt = time.UnixMicro(died)
		return g, err
	}, args...)
	return slices.DeleteFunc(groups, func(g LetterGroup) bool { return !f.matchesType(g.EventType) }), err
}

// ReplayDead moves the dead letters with these numbers back to pending, as new
// records, and returns how many events there were. Numbers that do not exist
// (any more), and letters that stand for several elements, or whose event cannot
// be read or is not what was written, are passed over. Each letter is either dead or
// pending at every moment.
func (q *Queue) ReplayDead(ctx context.Context, numbers ...uint64) (int, error) {
	return q.move(ctx, numbers, q.requeue)
}

// PurgeDead removes dead letters for good and returns how many events there
// were. It fails with ErrDamaged, and removes none of up to 500, where an unreadable one is
// among them, or the file is damaged around them: what cannot be read cannot be freed.
func (q *Queue) PurgeDead(ctx context.Context, numbers ...uint64) (int, error) {
	return q.move(ctx, numbers, q.purge)
}

func (q *Queue) move(ctx context.Context, numbers []uint64, how func(*change, []int64) (int, error)) (total int, err error) {
	if err := q.store.space.admitOutcome(); err != nil {
		return 0, err
	}
	for chunk := range slices.Chunk(numbers, 500) { // each in one transaction
		n := 0
		o := &op{size: 2000 * len(chunk), need: sqldb.Need{Records: len(chunk)}, apart: true, do: func(c *change) (err error) {
			n, err = how(c, signed(chunk))
			return err
		}}
		if err := q.store.writer.run(ctx, o); err != nil {
			return total, err
		}
		crashpoint.At("dead.after")
		total += n
	}
	return total, nil
}

func (q *Queue) requeue(c *change, numbers []int64) (n int, err error) {
	err = c.Query(`DELETE FROM letter WHERE number`+q.store.db.In("$1")+` AND connector + 0 = $2 AND events = 1 AND altered = 0 AND event IS NOT NULL RETURNING received, event`, func(r sqldb.Row) error {
		var received int64
		var event []byte
		if err := r.Scan(&received, &event); err != nil {
			return err
		}
		n++
		return c.addRecord(q, received, liveStream, encode(q.id, received, body.NewEvents(event)))
	}, numbers, q.id)
	c.of(q).sums[dead] -= int64(n)
	crashpoint.At("dead.before-commit")
	return n, err
}

func (q *Queue) purge(c *change, numbers []int64) (int, error) {
	n, err := sqldb.QueryInt(c, `DELETE FROM letter WHERE number`+q.store.db.In("$1")+` AND connector + 0 = $2 RETURNING events`, numbers, q.id)
	c.of(q).sums.add(delta{dead: -n, purged: n})
	return int(n), err
}
