package queue_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

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

// kit is one case's store and what it needs to work with it.
type kit struct {
	*testing.T
	site  *site
	store *queue.Store
	ctx   context.Context
	clock time.Time
	// window is the number of ids that queues are opened with.
	window int
}

func newKit(t *testing.T, site *site) *kit {
	k := &kit{T: t, site: site, ctx: t.Context(), clock: time.Unix(1_700_000_000, 123_000_000), window: window}
	t.Cleanup(func() {
		if k.store == nil {
			return
		}
		if damaged := k.store.Usage().Damaged; site.disk != nil && damaged > 0 {
			t.Errorf("%d places are said to be damaged", damaged)
		}
		require.NoError(t, k.store.Close())
	})
	return k
}

// open opens the store and the queue called name.
func (k *kit) open(name string) *queue.Queue {
	k.Helper()
	if k.store == nil {
		store, err := k.site.open(k.T)
		require.NoError(k, err)
		k.store = store
	}
	q, err := k.store.Queue(k.ctx, name, k.window)
	require.NoError(k, err)
	return q
}

// reopen closes the store and opens it again.
func (k *kit) reopen(name string) *queue.Queue {
	k.Helper()
	require.NoError(k, k.store.Close())
	k.store = nil
	return k.open(name)
}

// crash cuts the power and opens the store again.
func (k *kit) crash(name string, percent int, seed uint64) *queue.Queue {
	k.Helper()
	k.site.crash(k.T, k.store, percent, seed)
	k.store = nil
	return k.open(name)
}

// event is the JSON of the event with this id; its size depends on the id.
func event(id string) []byte {
	pad := bytes.Repeat([]byte("x"), 20+len(id)*7%60)
	return fmt.Appendf(nil, `{"id":%q,"event_type":"users.behaviors.CustomEvent","properties":{"pad":"%s"}}`, id, pad)
}

// batch makes a batch of events with these ids. An id may say more: "-" is an
// event without an id, a prefix "filtered:" or "dead:" gives its fate.
func (k *kit) batch(ids ...string) queue.Batch {
	b := queue.Batch{Body: []byte(`{"events":[`), ReceivedAt: k.clock}
	for i, id := range ids {
		if i > 0 {
			b.Body = append(b.Body, ',')
		}
		it := queue.Item{Start: len(b.Body)}
		if fate, rest, found := strings.Cut(id, ":"); found {
			it.Fate = map[string]queue.Fate{"filtered": queue.Filtered, "dead": queue.Dead}[fate]
			it.Reason, id = "no_identity", rest
		}
		if id != "-" {
			it.ID = queue.HashEvent(nil, []byte(id))
		}
		b.Body = append(b.Body, event(id)...)
		it.End = len(b.Body)
		b.Items = append(b.Items, it)
	}
	b.Body = append(b.Body, `]}`...)
	return b
}

// add appends events with these ids and requires the receipt.
func (k *kit) add(q *queue.Queue, want queue.Receipt, ids ...string) {
	k.Helper()
	got, err := q.Append(k.ctx, k.batch(ids...))
	require.NoError(k, err)
	require.Equal(k, want, got)
	k.balanced(q)
}

// everything is a limit that nothing here reaches.
var everything = queue.Limit{Events: 1 << 30, Bytes: 1 << 30}

// fetch fetches what is there; there must be something.
func (k *kit) fetch(q *queue.Queue, limit queue.Limit) []*queue.Record {
	k.Helper()
	ctx, cancel := context.WithTimeout(k.ctx, longTimeout)
	defer cancel()
	records, err := q.Claim(ctx, limit)
	require.NoError(k, err)
	require.NotEmpty(k, records)
	return records
}

// fetchAll fetches until there are n events.
func (k *kit) fetchAll(q *queue.Queue, n int) (records []*queue.Record) {
	k.Helper()
	for n > 0 {
		for _, r := range k.fetch(q, everything) {
			records = append(records, r)
			n -= len(r.Events)
		}
	}
	require.Zero(k, n, "more events than there should be")
	return records
}

