package queue_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3/vfs"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// longTimeout is how long a case waits for what must happen, and shortTimeout how long
// it looks for what must not.
const (
	longTimeout  = 30 * time.Second
	shortTimeout = 20 * time.Millisecond
	window       = 1000
)

// kit is one case's store, which is empty at first, and what it needs to work with it.
type kit struct {
	testing.TB
	opts   queue.Options
	disk   *crashDisk  // of opts: forgets what was not synced; nil: a real disk, or a database
	full   atomic.Bool // of disk
	store  *queue.Store
	ctx    context.Context
	clock  time.Time
	window int // how many ids queues are opened with
}

func newKit(t testing.TB, opts queue.Options) *kit {
	opts.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	opts.AppendTimeout = cmp.Or(opts.AppendTimeout, time.Minute)
	k := &kit{TB: t, opts: opts, ctx: t.Context(), clock: time.Unix(1_700_000_000, 123_000_000), window: window}
	t.Cleanup(func() {
		if k.store == nil {
			return
		}
		if damaged := k.store.Usage().Damaged; k.disk != nil && damaged > 0 {
			t.Errorf("%d places are said to be damaged", damaged)
		}
		require.NoError(t, k.store.Close())
	})
	return k
}

// newCrashKit has its store on a disk that forgets what was not synced.
func newCrashKit(t *testing.T, opts queue.Options) *kit {
	opts.Dir = t.TempDir()
	k := newKit(t, opts)
	k.disk = newCrashDisk()
	k.opts = k.opts.WithVFS(k.disk.name).WithDisk(func() (free, total int64) {
		if k.full.Load() {
			return 100 << 20, 100 << 30
		}
		return 50 << 30, 100 << 30
	})
	return k
}

// openStore opens the store, or opens it again.
func (k *kit) openStore() (*queue.Store, error) { return queue.Open(context.Background(), k.opts) }

// open opens the store and the queue called name.
func (k *kit) open(name string) *queue.Queue {
	if k.store == nil {
		store, err := k.openStore()
		require.NoError(k, err)
		k.store = store
	}
	q, err := k.store.Queue(k.ctx, name, k.window)
	require.NoError(k, err)
	return q
}

// reopen closes the store, or cuts its power where it can, and opens it again.
func (k *kit) reopen(name string) *queue.Queue {
	if k.disk != nil {
		k.crash(0, 1)
	} else {
		require.NoError(k, k.store.Close())
		k.store = nil
	}
	return k.open(name)
}

// crash cuts the power: the next open sees what was synced and, of the rest, about the
// given percentage, drawn with the seed. Calls in progress in the old store may go on
// for a while and come to nothing.
func (k *kit) crash(percent int, seed uint64) {
	to := k.TempDir()
	require.NoError(k, k.disk.crash(to, percent, seed))
	_ = k.store.Close() // on the old disk, which is not read again
	vfs.Unregister(k.disk.name)
	require.NoError(k, os.RemoveAll(k.opts.Dir))
	k.disk, k.store = newCrashDisk(), nil
	k.opts = k.opts.WithVFS(k.disk.name)
	k.opts.Dir = to
}

// stall holds up the syncs until release is called, or the test is over.
func (k *kit) stall() (release func(fail bool)) {
	var once sync.Once
	d := k.disk
	d.hold.Lock()
	release = func(fail bool) {
		once.Do(func() {
			d.fail = fail
			d.hold.Unlock()
		})
	}
	k.Cleanup(func() { release(false) })
	return release
}

// event is the JSON of the event with this id; its size depends on the id.
func event(id string) []byte {
	pad := strings.Repeat("x", 20+len(id)*7%60)
	return fmt.Appendf(nil, `{"id":%q,"event_type":"users.behaviors.CustomEvent","properties":{"pad":"%s"}}`, id, pad)
}

