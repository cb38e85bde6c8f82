package delivery

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// picky keeps back what holds "no" and takes out user_id, as rules for personal
// data may.
type picky struct{}

func (picky) Keeps(event []byte) bool { return !bytes.Contains(event, []byte(`"no"`)) }

func (picky) Append(dst, event []byte, _ string) []byte {
	return append(dst, bytes.Replace(event, []byte(`"user_id":"u"`), []byte(`"gone":1`), 1)...)
}

func TestFilteredEventsAreNotSentAndCountAsFiltered(t *testing.T) {
	for _, mode := range []string{Events, Webhook} {
		bubble(t, mode, func(t *testing.T) {
			r, q := &rudder{}, newMemQueue()
			q.put(`{"id":"no"}`, `{"id":"no"}`, `{"id":"a","event_type":"t","user":{"external_user_id":"x"}}`, `{"id":"no"}`, `7`)
			q.put(`{"id":"no"}`)
			b := start(t, q, r, func(c *Config) { c.Mode, c.Mapper = mode, picky{} })
			b.settledWithin(t, time.Second)
			require.Equal(t, 4, q.count(queue.Filtered))
			require.Equal(t, 1, q.count(queue.Delivered))
			require.Equal(t, 1, q.count(queue.Dead))
			require.Len(t, r.all(), 1)
		})
	}
}

// What RudderStack's Braze source would lose shows only once the rules for
// personal data have been applied.
func TestWebhookLooksAtWhatIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, q := &rudder{}, newMemQueue()
		q.put(`{"id":"a","event_type":"t","user":{"user_id":"u"}}`, `{"id":"b","event_type":"t","user":{"user_id":"u","external_user_id":"x"}}`)
		b := start(t, q, r, func(c *Config) { c.Mode, c.Mapper = Webhook, picky{} })
		b.settledWithin(t, time.Second)
		require.Len(t, q.dead, 1)
		require.Equal(t, "no_identity", q.dead[0].Reason)
		require.Equal(t, `{"events":[{"id":"b","event_type":"t","user":{"gone":1,"external_user_id":"x"}}]}`, string(r.all()[0].body))
	})
}

func TestObserverSeesWhatIsInFlightAndHowLongItTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, q := &rudder{}, newMemQueue()
		r.set(func(p posted) reply {
			if p.n == 0 {
				return reply{status: 503, after: 2 * time.Second}
			}
			return reply{after: 2 * time.Second}
		})
		q.put(events("a", 3)...)
		time.Sleep(time.Minute)
		q.put(events("b", 4)...)
		time.Sleep(time.Second)
		b := start(t, q, r, nil)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, [2]int{1, 7}, b.seen.inFlight())
		b.settledWithin(t, time.Minute)
		require.Len(t, b.seen.latencies, 1+b.seen.begun-1, "once a record and request")
		require.Greater(t, slices.Max(b.seen.latencies), 65*time.Second, "over all tries")
	})
}

// history is a queue whose n records of five events are delivered, and a
// sender that may replay them.
func history(t *testing.T, r *rudder, n int, change func(*Config)) *testBench {
	q := newMemQueue()
	for i := range n {
		q.put(whole(fmt.Sprint("r", i), 5)...)
	}
	return delivered(t, q, r, change)
}

func delivered(t *testing.T, q *memQueue, r *rudder, change func(*Config)) *testBench {
	b := start(t, q, r, func(c *Config) {
		c.Replays = q
		if change != nil {
			change(c)
		}
	})
	b.settledWithin(t, time.Minute)
	r.mu.Lock()
	r.posts, r.most = nil, 0
	r.mu.Unlock()
	b.seen.change(func() { b.seen.posts, b.seen.latencies = nil, nil })
	return b
}

// replayedWithin waits until the replay has ended.
func (b *testBench) replayedWithin(t *testing.T, d time.Duration) queue.Replay {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), d)
	defer stop()
	for b.queue.replayed().Active() {
		b.queue.mu.Lock()
		changed := b.queue.changed
		b.queue.mu.Unlock()
		if !b.queue.replayed().Active() {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			require.Failf(t, "replay has not ended", "%+v", b.queue.replayed())
		}
	}
	synctest.Wait()
	return b.queue.replayed()
}