// nothingToFetch requires that nothing is pending that is not handed out.
func (k *kit) nothingToFetch(q *queue.Queue) {
	k.Helper()
	ctx, cancel := context.WithTimeout(k.ctx, shortTimeout)
	defer cancel()
	records, err := q.Claim(ctx, everything)
	require.Empty(k, records)
	require.ErrorIs(k, err, context.DeadlineExceeded)
}

// deliver settles all events of the records as delivered and releases them.
func (k *kit) deliver(q *queue.Queue, records ...*queue.Record) {
	k.Helper()
	require.NoError(k, q.Settle(k.ctx, delivered(records...)))
	q.Release(records...)
	k.balanced(q)
}

// settle stores outcomes, for each record a letter an event, by its index: d
// delivered, f filtered, x dead, anything else none.
func (k *kit) settle(q *queue.Queue, records []*queue.Record, outcomes ...string) {
	k.Helper()
	require.NoError(k, q.Settle(k.ctx, settlement(records, outcomes...)))
}

func settlement(records []*queue.Record, outcomes ...string) (s queue.Settlement) {
	for i, rest := range outcomes {
		for at := 0; rest != ""; {
			outcome, n := rest[0], len(rest)-len(strings.TrimLeft(rest, rest[:1]))
			switch span := (queue.Span{Seq: records[i].Seq, First: at, Last: at + n - 1}); outcome {
			case 'd':
				s.Delivered = append(s.Delivered, span)
			case 'f':
				s.Filtered = append(s.Filtered, span)
			case 'x':
				for index := range n {
					s.Dead = append(s.Dead, queue.DeadEvent{Seq: span.Seq, Index: at + index, Reason: "refused"})
				}
			}
			at, rest = at+n, rest[n:]
		}
	}
	return s
}

// letters lists the dead letters, which must be of events with these ids.
func (k *kit) letters(q *queue.Queue, ids ...string) []queue.DeadLetter {
	k.Helper()
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
	k.Helper()
	n, err := q.ReplayDead(k.ctx, numbers...)
	require.NoError(k, err)
	require.Equal(k, want, n)
}

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

// underWay requires that none of the calls comes back.
func underWay[T any](k *kit, calls ...<-chan result[T]) {
	k.Helper()
	for _, c := range calls {
		select {
		case got := <-c:
			require.Fail(k, "the call came back", "%+v", got)
		case <-time.After(shortTimeout):
		}
	}
}

// answer waits until the call comes back.
func answer[T any](k *kit, c <-chan result[T]) (got result[T]) {
	k.Helper()
	select {
	case got = <-c:
	case <-time.After(longTimeout):
		require.Fail(k, "the call does not come back")
	}
	return got
}

// delivered is the settlement in which all events of the records are delivered.
func delivered(records ...*queue.Record) (s queue.Settlement) {
	for _, r := range records {
		for _, e := range r.Events {
			s.Delivered = append(s.Delivered, queue.Span{Seq: r.Seq, First: e.Index, Last: e.Index})
		}
	}
	return s
}

// idsOf returns the ids of the events, and requires that they are the bytes
// that came.
func (k *kit) idsOf(records ...*queue.Record) (ids []string) {
	k.Helper()
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
	k.Helper()
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
	k.Helper()
	require.Eventually(k, ok, longTimeout, 2*time.Millisecond, what)
}

// count requires the numbers of the ledger, in the order of its fields up to
// Purged, and pending.
func (k *kit) count(q *queue.Queue, received, duplicates, accepted, filtered, delivered, dead, purged, pending uint64) {
	k.Helper()
	l := k.balanced(q)
	require.Equal(k, pending, l.Pending(), "pending")
	l.OldestPending = time.Time{}
	require.Equal(k, queue.Ledger{
		Received: received, Duplicates: duplicates, Accepted: accepted,
		Filtered: filtered, Delivered: delivered, Dead: dead, Purged: purged,
	}, l)
}
