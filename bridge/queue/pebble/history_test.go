package pebble

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

func openTest(t *testing.T, dir string, opts Options) *Store {
	t.Helper()
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	s, err := Open(dir, opts)
	require.NoError(t, err)
	return s
}

func openTestQueue(t *testing.T, s *Store, name string) *connQueue {
	t.Helper()
	q, err := s.Open(t.Context(), name, 1000)
	require.NoError(t, err)
	return q.(*connQueue)
}

// keeping is a store in memory whose clock and disk the test sets.
type keeping struct {
	*testing.T
	fs    *vfs.MemFS
	opts  Options
	clock atomic.Int64 // seconds
	s     *Store
	rng   *rand.Rand
	n     int
}

const keepingStart = 1_700_000_000

func newKeeping(t *testing.T, opts Options) *keeping {
	k := &keeping{T: t, fs: vfs.NewMem(), opts: opts, rng: rand.New(rand.NewPCG(5, 6))}
	k.clock.Store(keepingStart)
	k.opts.FS, k.opts.CheckEvery, k.opts.memTable = k.fs, time.Millisecond, 64<<10
	k.opts.Now = func() time.Time { return time.Unix(k.clock.Load(), 0) }
	k.free(50 << 30)
	k.s = openTest(t, "data", k.opts)
	t.Cleanup(func() { require.NoError(t, k.s.Close()) })
	return k
}

func (k *keeping) reopen() {
	require.NoError(k, k.s.Close())
	k.s = openTest(k.T, "data", k.opts)
}

// free sets the free space of the disk, which has 100 GiB.
func (k *keeping) free(bytes uint64) {
	k.fs.TestingSetDiskUsage(vfs.DiskUsage{TotalBytes: 100 << 30, AvailBytes: bytes, UsedBytes: 100<<30 - bytes})
}

func (k *keeping) pass(d time.Duration) { k.clock.Add(int64(d / time.Second)) }

// add stores a record of about so many bytes that cannot be compressed.
func (k *keeping) add(q *connQueue, bytes int) error {
	k.n++
	b := note([]string{fmt.Sprint(k.n)}, noise(k.rng, bytes))
	b.ReceivedAt = k.opts.Now()
	_, err := q.Append(k.Context(), b)
	return err
}

func (k *keeping) addDelivered(q *connQueue, bytes int) {
	k.Helper()
	require.NoError(k, k.add(q, bytes))
	require.NoError(k, drainOnce(k.Context(), q))
}

// numbers returns what the store has of one kind for a connector.
func (k *keeping) numbers(kind byte, conn uint32) (seqs []uint64) {
	k.Helper()
	it, err := (&connQueue{store: k.s, conn: conn}).scan(kind, 0, end)
	require.NoError(k, err)
	for ok := it.First(); ok; ok = it.Next() {
		seq, _ := seqOf(it.Key())
		seqs = append(seqs, seq)
	}
	require.NoError(k, it.Close())
	return seqs
}

func (k *keeping) eventually(ok func() bool, what string) {
	k.Helper()
	require.Eventually(k, ok, 30*time.Second, 2*time.Millisecond, what)
}

// kept waits until upkeep has left exactly these records of connector 1.
func (k *keeping) kept(want ...uint64) {
	k.Helper()
	k.eventually(func() bool { return fmt.Sprint(k.numbers(keyRecord, 1)) == fmt.Sprint(want) },
		fmt.Sprint("the records ", want))
}

// mark lets a minute pass, so that there may be a new mark, and waits for it.
func (k *keeping) mark(q *connQueue) {
	k.Helper()
	k.pass(time.Minute)
	k.marked(q)
}

// marked waits until history can be cut at what is done by now.
func (k *keeping) marked(q *connQueue) {
	k.Helper()
	k.eventually(func() bool {
		marks := k.numbers(keyMark, q.conn)
		q.mu.Lock()
		defer q.mu.Unlock()
		return len(marks) > 0 && marks[len(marks)-1] == q.durable.low
	}, "a mark")
}

// round waits until upkeep has looked at everything once: it marks what is done
// first, so that a mark after a mark says that all of the first round is over.
func (k *keeping) round() {
	k.Helper()
	q := openTestQueue(k.T, k.s, "other")
	for range 2 {
		k.addDelivered(q, int(k.s.markStep())+1) // is marked whatever the time is
		k.marked(q)
	}
}

