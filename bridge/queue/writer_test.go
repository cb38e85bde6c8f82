package queue

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/sqldb"
)

// openIdle opens a store whose writer has nothing to do but what a test commits.
func openIdle(t *testing.T, opts Options) (*Store, *Queue) {
	opts.maintainEvery = time.Hour
	s, err := Open(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	q, err := s.Queue(t.Context(), "a", 100)
	require.NoError(t, err)
	return s, q
}

// ready makes an operation that commit can be given.
func ready(o *op) *op {
	o.finished = make(chan error, 1)
	return o
}

func batchOf(id int) Batch {
	body := fmt.Appendf(nil, `{"n":%d}`, id)
	return Batch{Body: body, Items: []Item{{End: len(body), ID: hash(id)}}}
}

// Small batches of one commit are one record, but for a backfilled one, and each event
// is what it was.
func TestSmallBatchesShareARecord(t *testing.T) {
	s, q := openIdle(t, Options{Dir: t.TempDir()})
	var group []*op
	for i := range 6 {
		b := batchOf(i)
		b.Backfilled = i == 5
		a, err := q.prepareAppend(b)
		require.NoError(t, err)
		group = append(group, ready(&a.op))
	}
	s.writer.commit(group)
	for again := range 2 { // from memory, and from the file
		records, err := q.Claim(t.Context(), Limit{Events: 100, Bytes: 1 << 20})
		require.NoError(t, err)
		require.Len(t, records, 1)
		require.Len(t, records[0].Events, 5)
		for i, e := range records[0].Events {
			require.Equal(t, string(batchOf(i).Body), string(e.Raw), again)
			require.Equal(t, i, e.Index)
		}
		q.Release(records...)
	}
}

// What a transaction that fails has changed in memory is taken back, also of the
// operation that it failed in, and of a claim that was released meanwhile.
func TestFailedTransactionIsTakenBack(t *testing.T) {
	s, q := openIdle(t, Options{Dir: t.TempDir()})
	_, err := q.Append(t.Context(), batchOf(1))
	require.NoError(t, err)
	records, err := q.Claim(t.Context(), Limit{Events: 100, Bytes: 1 << 20})
	require.NoError(t, err)
	st := &settling{q: q}
	require.NoError(t, st.prepare(t.Context(), Settlement{Delivered: []Span{{Seq: records[0].Seq}}}))
	a, err := q.prepareAppend(batchOf(2))
	require.NoError(t, err)
	a.do = func(c *change) error {
		q.Release(records...)
		return errors.Join(a.write(c), ErrAway)
	}
	s.writer.commit([]*op{ready(&st.op), ready(&a.op)})
	require.ErrorIs(t, <-a.finished, ErrAway)
	got, err := q.Append(t.Context(), batchOf(2))
	require.NoError(t, err)
	require.Equal(t, Receipt{Accepted: 1}, got, "its id is not remembered")
	records, err = q.Claim(t.Context(), Limit{Events: 100, Bytes: 1 << 20})
	require.NoError(t, err)
	require.Len(t, records, 2)
	require.Equal(t, uint64(2), q.Ledger().Pending())
}

// Callers that give up while the writer waits for more operations leave it with
// none, and it goes on.
func TestWithdrawnOperations(t *testing.T) {
	s, q := openIdle(t, Options{Dir: t.TempDir()})
	for i := range 50 {
		s.writer.mu.Lock()
		s.writer.last = 2 // so that it waits for more than one
		s.writer.mu.Unlock()
		ctx, cancel := context.WithTimeout(t.Context(), minGather/2)
		_, _ = q.Append(ctx, batchOf(i))
		cancel()
		time.Sleep(3 * minGather) // it finds nothing
	}
	_, err := q.Append(t.Context(), batchOf(-1))
	require.NoError(t, err)
}

// While nothing else is to be written, one call of Maintain gives all free pages back.
func TestFreePagesAreGivenBackAtOnce(t *testing.T) {
	s, q := openIdle(t, Options{Dir: t.TempDir()})
	const letters = 40
	noise := make([]byte, 1<<20)
	for range letters {
		_, _ = rand.Read(noise) // never fails
		_, err := q.Append(t.Context(), Batch{Body: noise, Items: []Item{{End: len(noise), Fate: Dead}}})
		require.NoError(t, err)
	}
	for n := range uint64(letters) {
		if n == letters-1 {
			require.NoError(t, s.db.Wipe(t.Context())) // so that the log is small
		}
		purged, err := q.PurgeDead(t.Context(), n+1)
		require.NoError(t, err)
		require.Equal(t, 1, purged)
	}
	s.writer.mu.Lock()
	s.writer.running = time.Now()
	s.writer.mu.Unlock()
	s.writer.commit([]*op{ready(&op{do: func(*change) error { return nil }})})
	require.True(t, s.writer.idle(), "as soon as the operation is answered")
	steps := 0
	require.NoError(t, s.db.Maintain(t.Context(), s.writer.idle, func(do func(sqldb.Tx) error) error {
		steps++
		return s.writer.run(t.Context(), &op{size: 1, do: func(c *change) error { return do(c) }})
	}))
	s.space.measure()
	require.Zero(t, s.space.spare, "after %d steps", steps)
	require.Greater(t, steps, 5, "each of them is a small one")
}