// batch makes a batch of events with these ids. An id may say more: "-" is an
// event without an id, a prefix "filtered:" or "dead:" gives its fate.
func (k *kit) batch(ids ...string) queue.Batch {
	b := queue.Batch{Body: []byte(`{"events":[`), ReceivedAt: k.clock}
	for _, id := range ids {
		it := queue.Item{Start: len(b.Body)}
		if fate, rest, found := strings.Cut(id, ":"); found {
			it.Fate = map[string]queue.Fate{"filtered": queue.Filtered, "dead": queue.Dead}[fate]
			it.Reason, id = "no_identity", rest
		}
		if id != "-" {
			it.ID = queue.HashType(nil).Event([]byte(id))
		}
		b.Body = append(b.Body, event(id)...)
		it.End = len(b.Body)
		b.Body = append(b.Body, ',')
		b.Items = append(b.Items, it)
	}
	return b
}

// add appends events with these ids and requires the receipt.
func (k *kit) add(q *queue.Queue, want queue.Receipt, ids ...string) {
	got, err := q.Append(k.ctx, k.batch(ids...))
	require.NoError(k, err)
	require.Equal(k, want, got)
	k.balanced(q)
}

// everything is a limit that nothing here reaches, and one that of a single event.
var (
	everything = queue.Limit{Events: 1 << 30, Bytes: 1 << 30}
	one        = queue.Limit{Events: 1, Bytes: 1 << 20}
)

// fetch fetches what is there; there must be something.
func (k *kit) fetch(q *queue.Queue, limit queue.Limit) []*queue.Record {
	ctx, cancel := context.WithTimeout(k.ctx, longTimeout)
	defer cancel()
	records, err := q.Claim(ctx, limit)
	require.NoError(k, err)
	require.NotEmpty(k, records)
	return records
}

// fetchAll fetches until there are n events.
func (k *kit) fetchAll(q *queue.Queue, n int) (records []*queue.Record) {
	for n > 0 {
		for _, r := range k.fetch(q, everything) {
			records = append(records, r)
			n -= len(r.Events)
		}
	}
	require.Zero(k, n, "more events than there should be")
	return records
}

// fetchThese fetches all that is pending, which must be these events.
func (k *kit) fetchThese(q *queue.Queue, ids ...string) []*queue.Record {
	records := k.fetchAll(q, len(ids))
	require.Equal(k, ids, k.idsOf(records...))
	return records
}

// waits requires that a call does not come back before its context ends.
func (k *kit) waits(call func(context.Context) ([]*queue.Record, error)) {
	ctx, cancel := context.WithTimeout(k.ctx, shortTimeout)
	defer cancel()
	records, err := call(ctx)
	require.Empty(k, records)
	require.ErrorIs(k, err, context.DeadlineExceeded)
}

// nothingToFetch requires that nothing is pending that is not handed out.
func (k *kit) nothingToFetch(q *queue.Queue) {
	k.waits(func(ctx context.Context) ([]*queue.Record, error) { return q.Claim(ctx, everything) })
}

// deliver settles all events of the records as delivered and releases them.
func (k *kit) deliver(q *queue.Queue, records ...*queue.Record) {
	require.NoError(k, q.Settle(k.ctx, delivered(records...)))
	q.Release(records...)
	k.balanced(q)
}

// delivered is the settlement in which all events of the records are delivered.
func delivered(records ...*queue.Record) (s queue.Settlement) {
	for _, r := range records {
		s.Delivered = append(s.Delivered, queue.Span{Seq: r.Seq, First: r.Events[0].Index, Last: r.Events[len(r.Events)-1].Index})
	}
	return s
}

// settle stores outcomes, for each record a letter an event, by its index: d
// delivered, f filtered, x dead, anything else none.
func (k *kit) settle(q *queue.Queue, records []*queue.Record, outcomes ...string) {
	require.NoError(k, q.Settle(k.ctx, settlement(records, outcomes...)))
}

func settlement(records []*queue.Record, outcomes ...string) (s queue.Settlement) {
	for i, row := range outcomes {
		for at, outcome := range row {
			span := queue.Span{Seq: records[i].Seq, First: at, Last: at}
			switch outcome {
			case 'd':
				s.Delivered = append(s.Delivered, span)
			case 'f':
				s.Filtered = append(s.Filtered, span)
			case 'x':
				s.Dead = append(s.Dead, queue.DeadEvent{Seq: span.Seq, Index: at, Reason: "refused"})
			}
		}
	}
	return s
}

