package queue

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/sqldb"
	"github.com/currentsbridge/currentsbridge/internal/logbuffer"
)

// restarted closes a store and opens it again.
func restarted(t *testing.T, s *Store) (*Store, *Queue) {
	require.NoError(t, s.Close())
	return openIdle(t, s.opts)
}

// damageFile flips a bit of a text that stands once in the file of a closed store.
func damageFile(t *testing.T, dir string, text []byte) {
	file := filepath.Join(dir, "queue.db")
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, 1, bytes.Count(data, text))
	data[bytes.Index(data, text)+len(text)/2] ^= 1
	require.NoError(t, os.WriteFile(file, data, 0o600))
}

// alter changes a text in the stored body of each record that has it, so that the database
// reads it and its checksum does not match.
func alter(t *testing.T, q *Queue, text, by string) {
	seqs, err := sqldb.QueryRows(t.Context(), q.store.db, `SELECT seq FROM record`, sqldb.One[int64])
	require.NoError(t, err)
	require.NoError(t, q.transact(t.Context(), func(c *change) error {
		for _, seq := range seqs {
			var data []byte
			table := q.store.db.Body(seq)
			if err := c.Query(`SELECT data FROM `+table+` WHERE seq = $1`, func(r sqldb.Row) error { return r.Scan(&data) }, seq); err != nil {
				return err
			}
			if err := c.Exec(`UPDATE `+table+` SET data = $1 WHERE seq = $2`, bytes.ReplaceAll(data, []byte(text), []byte(by)), seq); err != nil {
				return err
			}
		}
		return nil
	}))
}

func marked(s *Store) bool {
	_, err := os.Stat(filepath.Join(s.opts.Dir, "queue.db-damaged"))
	return err == nil
}

// bodies counts those that are stored.
func bodies(t *testing.T, s *Store, seq int64) int64 {
	n, err := s.queryInt(t.Context(), `SELECT count(*) FROM `+s.db.Body(seq))
	require.NoError(t, err)
	return n
}

func appendAll(t *testing.T, q *Queue, fate Fate, reason string, events ...[]byte) {
	b := Batch{}
	for _, e := range events {
		b.Items = append(b.Items, Item{Start: len(b.Body), End: len(b.Body) + len(e), Fate: fate, Reason: reason})
		b.Body = append(b.Body, e...)
	}
	_, err := q.Append(t.Context(), b)
	require.NoError(t, err)
}

func erased(t *testing.T, q *Queue, text string) Erasure {
	e, err := q.Erase(t.Context(), func(event []byte) bool { return bytes.Contains(event, []byte(text)) })
	require.NoError(t, err)
	return e
}

func lettersOf(t *testing.T, q *Queue, f LetterFilter) (letters []DeadLetter, numbers []uint64) {
	letters, err := q.Letters(t.Context(), f)
	require.NoError(t, err)
	for _, l := range letters {
		numbers = append(numbers, l.Number)
	}
	return letters, numbers
}

// sevenLetters stores dead letters, of which the second and fourth have another reason. The
// third is large, with these bytes in its middle, and is returned.
func sevenLetters(t *testing.T, q *Queue, middle []byte) (large []byte) {
	large = fmt.Appendf(nil, `{"who":"ada","pad":"%s%s%[1]s"}`, bytes.Repeat([]byte("x"), 30_000), middle)
	for i := range 7 {
		event, reason := fmt.Appendf(nil, `{"who":"ben","n":%d}`, i), "refused"
		if i == 2 {
			event = large
		}
		if i == 1 || i == 3 {
			reason = "no_identity"
		}
		appendAll(t, q, Dead, reason, event)
	}
	return large
}