func TestHistoryIsKeptForItsAge(t *testing.T) {
	k := newKeeping(t, Options{RetainAge: time.Hour, RetainBytes: 16 << 20})
	q := openTestQueue(t, k.s, "a")
	k.addDelivered(q, 100)
	k.addDelivered(q, 100)
	k.mark(q)
	k.pass(30 * time.Minute)
	require.NoError(t, k.add(q, 100)) // 3: dies
	r, err := q.Fetch(t.Context(), queue.Limit{Events: 1, Bytes: 1})
	require.NoError(t, err)
	require.NoError(t, q.Settle(t.Context(), queue.Settlement{Dead: []queue.DeadEvent{{Seq: 3, Reason: "refused"}}}))
	q.Release(r...)
	k.mark(q)
	require.NoError(t, k.add(q, 100)) // 4: stays pending
	held, err := q.Fetch(t.Context(), queue.Limit{Events: 1, Bytes: 1})
	require.NoError(t, err)
	k.addDelivered(q, 100) // 5: done, after one that is not
	require.Equal(t, []uint64{3}, k.numbers(keyMissed, 1))

	k.pass(27 * time.Minute)
	q.Release(held...)
	k.reopen()
	q = openTestQueue(t, k.s, "a")
	k.round()
	require.Equal(t, []uint64{1, 2, 3, 4, 5}, k.numbers(keyRecord, 1))
	k.pass(2 * time.Minute)
	k.kept(3, 4, 5)
	k.pass(27 * time.Minute)
	k.round()
	require.Equal(t, []uint64{3, 4, 5}, k.numbers(keyRecord, 1))
	k.pass(4 * time.Minute)
	k.kept(4, 5)
	k.eventually(func() bool { return len(k.numbers(keyMissed, 1)) == 0 }, "what is known of the outcomes goes, too")
	k.pass(1000 * time.Hour) // what is pending never goes
	require.NoError(t, drainOnce(t.Context(), q))
	k.marked(q)
	require.Equal(t, []uint64{4, 5}, k.numbers(keyRecord, 1), "its age counts from its delivery")
	k.pass(time.Hour)
	k.kept()
	require.Equal(t, uint64(4), q.Ledger().Delivered, "counts stay")
	require.Equal(t, uint64(1), q.Ledger().Dead)
	require.Equal(t, []uint64{1}, k.numbers(keyDead, 1), "dead letters stay")
}

func TestHistoryIsKeptToItsSize(t *testing.T) {
	const limit = 2 << 20
	k := newKeeping(t, Options{RetainAge: time.Hour, RetainBytes: limit})
	a, b := openTestQueue(t, k.s, "a"), openTestQueue(t, k.s, "b")
	require.NoError(t, k.add(a, 100))
	held, err := a.Fetch(t.Context(), queue.Limit{Events: 1, Bytes: 1})
	require.NoError(t, err) // nothing of a is history, as its first is pending
	for range 300 {
		k.addDelivered(a, 10_000)
		k.addDelivered(b, 10_000)
	}
	// All b has is 3 MB; what is above 2 MB goes, in pieces of 64 KiB.
	left := func() int { return 10_000 * len(k.numbers(keyRecord, b.conn)) }
	k.eventually(func() bool { return left() < limit+10_000 }, "history is cut to its size")
	require.Greater(t, left(), limit-4*minStep, "and not to less")
	require.Len(t, k.numbers(keyRecord, a.conn), 301, "what is not delivered and what came after it stays")
	seqs := k.numbers(keyRecord, b.conn)
	require.Equal(t, uint64(300), seqs[len(seqs)-1], "the oldest goes first")
	a.Release(held...)
	require.NoError(t, drainOnce(t.Context(), a))
	k.eventually(func() bool {
		return 10_000*(len(k.numbers(keyRecord, a.conn))+len(k.numbers(keyRecord, b.conn))) < limit+10_000
	}, "the size is that of all connectors")
}

// Below max_size, history goes before a batch is refused; where all is pending
// batches are refused, and taken again once something was delivered.
func TestHistoryGoesBeforeBatchesAreRefused(t *testing.T) {
	const limit = 12 << 20
	k := newKeeping(t, Options{RetainAge: time.Hour, MaxBytes: limit})
	q := openTestQueue(t, k.s, "a")
	for range 600 { // 24 MB
		k.eventually(func() bool { return k.s.Usage().Bytes < limit*9/10 }, "upkeep keeps up")
		k.addDelivered(q, 40_000)
	}
	require.NotContains(t, k.numbers(keyRecord, 1), uint64(1), "the oldest history went")
	require.False(t, k.s.Usage().Full)

	stored := uint64(0)
	var err error
	for ; err == nil && stored < 2000; stored++ {
		err = k.add(q, 40_000)
	}
	stored--
	require.ErrorIs(t, err, queue.ErrFull)
	require.LessOrEqual(t, k.s.Usage().Bytes, int64(limit+limit/10))
	k.eventually(func() bool { return len(k.numbers(keyMark, 1)) == 0 || k.add(q, 40_000) == nil }, "history is given up")
	pending := q.Ledger().Pending()
	require.GreaterOrEqual(t, pending, stored)
	k.eventually(func() bool { return uint64(len(k.numbers(keyRecord, 1))) >= pending }, "what is pending stays")
	for q.Ledger().Pending() > 0 {
		require.NoError(t, drainOnce(t.Context(), q), "delivery goes on")
	}
	require.Zero(t, k.s.damaged.Load())
	k.eventually(func() bool { return k.add(q, 40_000) == nil }, "batches are taken again")
}

