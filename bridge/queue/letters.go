package queue

import (
	"context"
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

var insertLetter = sqldb.Insert("letter", "connector, received, died, reason, status, answer, attempts, events, type, event_id, user_id, external_id, event")

func (q *Queue) insertLetter(c *change, l DeadLetter) error {
	if l.Event != nil {
		l.Description = q.store.opts.Describe(l.Event)
	}
	return c.Exec(insertLetter, q.id, l.ReceivedAt.UnixMicro(), time.Now().UnixMicro(), textOf(l.Reason), int64(l.Status), textOf(l.Answer),
		int64(l.Attempts), int64(l.Events), textOf(l.EventType), textOf(l.EventID), textOf(l.UserID), textOf(l.ExternalUserID), l.Event)
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

const letterColumns = `SELECT number, received, died, reason, status, answer, attempts, events, type, event_id, user_id, external_id`

// Letters lists the dead letters that the filter chooses, oldest first. It ends
// early where they are large, but returns none only at the end.
func (q *Queue) Letters(ctx context.Context, f LetterFilter) (letters []DeadLetter, err error) {
	if f.Limit <= 0 {
		f.Limit = defaultLetters
	}
	where, args := q.where(f)
	event := `, event`
	if f.NoEvents {
		event = `, NULL`
	}
	bytes, after := 0, int64(f.After)
	err = q.store.db.View(ctx, func(t sqldb.Tx) error {
		return t.Query(letterColumns+event+` FROM letter`+where+` ORDER BY number`, func(r sqldb.Row) error {
			l, err := scanLetter(r)
			if err != nil {
				return err
			}
			after = int64(l.Number)
			if !f.matchesType(l.EventType) {
				return nil
			}
			letters = append(letters, l)
			if bytes += len(l.Event); len(letters) == f.Limit || bytes > letterBytes {
				return sqldb.ErrStop
			}
			return nil
		}, args...)
	})
	if err == nil {
		return letters, nil
	}
	if q.store.db.Corrupt(err) && len(letters) == 0 && f.Numbers == nil && !f.NoEvents {
		return q.lettersBeyondDamage(ctx, f, after)
	}
	if len(letters) > 0 {
		return letters, nil // the next call begins with what is damaged
	}
	return nil, q.store.db.Classify(err)
}

// lettersBeyondDamage marks the letter whose event cannot be read as damaged, and
// goes on. Where its row cannot be read either, the file is damaged around it, and
// the next start rebuilds it.
func (q *Queue) lettersBeyondDamage(ctx context.Context, f LetterFilter, after int64) ([]DeadLetter, error) {
	number, err := q.store.queryInt(ctx, `SELECT number FROM letter WHERE connector = $1 AND number > $2 ORDER BY number LIMIT 1`, q.id, after)
	if err != nil || number == 0 {
		return nil, err
	}
	q.store.noteDamage(fmt.Sprintf("dead letter %d", number), body.ErrDamaged)
	f.After, f.NoEvents = uint64(after), true
	letters, err := q.Letters(ctx, f)
	for i := range letters {
		if int64(letters[i].Number) == number {
			letters[i].Answer = strings.TrimSpace(letters[i].Answer + " (its event is damaged on disk)")
			return letters[:i+1], err
		}
	}
	return letters, err
}

func scanLetter(r sqldb.Row) (l DeadLetter, err error) {
	var received, died int64
	err = r.Scan(&l.Number, &received, &died, &l.Reason, &l.Status, &l.Answer, &l.Attempts, &l.Events,
		&l.EventType, &l.EventID, &l.UserID, &l.ExternalUserID, &l.Event)
	l.ReceivedAt, l.DiedAt = time.UnixMicro(received), time.UnixMicro(died)
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
// (any more), and letters that stand for several elements or whose event cannot
// be read, are passed over. Each letter is either dead or pending at every
// moment.
func (q *Queue) ReplayDead(ctx context.Context, numbers ...uint64) (int, error) {
	return q.move(ctx, numbers, q.requeue)
}

// PurgeDead removes dead letters for good and returns how many events there
// were.
func (q *Queue) PurgeDead(ctx context.Context, numbers ...uint64) (int, error) {
	return q.move(ctx, numbers, q.purge)
}

func (q *Queue) move(ctx context.Context, numbers []uint64, how func(*change, []int64) (int, error)) (total int, err error) {
	if err := q.store.space.admitOutcome(); err != nil {
		return 0, err
	}
	for chunk := range slices.Chunk(numbers, 500) { // each in one transaction
		n := 0
		o := &op{size: 2000 * len(chunk), need: sqldb.Need{Records: len(chunk)}, do: func(c *change) (err error) {
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
	err = c.Query(`DELETE FROM letter WHERE number`+q.store.db.In("$1")+` AND connector = $2 AND events = 1 AND event IS NOT NULL RETURNING received, event`, func(r sqldb.Row) error {
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
	n, err := sqldb.QueryInt(c, `DELETE FROM letter WHERE number`+q.store.db.In("$1")+` AND connector = $2 RETURNING events`, numbers, q.id)
	c.of(q).sums.add(delta{dead: -n, purged: n})
	return int(n), err
}
