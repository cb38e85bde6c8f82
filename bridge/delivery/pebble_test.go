package delivery

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/pebble"
)

// These run against the real store, in a file system in memory that forgets at
// a crash what was not synced.

func openPebble(t *testing.T, fs vfs.FS) (queue.Queue, *pebble.Store) {
	store, err := pebble.Open("data", pebble.Options{FS: fs, RetainAge: time.Hour, Reserve: 1})
	require.NoError(t, err)
	q, err := store.Open(t.Context(), "default", 1000)
	require.NoError(t, err)
	return q, store
}

// braze appends a batch of n events, some without an id.
func braze(t *testing.T, q queue.Queue, batch, n int) {
	var body strings.Builder
	body.WriteString(`{"events":[`)
	var items []queue.Item
	for i := range n {
		if i > 0 {
			body.WriteByte(',')
		}
		start, id := body.Len(), fmt.Sprintf("b%d-%d", batch, i)
		fmt.Fprintf(&body, `{"id":%q,"event_type":"t","user":{"user_id":"u"},"properties":{"n":%d}}`, id, i)
		items = append(items, queue.Item{Start: start, End: body.Len(), ID: queue.HashID([]byte(id))})
	}
	body.WriteString(`]}`)
	_, err := q.Append(t.Context(), queue.Batch{Body: []byte(body.String()), Items: items, ReceivedAt: time.Now()})
	require.NoError(t, err)
}

// deliverUntil runs a sender until the condition holds, and returns what crash,
// called while it still runs, has made of it.
func deliverUntil(t *testing.T, q queue.Queue, r *rudder, until func() bool, crash func()) {
	t.Helper()
	sender, err := New(Config{
		Queue: q, Mapper: mapping.Plain(), Transport: r, URL: "http://rudder.test", WriteKey: "wk",
		Concurrency: 3, MaxEvents: 20, MinBackoff: time.Millisecond, MaxBackoff: 5 * time.Millisecond, Grace: -1,
		Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- sender.Run(ctx) }()
	require.Eventually(t, until, 30*time.Second, time.Millisecond)
	crash()
	stop()
	require.NoError(t, <-ended)
}

func TestPebbleEverythingArrivesOnceAndTheBadAreDead(t *testing.T) {
	q, store := openPebble(t, vfs.NewMem())
	for i := range 30 {
		braze(t, q, i, 10)
	}
	bad := refusing(400, "request neither has anonymousId nor userId\n", "b3-4", "b17-0", "b29-9")
	r := &rudder{rule: func(p posted) reply {
		switch p.n % 5 {
		case 1:
			return reply{status: 503}
		case 3:
			return reply{err: io.EOF}
		}
		return bad(p)
	}}
	deliverUntil(t, q, r, func() bool { return q.Ledger().Pending() == 0 }, func() {})

	l := q.Ledger()
	require.EqualValues(t, 297, l.Delivered)
	require.EqualValues(t, 3, l.Dead)
	times := r.taken()
	require.Len(t, times, 297)
	require.Zero(t, repeats(times))
	letters, err := q.Dead(t.Context(), 0, 10)
	require.NoError(t, err)
	var dead []string
	for _, d := range letters {
		require.Equal(t, "refused", d.Reason)
		require.Equal(t, "request neither has anonymousId nor userId", d.Answer)
		dead = append(dead, string(d.Event[:len(`{"id":"b3-4"`)]))
	}
	require.Len(t, dead, 3)
	require.Contains(t, dead, `{"id":"b3-4"`)
	require.NoError(t, store.Close())
}

func TestPebbleCrashRepeatsAtMostWhatWasInFlight(t *testing.T) {
	for round := range uint64(8) {
		random := rand.New(rand.NewPCG(round, 1))
		fs := vfs.NewCrashableMem()
		q, store := openPebble(t, fs)
		for i := range 40 {
			braze(t, q, i, 7)
		}
		r := &rudder{rule: refusing(400, "no", "b5-5", "b30-1")}
		var after *vfs.MemFS
		crashAt := random.IntN(14)
		deliverUntil(t, q, r, func() bool { return len(r.all()) >= crashAt },
			func() {
				// The sender lives on for a moment, but RudderStack takes nothing
				// more from it.
				r.set(always(reply{hang: true}))
				after = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: random.IntN(101), RNG: random})
			})
		require.NoError(t, store.Close())

		r.set(refusing(400, "no", "b5-5", "b30-1"))
		q, store = openPebble(t, after)
		l := q.Ledger()
		require.EqualValues(t, 280, l.Accepted)
		deliverUntil(t, q, r, func() bool { return q.Ledger().Pending() == 0 }, func() {})
		l = q.Ledger()
		require.EqualValues(t, 278, l.Delivered)
		require.EqualValues(t, 2, l.Dead)
		require.NoError(t, store.Close())

		times := r.taken()
		require.Len(t, times, 278, "nothing is lost")
		require.LessOrEqual(t, repeats(times), 3*20)
	}
}