// A dead letter whose event the disk does not give back is listed without it, and hides no
// other. It is counted once, however often it is met. After the next start what can be
// read of it is kept to be looked at: it can be purged, and is not replayed.
func TestUnreadableLetter(t *testing.T) {
	s, q := openIdle(t, Options{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	middle := []byte(rand.Text())
	large := sevenLetters(t, q, middle)
	require.NoError(t, s.Close())
	damageFile(t, s.opts.Dir, middle)
	s, q = openIdle(t, s.opts)
	for _, list := range []struct {
		filter LetterFilter
		want   []uint64
		bad    int
	}{
		{LetterFilter{Reason: "refused"}, []uint64{1, 3, 5, 6, 7}, 1},
		{LetterFilter{Reason: "no_identity"}, []uint64{2, 4}, -1},
		{LetterFilter{}, []uint64{1, 2, 3, 4, 5, 6, 7}, 2},
		{LetterFilter{Numbers: []uint64{3}}, []uint64{3}, 0},
		{LetterFilter{After: 2, Limit: 2}, []uint64{3, 4}, 0},
	} {
		letters, numbers := lettersOf(t, q, list.filter)
		require.Equal(t, list.want, numbers)
		for i, l := range letters {
			require.Equal(t, i == list.bad, l.Unreadable, l.Number)
			require.Equal(t, i == list.bad, l.Event == nil, l.Number)
		}
		if list.bad >= 0 {
			require.Contains(t, letters[list.bad].Answer, "(its event is damaged on disk)")
		}
	}
	require.NoError(t, s.scrubQueue(t.Context(), q, 0))
	require.Equal(t, 1, s.Usage().Damaged)

	require.Equal(t, Erasure{Unreadable: 1}, erased(t, q, "ada"))
	n, err := q.ReplayDead(t.Context(), 1, 5)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	n, err = q.PurgeDead(t.Context(), 2, 4, 6, 7)
	require.NoError(t, err)
	require.Equal(t, 4, n)
	require.NoError(t, s.Usage().Err)

	s, q = restarted(t, s)
	letters, numbers := lettersOf(t, q, LetterFilter{})
	require.Equal(t, []uint64{3}, numbers)
	require.True(t, letters[0].Altered, "it is kept to be looked at")
	require.Len(t, letters[0].Event, len(large))
	n, err = q.ReplayDead(t.Context(), 3)
	require.NoError(t, err)
	require.Zero(t, n)
	require.Equal(t, Erasure{Unreadable: 1}, erased(t, q, "eve"), "what is altered may be of anybody")
	require.Equal(t, Erasure{Dead: 1}, erased(t, q, "ada"))
	require.Zero(t, q.Ledger().Dead)
	require.Zero(t, s.Usage().Damaged)
}

// Where the page of a dead letter's row is damaged, those before it are listed, then an error
// says so, and the next start sets it aside. A purge beside it fails alone: what else is
// in its transaction is stored.
func TestUnreadableRowOfALetter(t *testing.T) {
	s, q := openIdle(t, Options{Dir: t.TempDir()})
	for i := range 30 {
		appendAll(t, q, Dead, "refused", fmt.Appendf(nil, `{"n":"n%d.%s"}`, i, bytes.Repeat([]byte("x"), 1000)))
	}
	require.NoError(t, s.Close())
	damageFile(t, s.opts.Dir, []byte(`{"n":"n20.`))
	s, q = openIdle(t, s.opts)
	_, numbers := lettersOf(t, q, LetterFilter{})
	require.NotEmpty(t, numbers)
	require.Less(t, len(numbers), 21)
	_, err := q.Letters(t.Context(), LetterFilter{After: numbers[len(numbers)-1]})
	require.ErrorIs(t, err, ErrDamaged)
	require.True(t, marked(s))
	for range 2 {
		require.Equal(t, Erasure{Unreadable: 1}, erased(t, q, `"n":"n`))
	}
	a, err := q.prepareAppend(batchOf(1))
	require.NoError(t, err)
	purge := ready(&op{apart: true, do: func(c *change) error {
		_, err := q.purge(c, signed(numbers))
		return err
	}})
	s.writer.commit([]*op{ready(&a.op), purge})
	require.NoError(t, <-a.finished)
	require.ErrorIs(t, <-purge.finished, ErrDamaged)
	require.EqualValues(t, 1, q.Ledger().Pending())
	require.Equal(t, 1, s.Usage().Damaged)
	require.NoError(t, s.Usage().Err)
	_, q = restarted(t, s)
	letters, _ := lettersOf(t, q, LetterFilter{})
	events := 0
	for _, l := range letters {
		events += l.Events
	}
	require.EqualValues(t, q.Ledger().Dead, events)
}

// A body that does not match its checksum becomes dead letters that keep their bytes and
// are not replayed; events of its whole parts can be. Nothing of it stays elsewhere, and
// what could not be searched for a person is counted.
func TestAlteredBody(t *testing.T) { onBoth(t, testAlteredBody) }

func testAlteredBody(t *testing.T, opts Options) {
	s, q := openIdle(t, opts)
	var group []*op
	for i := range 3 {
		a, err := q.prepareAppend(batchOf(i))
		require.NoError(t, err)
		group = append(group, ready(&a.op))
	}
	s.writer.commit(group)
	s, q = restarted(t, s)
	alter(t, q, `{"n":1}`, `{"n":7}`)
	seq := q.last
	require.NoError(t, s.scrubQueue(t.Context(), q, 0))
	require.NoError(t, s.scrubQueue(t.Context(), q, 0))
	require.Equal(t, 1, s.Usage().Damaged)
	require.Zero(t, bodies(t, s, seq))
	letters, numbers := lettersOf(t, q, LetterFilter{Reason: ReasonDamaged})
	require.Len(t, letters, 3)
	for i, l := range letters {
		require.Equal(t, []string{`{"n":0}`, `{"n":7}`, `{"n":2}`}[i], string(l.Event))
		require.Equal(t, i == 1, l.Altered)
	}
	require.Equal(t, Erasure{Unreadable: 1}, erased(t, q, "ada"))
	n, err := q.ReplayDead(t.Context(), numbers...)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	_, left := lettersOf(t, q, LetterFilter{})
	require.Equal(t, numbers[1:2], left)
	require.Equal(t, Erasure{Dead: 1}, erased(t, q, "7"))
	require.Zero(t, erased(t, q, "ada"))
}

// What dies while its body does not match its checksum any more is not replayed either.
func TestAlteredBodyOfADeadEvent(t *testing.T) {
	onBoth(t, func(t *testing.T, opts Options) {
		_, q := openIdle(t, opts)
		_, err := q.Append(t.Context(), batchOf(1))
		require.NoError(t, err)
		records, err := q.Claim(t.Context(), Limit{Events: 1, Bytes: 1})
		require.NoError(t, err)
		alter(t, q, `{"n":1}`, `{"n":7}`)
		require.Equal(t, Erasure{Unreadable: 1}, erased(t, q, "ada"), "it is in flight and damaged")
		require.NoError(t, q.Settle(t.Context(), Settlement{Dead: []DeadEvent{{Seq: records[0].Seq, Reason: "refused", Status: 400, Answer: "no"}}}))
		q.Release(records...)
		letters, numbers := lettersOf(t, q, LetterFilter{Reason: ReasonDamaged})
		require.Len(t, letters, 1)
		require.True(t, letters[0].Altered)
		require.Equal(t, "no", letters[0].Answer)
		n, err := q.ReplayDead(t.Context(), numbers...)
		require.NoError(t, err)
		require.Zero(t, n)
	})
}

// A damaged record of history goes, also from the log's words: there is no dead letter of it.
func TestAlteredHistory(t *testing.T) {
	onBoth(t, func(t *testing.T, opts Options) {
		var log logbuffer.Buffer
		opts.Logger, opts.RetainAge = slog.New(slog.NewTextHandler(&log, nil)), time.Hour
		s, q := openIdle(t, opts)
		_, err := q.Append(t.Context(), batchOf(1))
		require.NoError(t, err)
		records, err := q.Claim(t.Context(), Limit{Events: 1, Bytes: 1})
		require.NoError(t, err)
		require.NoError(t, q.Settle(t.Context(), Settlement{Delivered: []Span{{Seq: records[0].Seq}}}))
		q.Release(records...)
		alter(t, q, `{"n":1}`, `{"n":7}`)
		require.Zero(t, erased(t, q, "ada"), "nothing is left that could hold something")
		require.Zero(t, bodies(t, s, int64(records[0].Seq)))
		require.Equal(t, 1, s.Usage().Damaged)
		require.Contains(t, log.String(), "a record of history cannot be read")
		require.NotContains(t, log.String(), "dead letters")
	})
}

// A body with damaged pages stays until the next start, which rebuilds the file without it;
// until then every Erasure counts it.
func TestUnreadableBody(t *testing.T) {
	for _, history := range []bool{false, true} {
		s, q := openIdle(t, Options{Dir: t.TempDir(), RetainAge: time.Hour, Logger: slog.New(slog.DiscardHandler)})
		noise := make([]byte, 60_000)
		_, _ = rand.Read(noise)
		appendAll(t, q, Pending, "", noise)
		if history {
			records, err := q.Claim(t.Context(), Limit{Events: 1, Bytes: 1})
			require.NoError(t, err)
			require.NoError(t, q.Settle(t.Context(), Settlement{Delivered: []Span{{Seq: records[0].Seq}}}))
			q.Release(records...)
		}
		require.NoError(t, s.Close())
		damageFile(t, s.opts.Dir, noise[40_000:40_020])
		s, q = openIdle(t, s.opts)
		for range 2 {
			require.Equal(t, Erasure{Unreadable: 1}, erased(t, q, "ada"))
		}
		require.Equal(t, 1, s.Usage().Damaged)
		require.True(t, marked(s))
		require.EqualValues(t, 1, bodies(t, s, 1))
		s, q = restarted(t, s)
		require.Zero(t, erased(t, q, "ada"))
		require.Zero(t, bodies(t, s, 1))
		require.Zero(t, q.Ledger().Pending())
	}
}

// Events of whole bodies that a rebuild makes dead letters of can be replayed.
func TestLettersOfARebuildAreReplayed(t *testing.T) {
	s, q := openIdle(t, Options{Dir: t.TempDir()})
	_, err := q.Append(t.Context(), batchOf(1))
	require.NoError(t, err)
	require.NoError(t, q.transact(t.Context(), func(c *change) error { return c.Exec(`DELETE FROM record`) }))
	require.NoError(t, os.WriteFile(filepath.Join(s.opts.Dir, "queue.db-damaged"), nil, 0o600))
	_, q = restarted(t, s)
	_, numbers := lettersOf(t, q, LetterFilter{Reason: ReasonDamaged})
	n, err := q.ReplayDead(t.Context(), numbers...)
	require.NoError(t, err)
	require.Equal(t, 1, n)
}