// letters lists the dead letters, which must be of events with these ids.
func (k *kit) letters(q *queue.Queue, ids ...string) []queue.DeadLetter {
	letters, err := q.Letters(k.ctx, queue.LetterFilter{})
	require.NoError(k, err)
	var got []string
	for _, l := range letters {
		got = append(got, k.idOf(l.Event))
	}
	require.Equal(k, ids, got)
	return letters
}

// replayDead moves dead letters back, of which there must be so many.
func (k *kit) replayDead(q *queue.Queue, want int, numbers ...uint64) {
	n, err := q.ReplayDead(k.ctx, numbers...)
	require.NoError(k, err)
	require.Equal(k, want, n)
}

// errOf is the error of a call.
func errOf[T any](_ T, err error) error { return err }

// result is what a call in another goroutine came to.
type result[T any] struct {
	value T
	err   error
}

func later[T any](call func() (T, error)) <-chan result[T] {
	done := make(chan result[T], 1)
	go func() {
		value, err := call()
		done <- result[T]{value, err}
	}()
	return done
}

// underWay requires that the call does not come back.
func underWay[T any](k *kit, call <-chan result[T]) {
	select {
	case got := <-call:
		require.Fail(k, "the call came back", "%+v", got)
	case <-time.After(shortTimeout):
	}
}

// answer waits until the call comes back.
func answer[T any](k *kit, call <-chan result[T]) (got result[T]) {
	select {
	case got = <-call:
	case <-time.After(longTimeout):
		require.Fail(k, "the call does not come back")
	}
	return got
}

// idsOf returns the ids of the events, and requires that they are the bytes
// that came.
func (k *kit) idsOf(records ...*queue.Record) (ids []string) {
	for _, r := range records {
		for _, e := range r.Events {
			ids = append(ids, k.idOf(e.Raw))
		}
	}
	return ids
}

func (k *kit) idOf(raw []byte) string {
	rest, _ := bytes.CutPrefix(raw, []byte(`{"id":"`))
	text, _, _ := bytes.Cut(rest, []byte(`"`))
	id := string(text)
	if !bytes.Equal(event(id), raw) { // require is too slow for every event
		require.Fail(k, "not an event as it came", "%q", raw)
	}
	return id
}

// balanced requires that the ledger is consistent with itself.
func (k *kit) balanced(q *queue.Queue) queue.Ledger {
	l := q.Ledger()
	require.NoError(k, imbalance(l))
	return l
}

// imbalance says where the ledger breaks its promise.
func imbalance(l queue.Ledger) error {
	done := l.Filtered + l.Delivered + l.Dead + l.Purged
	switch {
	case l.Received != l.Duplicates+l.Accepted:
		return fmt.Errorf("received is not duplicates + accepted: %+v", l)
	case done > l.Accepted:
		return fmt.Errorf("more outcomes than accepted events: %+v", l)
	case (l.Pending() == 0) != l.OldestPending.IsZero():
		return fmt.Errorf("pending and oldest pending do not agree: %+v", l)
	}
	return nil
}

// eventually polls until ok, or fails.
func (k *kit) eventually(ok func() bool, what string) {
	require.Eventually(k, ok, longTimeout, 2*time.Millisecond, what)
}

// count requires the numbers of the ledger, in the order of its fields up to
// Purged, and pending.
func (k *kit) count(q *queue.Queue, received, duplicates, accepted, filtered, delivered, dead, purged, pending uint64) {
	l := k.balanced(q)
	require.Equal(k, [...]uint64{received, duplicates, accepted, filtered, delivered, dead, purged, pending, 0, 0},
		[...]uint64{l.Received, l.Duplicates, l.Accepted, l.Filtered, l.Delivered, l.Dead, l.Purged, l.Pending(),
			l.Replayed, l.Backfilled})
}
