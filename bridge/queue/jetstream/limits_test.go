package jetstream

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/natstest"
)

// A batch over max_payload is several records; an event over it is refused
// before anything is stored.
func TestLargerThanMaxPayload(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t, func(o *server.Options) { o.MaxPayload = minPayload })
	_, q := bridge(t, calm(t, srv))
	var ids []string
	for i := range 40 {
		ids = append(ids, fmt.Sprint(i))
	}
	got, err := q.Append(t.Context(), batchOf(10_000, append(ids, "3")...))
	require.NoError(t, err)
	require.Equal(t, queue.Receipt{Accepted: 40, Duplicates: 1}, got)
	l := q.Ledger()
	require.Equal(t, [...]uint64{41, 1, 40}, [...]uint64{l.Received, l.Duplicates, l.Accepted})
	_, err = q.Append(t.Context(), batchOf(minPayload, "large"))
	require.ErrorIs(t, err, queue.ErrTooLarge)
	require.ErrorContains(t, err, "max_payload")
	small, large := batchOf(10, "small"), batchOf(minPayload, "large")
	both := queue.Batch{Body: append(append([]byte{}, small.Body...), large.Body...), Items: append(small.Items, queue.Item{
		Start: len(small.Body) + large.Items[0].Start, End: len(small.Body) + large.Items[0].End, ID: large.Items[0].ID,
	})}
	_, err = q.Append(t.Context(), both)
	require.ErrorIs(t, err, queue.ErrTooLarge)
	require.Equal(t, l, agree(t, q), "nothing of it is stored")
	records := fetch(t, q, 40)
	require.Greater(t, len(records), 10)
	for i, r := range records { // the largest letter that there is
		require.NoError(t, q.Settle(t.Context(), queue.Settlement{Dead: []queue.DeadEvent{{
			Seq: r.Seq, Reason: string(noise("r", 2*queue.MaxAnswer)), Answer: string(noise("a", 2*queue.MaxAnswer)), Status: 400 + i,
		}}}))
	}
	require.NoError(t, q.Settle(t.Context(), delivered(records...)))
	q.Release(records...)
	require.Equal(t, uint64(len(records)), agree(t, q).Dead)
	add(t, q, queue.Receipt{Accepted: 1, Duplicates: 1}, "small", "0") // an id that was refused is not known
}

// A batch of which half is stored when the server goes away is not
// acknowledged. What was stored is delivered; sent again, it is whole.
func TestHalfABatch(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t, func(o *server.Options) { o.MaxPayload = minPayload })
	opts := calm(t, srv)
	opts.patience = time.Second
	_, q := bridge(t, opts)
	b := batchOf(30_000, "0", "1", "2", "3")
	parts, err := q.split(b, []int{0, 1, 2, 3}, nil)
	require.NoError(t, err)
	require.Greater(t, len(parts), 1)
	_, err = q.storePortion(t.Context(), b, parts[0]) // and then nothing more
	require.NoError(t, err)
	half := agree(t, q)
	require.Equal(t, half.Received, half.Accepted)
	got, err := q.Append(t.Context(), b)
	require.NoError(t, err)
	require.Equal(t, 4, got.Accepted+got.Duplicates)
	require.Equal(t, len(parts[0].items), got.Duplicates, "by its content")
	l := agree(t, q)
	require.Equal(t, uint64(4), l.Accepted)
	deliver(t, q, fetch(t, q, 4)...)
}

func TestRetention(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	var mu sync.Mutex
	now := time.Unix(1_800_000_000, 0)
	opts := calm(t, srv)
	opts.RetainAge = time.Hour
	opts.Now = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	pass := func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(d)
	}
	_, q := bridge(t, opts)
	store := func() {
		q.tidyMu.Lock()
		defer q.tidyMu.Unlock()
		q.tidy(t.Context())
	}
	done := func(ids ...string) {
		add(t, q, queue.Receipt{Accepted: len(ids)}, ids...)
		deliver(t, q, fetch(t, q, len(ids))...)
	}
	done("0", "1")
	store()
	pass(40 * time.Minute)
	done("2")
	store()
	require.Equal(t, 2, records(t, q))
	pass(40 * time.Minute) // the first is older than an hour now, the second is not
	eventually(t, func() bool { return records(t, q) == 1 }, "the first is given up")
	_, err := q.Erase(t.Context(), func(e []byte) bool { return idIn(e) == "2" })
	require.NoError(t, err)
	pass(2 * time.Hour)
	eventually(t, func() bool { return records(t, q) == 0 }, "the second, too")
	// A batch that is pending stays, however old it is.
	add(t, q, queue.Receipt{Accepted: 1}, "3")
	store()
	pass(48 * time.Hour)
	add(t, q, queue.Receipt{Accepted: 1}, "4")
	store()
	for range 3 {
		q.look(t.Context())
	}
	deliver(t, q, fetch(t, q, 2)...)
	l := agree(t, q)
	require.Equal(t, queue.Ledger{Received: 5, Accepted: 5, Delivered: 5}, l)
}

// records counts the records in the stream, wherever they lie.
func records(t *testing.T, q *connQueue) (n int) {
	t.Helper()
	for _, subject := range []string{q.names.of(wordRecord), q.names.below(wordRecord), q.names.below(wordOld)} {
		require.NoError(t, q.scan(t.Context(), subject, 1, 1<<62, true, func(stored) error { n++; return nil }))
	}
	return n
}