func TestReserveIsForOutcomes(t *testing.T) {
	k := newKeeping(t, Options{RetainAge: time.Hour, Reserve: 800 << 20})
	q := openTestQueue(t, k.s, "a")
	k.addDelivered(q, 1000)
	require.NoError(t, k.add(q, 1000))
	require.NoError(t, k.add(q, 1000))
	k.free(700 << 20)
	k.eventually(func() bool { return k.s.Usage().Full }, "batches stop at the reserve")
	require.ErrorIs(t, k.add(q, 1000), queue.ErrFull)
	k.kept(2, 3) // history was given up first
	require.NoError(t, func() error {
		r, err := q.Fetch(t.Context(), queue.Limit{Events: 1, Bytes: 1})
		require.NoError(t, err)
		defer q.Release(r...)
		return q.Settle(t.Context(), queue.Settlement{Delivered: []queue.Span{{Seq: 2}}})
	}(), "outcomes may use it")
	_, err := q.StartReplay(t.Context(), queue.ReplayOrder{})
	require.NoError(t, err)

	k.free(50 << 20)
	refused := func() bool { return q.SettleReplay(t.Context(), queue.ReplayProgress{Number: 1}) != nil }
	k.eventually(refused, "down to an eighth of it")
	require.ErrorIs(t, q.SettleReplay(t.Context(), queue.ReplayProgress{Number: 1, Replayed: 1}), queue.ErrFull)
	require.ErrorIs(t, q.EndReplay(t.Context(), 1), queue.ErrFull)
	require.ErrorIs(t, drainOnce(t.Context(), q), queue.ErrFull)
	require.Zero(t, q.Ledger().Replayed)
	k.free(50 << 30)
	k.eventually(func() bool { return k.add(q, 1000) == nil }, "all goes on by itself")
	require.NoError(t, q.SettleReplay(t.Context(), queue.ReplayProgress{Number: 1, Replayed: 1}))
	require.Equal(t, uint64(1), q.Ledger().Replayed)
	require.False(t, k.s.Usage().Full)
}

// The history of a connector that is not in the configuration any more goes by
// the same rules, and what is pending there stays.
func TestHistoryOfARemovedConnector(t *testing.T) {
	k := newKeeping(t, Options{RetainAge: time.Hour, RetainBytes: 1 << 20})
	for _, name := range []string{"kept", "removed"} {
		q := openTestQueue(t, k.s, name)
		for range 50 {
			k.addDelivered(q, 10_000)
		}
		require.NoError(t, k.add(q, 10_000))
	}
	k.reopen()
	q := openTestQueue(t, k.s, "kept")
	require.Len(t, k.numbers(keyRecord, 2), 51)
	require.NoError(t, drainOnce(t.Context(), q))
	k.pass(10 * time.Minute)
	for range 90 { // the removed connector's history is the older
		k.addDelivered(q, 10_000)
	}
	k.eventually(func() bool { return len(k.numbers(keyRecord, 2)) < 51 }, "its bytes count, and the oldest go first")
	k.pass(2 * time.Hour)
	k.eventually(func() bool { return fmt.Sprint(k.numbers(keyRecord, 2)) == "[51]" }, "its age counts; what is pending stays")
	q = openTestQueue(t, k.s, "removed") // it is back
	require.Equal(t, uint64(1), q.Ledger().Pending())
	require.NoError(t, drainOnce(t.Context(), q))
	require.Len(t, k.numbers(keyIDs, 2), 51, "its ids are known as long as its window says")
	b := note([]string{"52"}, "again")
	receipt, err := q.Append(t.Context(), b)
	require.NoError(t, err)
	require.Equal(t, queue.Receipt{Duplicates: 1}, receipt)
	k.marked(q)
	k.pass(2 * time.Hour)
	k.eventually(func() bool { return len(k.numbers(keyRecord, 2)) == 0 }, "upkeep goes on with the open queue")
}
