package queue_test

import (
	"bytes"
	"context"
	"fmt"
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
	site  Site
	store *queue.Store
	ctx   context.Context
	clock time.Time
	// window is the number of ids that queues are opened with.
	window int
}

func newKit(t *testing.T, site Site) *kit {
	k := &kit{T: t, site: site, ctx: t.Context(), clock: time.Unix(1_700_000_000, 123_000_000), window: window}
	t.Cleanup(func() {
		if k.store != nil {
			require.NoError(t, k.store.Close())
		}
	})
	return k
}

// open opens the store and the queue called name.
func (k *kit) open(name string) *queue.Queue {
	k.Helper()
	if k.store == nil {
		store, err := k.site.Open()
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
	k.store = nil
	k.site.Crash(percent, seed)
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
		var rest []byte
		var ok bool
		if rest, ok = bytes.CutPrefix([]byte(id), []byte("filtered:")); ok {
			it.Fate = queue.Filtered
		} else if rest, ok = bytes.CutPrefix([]byte(id), []byte("dead:")); ok {
			it.Fate, it.Reason = queue.Dead, "no_identity"
		}
		if string(rest) != "-" {
			it.ID = queue.HashEvent(nil, rest)
		}
		b.Body = append(b.Body, event(string(rest))...)
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