func TestRetentionByBytes(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	opts := calm(t, srv)
	opts.RetainBytes = 100_000
	_, q := bridge(t, opts)
	for i := range 60 {
		got, err := q.Append(t.Context(), batchOf(5_000, fmt.Sprint(i)))
		require.NoError(t, err)
		require.Equal(t, 1, got.Accepted)
	}
	require.Equal(t, 60, records(t, q), "what is pending stays")
	deliver(t, q, fetch(t, q, 60)...)
	eventually(t, func() bool {
		q.tidyMu.Lock()
		q.tidy(t.Context())
		q.tidyMu.Unlock()
		return records(t, q) <= 22
	}, "history is cut")
	require.GreaterOrEqual(t, records(t, q), 10, "and not all of it")
	r, err := q.StartReplay(t.Context(), queue.ReplayOrder{})
	require.NoError(t, err)
	_, got, err := q.FetchReplay(t.Context(), all)
	require.NoError(t, err)
	require.Equal(t, "59", idIn(got[len(got)-1].Events[0].Raw))
	require.Greater(t, got[0].Seq, uint64(1))
	require.NoError(t, q.EndReplay(t.Context(), r.Number))
}

func TestWithoutHistory(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	opts := calm(t, srv)
	opts.RetainAge = 0
	s, q := bridge(t, opts)
	for i := range 50 {
		add(t, q, queue.Receipt{Accepted: 1}, fmt.Sprint(i))
	}
	deliver(t, q, fetch(t, q, 50)...)
	eventually(t, func() bool {
		q.tidyMu.Lock()
		q.tidy(t.Context())
		q.tidyMu.Unlock()
		return records(t, q) == 0
	}, "nothing stays")
	before := agree(t, q)
	require.NoError(t, s.Close())
	_, q = bridge(t, opts)
	require.Equal(t, before, q.Ledger())
	info, err := q.js.Info(t.Context())
	require.NoError(t, err)
	require.Less(t, info.State.Msgs, uint64(10))
}

// The account has no room left: nothing is acknowledged, delivery goes on, and
// history makes room.
func TestAccountWithoutRoom(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t, func(o *server.Options) { o.JetStreamMaxStore = 4 << 20 })
	opts := calm(t, srv)
	opts.patience = time.Second
	s, q := bridge(t, opts)
	full := 0
	for i := range 200 {
		_, err := q.Append(t.Context(), batchOf(30_000, fmt.Sprint(i)))
		if err != nil {
			require.ErrorIs(t, err, queue.ErrFull)
			full = i
			break
		}
	}
	require.Positive(t, full)
	require.True(t, s.Usage().Full)
	require.Equal(t, uint64(full), agree(t, q).Pending())
	deliver(t, q, fetch(t, q, full)...)
	eventually(t, func() bool { return !s.Usage().Full }, "there is room without another batch: a load balancer sends none to a bridge that is full")
	q.look(t.Context()) // at what was refused until then
	kept := records(t, q)
	require.Positive(t, kept, "no more history is given up than must be")
	for range 5 {
		q.look(t.Context())
	}
	require.Equal(t, kept, records(t, q))
	eventually(t, func() bool {
		_, err := q.Append(t.Context(), batchOf(30_000, "new"))
		return err == nil
	}, "history makes room")
	require.False(t, s.Usage().Full)
	eventually(t, func() bool { return s.Usage().Bytes > 0 }, "it is measured")
}

// What is pending has reached its limit. History does not count there, so it is
// not given up for it, and what is delivered makes room again.
func TestTooMuchPending(t *testing.T) {
	t.Parallel()
	opts := calm(t, natstest.Start(t))
	opts.MaxBytes = 200_000
	s, q := bridge(t, opts)
	for i := range 3 {
		add(t, q, queue.Receipt{Accepted: 1}, fmt.Sprint("history", i))
	}
	deliver(t, q, fetch(t, q, 3)...)
	n := 0
	for ; ; n++ {
		require.Less(t, n, 100)
		if _, err := q.Append(t.Context(), batchOf(30_000, fmt.Sprint(n))); err != nil {
			require.ErrorIs(t, err, queue.ErrFull)
			break
		}
	}
	require.True(t, s.Usage().Full)
	for range 5 {
		q.look(t.Context())
	}
	require.Equal(t, 3+n, records(t, q))
	deliver(t, q, fetch(t, q, n)...)
	require.False(t, s.Usage().Full)
}

// History is given up while an erasure stores some of it anew: what it stores is
// not forgotten, and goes the next time.
func TestRetentionDuringErasure(t *testing.T) {
	t.Parallel()
	opts := calm(t, natstest.Start(t))
	opts.every = time.Hour // the test looks itself
	_, q := bridge(t, opts)
	add(t, q, queue.Receipt{Accepted: 2}, "0", "1")
	deliver(t, q, fetch(t, q, 2)...)
	q.tidyMu.Lock()
	defer q.tidyMu.Unlock()
	q.tidy(t.Context())
	e := eraser{queue: q, match: func(event []byte) bool { return idIn(event) == "0" }}
	require.NoError(t, q.walk(t.Context(), 1, q.fold.front(), func(p *past) error { return e.record(t.Context(), p) }))
	require.Equal(t, 2, records(t, q), "the old one, and what is left of it")
	q.fold.mu.Lock()
	cut := q.fold.front()
	q.fold.mu.Unlock()
	q.giveUp(t.Context(), cut)
	require.NoError(t, q.sync(t.Context()))
	require.Equal(t, 1, records(t, q))
	require.NoError(t, e.delete(t.Context()))
	add(t, q, queue.Receipt{Accepted: 1}, "2")
	deliver(t, q, fetch(t, q, 1)...)
	q.tidy(t.Context())
	q.giveUp(t.Context(), cut+1)
	require.NoError(t, q.sync(t.Context()))
	require.Equal(t, 1, records(t, q), "but for the newest, nothing is left")
}
