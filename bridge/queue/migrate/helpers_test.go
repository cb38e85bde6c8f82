package migrate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/pebble"
)

var received = time.Unix(1_700_000_000, 123_000_000)

func open(t *testing.T, dir string) queue.Store {
	t.Helper()
	store, err := pebble.Open(dir, pebble.Options{RetainAge: time.Hour})
	require.NoError(t, err)
	return store
}

// event is one with this id; without an id where it is empty.
func event(id string) []byte {
	if id == "" {
		return []byte(`{"event_type":"t","user":{"user_id":"u"},"properties":{"a.b":9007199254740993}}`)
	}
	return fmt.Appendf(nil, `{ "id": %q,"event_type":"t", "user":{"user_id":"u"},"properties":{"n":1.0}}`, id)
}

// add appends events with these ids at a time; fate is of all of them.
func add(t *testing.T, q queue.Queue, at time.Time, fate queue.Fate, ids ...string) {
	t.Helper()
	b := queue.Batch{ReceivedAt: at}
	for _, id := range ids {
		item := queue.Item{Start: len(b.Body), Fate: fate, Reason: "no_identity"}
		if id != "" {
			item.ID = queue.HashID([]byte(id))
		}
		b.Body = append(b.Body, event(id)...)
		item.End = len(b.Body)
		b.Items = append(b.Items, item)
	}
	_, err := q.Append(t.Context(), b)
	require.NoError(t, err)
}

func openQueue(t *testing.T, store queue.Store, name string) queue.Queue {
	t.Helper()
	q, err := store.Open(t.Context(), name, queue.DefaultWindow)
	require.NoError(t, err)
	return q
}

// pending fetches everything that is pending; it stays handed out.
func pending(t *testing.T, q queue.Queue) (records []*queue.Record, raws []string) {
	t.Helper()
	for n := int(q.Ledger().Pending()); n > 0; {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		got, err := q.Fetch(ctx, queue.Limit{Events: 1 << 20, Bytes: 1 << 30})
		cancel()
		require.NoError(t, err)
		for _, r := range got {
			n -= len(r.Events)
			for _, e := range r.Events {
				raws = append(raws, string(e.Raw))
			}
		}
		records = append(records, got...)
	}
	return records, raws
}

func letters(t *testing.T, q queue.Queue) []queue.DeadLetter {
	t.Helper()
	all, err := q.Dead(t.Context(), 0, 1<<20)
	require.NoError(t, err)
	return all
}

func balanced(t *testing.T, q queue.Queue) {
	t.Helper()
	l := q.Ledger()
	require.Equal(t, l.Received, l.Duplicates+l.Accepted)
	require.LessOrEqual(t, l.Filtered+l.Delivered+l.Dead+l.Purged, l.Accepted)
}

// gate counts calls that change a store and lets a test end one of them.
type gate struct {
	mu    sync.Mutex
	calls int
	// judge is asked before (false) and after (true) each call; an error ends it.
	judge func(call int, done bool) error
}

func (g *gate) pass(done bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !done {
		g.calls++
	}
	return g.judge(g.calls, done)
}

// watched is a store of which the calls that change it go through a gate.
type watched struct {
	queue.Store
	gate *gate
	// most is the largest event that it keeps; 0: any.
	most int
	// mute lets Fetch wait for ever.
	mute bool
}

func (w watched) Open(ctx context.Context, name string, window int) (queue.Queue, error) {
	q, err := w.Store.Open(ctx, name, window)
	return watchedQueue{q, w}, err
}

type watchedQueue struct {
	queue.Queue
	store watched
}

func (q watchedQueue) through(do func() error) error {
	if q.store.gate == nil {
		return do()
	}
	if err := q.store.gate.pass(false); err != nil {
		return err
	}
	return errors.Join(do(), q.store.gate.pass(true))
}

func (q watchedQueue) Append(ctx context.Context, b queue.Batch) (r queue.Receipt, err error) {
	for _, item := range b.Items {
		if q.store.most > 0 && item.End-item.Start > q.store.most {
			return r, fmt.Errorf("event of %d bytes: %w", item.End-item.Start, queue.ErrTooLarge)
		}
	}
	err = q.through(func() error {
		r, err = q.Queue.Append(ctx, b)
		return err
	})
	return r, err
}

func (q watchedQueue) Settle(ctx context.Context, s queue.Settlement) error {
	return q.through(func() error { return q.Queue.Settle(ctx, s) })
}

func (q watchedQueue) PurgeDead(ctx context.Context, numbers ...uint64) (n int, err error) {
	err = q.through(func() error {
		n, err = q.Queue.PurgeDead(ctx, numbers...)
		return err
	})
	return n, err
}

func (q watchedQueue) Fetch(ctx context.Context, limit queue.Limit) ([]*queue.Record, error) {
	if q.store.mute {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return q.Queue.Fetch(ctx, limit)
}
