package delivery

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// history is a queue whose n records of five events are delivered, and a
// sender that may replay them.
func history(t *testing.T, r *rudder, n int, change func(*Config)) *testBench {
	q := newMemQueue()
	q.fill("r", n, 5)
	return delivered(t, q, r, change)
}

func delivered(t *testing.T, q *memQueue, r *rudder, change func(*Config)) *testBench {
	b := start(t, q, r, change)
	b.settledWithin(t, time.Minute)
	r.mu.Lock()
	r.posts, r.most = nil, r.inFlight
	r.mu.Unlock()
	return b
}

func TestReplaySendsHistoryAgainUnchanged(t *testing.T) {
	for _, mode := range []string{Events, Webhook} {
		bubble(t, mode, func(t *testing.T, r *rudder, q *memQueue) {
			q.put(events("e", 3)...)
			q.put(`{"event_type":"t","user":{"user_id":"u"}}`)
			b := start(t, q, r, func(c *Config) { c.Mode = mode })
			b.settledWithin(t, time.Minute)
			done := b.replay(t, queue.ReplayOrder{}, time.Minute)
			require.EqualValues(t, 4, done.Replayed)
			require.EqualValues(t, 3, done.Next)
			require.Len(t, r.all(), 2)
			require.Equal(t, string(r.all()[0].body), string(r.all()[1].body), "ids and all")
			require.EqualValues(t, 2, metric(b.config.Metrics.latency).GetHistogram().GetSampleCount(), "of the first time only")

			require.EqualValues(t, 4, b.replay(t, queue.ReplayOrder{}, time.Minute).Replayed, "and once more")
		})
	}
}

func TestReplayKeepsToTypesAndFilters(t *testing.T) {
	bubble(t, "", func(t *testing.T, r *rudder, q *memQueue) {
		typed := func(id, kind string) string {
			return fmt.Sprintf(`{"id":%q,"event_type":%q,"user":{"external_user_id":"x"}}`, id, kind)
		}
		q.put(typed("a", "users.messages.email.Click"), typed("b", "users.messages.sms.Send"), typed("c", "users.messages.email.Open"),
			`{"id":"d","event_type":"users.\u006dessages.email.Open","user":{"external_user_id":"x"}}`, `{"id":"e"}`)
		b := delivered(t, q, r, nil)
		done := b.replay(t, queue.ReplayOrder{Types: []string{"users.messages.email.*", "[broken"}}, time.Minute)
		require.Equal(t, []string{"a", "c", "d"}, r.all()[0].ids)
		require.EqualValues(t, [3]uint64{3, 0, 2}, [3]uint64{done.Replayed, done.Refused, done.Skipped})
		b.finish(t)

		mapper, err := mapping.New(mapping.Options{Filter: mapping.Filter{Deny: []string{"*.Click"}}})
		require.NoError(t, err)
		b = delivered(t, q, r, func(c *Config) { c.Mapper = mapper }) // which keeps back what was delivered before
		done = b.replay(t, queue.ReplayOrder{}, time.Minute)
		require.Equal(t, []string{"b", "c", "d", "e"}, r.all()[0].ids)
		require.EqualValues(t, 1, done.Skipped)
	})
}

func TestReplayRefusesWhatIsRefusedAloneAndMakesNoDeadLetter(t *testing.T) {
	for _, status := range []int{400, 413, 403} {
		bubble(t, fmt.Sprint(status), func(t *testing.T, r *rudder, _ *memQueue) {
			b := history(t, r, 20, nil)
			r.set(with(reply{status: status, body: "no"}, "r3-4", "r17-0", "r17-1"))
			done := b.replay(t, queue.ReplayOrder{}, 10*time.Minute)
			require.EqualValues(t, [3]uint64{97, 3, 0}, [3]uint64{done.Replayed, done.Refused, done.Skipped})
			require.Empty(t, b.queue.dead)
			require.Equal(t, 100, b.queue.count(queue.Delivered), "it keeps the outcome that it had")
		})
	}
}

// Many refused events beside each other do not hold a replay up for ever.
func TestReplayRefusesManyInARow(t *testing.T) {
	for _, records := range []int{4, 10} {
		bubble(t, fmt.Sprint(5*records), func(t *testing.T, r *rudder, _ *memQueue) {
			b := history(t, r, 40, nil)
			var bad []string
			for i := range 5 * records {
				bad = append(bad, fmt.Sprintf("r%d-%d", 15+i/5, i%5))
			}
			r.set(with(reply{status: 400, body: "no"}, bad...))
			done := b.replay(t, queue.ReplayOrder{}, 20*time.Minute)
			require.EqualValues(t, [2]int{200 - len(bad), len(bad)}, [2]int{int(done.Replayed), int(done.Refused)})
		})
	}
}

func TestReplayKeepsToItsRate(t *testing.T) {
	for _, test := range []struct {
		rate float64
		size int // events of a request at most
	}{{0.5, 1}, {1, 1}, {7, 7}, {40, 40}, {1000, 100}} {
		bubble(t, fmt.Sprint(test.rate), func(t *testing.T, r *rudder, _ *memQueue) {
			b := history(t, r, 100, func(c *Config) { c.BatchEvents = 100 })
			r.set(always(reply{after: 20 * time.Millisecond}))
			began := time.Now()
			b.replay(t, queue.ReplayOrder{Rate: test.rate}, time.Hour)
			sent := 0
			for _, p := range r.all() {
				require.LessOrEqual(t, len(p.ids), test.size)
				require.LessOrEqual(t, float64(sent), test.rate*p.at.Sub(began).Seconds()+0.001, "those before are paid for")
				sent += len(p.ids)
			}
			require.Equal(t, 500, sent)
			require.InEpsilon(t, 500/test.rate, time.Since(began).Seconds(), 0.25, "and no slower")
			require.Equal(t, 1, r.most.requests, "one request at a time")
		})
	}
}

func TestReplayGoesOnBesideABacklogAndGivesWay(t *testing.T) {
	bubble(t, "", func(t *testing.T, r *rudder, _ *memQueue) {
		b := history(t, r, 20, func(c *Config) { c.RequestsPerSecond, c.BatchEvents = 10, 5 })
		b.queue.fill("new", 1000, 5)
		b.queue.order(queue.ReplayOrder{})
		time.Sleep(time.Minute)
		posts := len(r.all())
		require.InDelta(t, 600, posts, 60)
		again := int(b.queue.replayed().Replayed) / 5
		require.Greater(t, again, posts/10, "it is not starved")
		require.Less(t, again, posts/3, "most requests are of what is pending")
	})
}

func TestReplayWaitsForADestinationInTrouble(t *testing.T) {
	for _, status := range []int{401, 503} {
		bubble(t, fmt.Sprint(status), func(t *testing.T, r *rudder, _ *memQueue) {
			b := history(t, r, 20, nil)
			r.set(always(reply{status: status}))
			b.queue.order(queue.ReplayOrder{})
			time.Sleep(time.Hour)
			require.NotEqual(t, StateOK, b.State().Name)
			require.Zero(t, b.queue.replayed().Replayed)
			r.set(nil)
			require.EqualValues(t, 100, b.replayedWithin(t, 30*time.Second).Replayed)
		})
	}
}

// However it is cut off, nothing is left out, and no more than one group is
// sent twice.
func TestReplayCutOffGoesOnWhereItWas(t *testing.T) {
	for _, crash := range []bool{false, true} {
		bubble(t, fmt.Sprint("crash ", crash), func(t *testing.T, _ *rudder, _ *memQueue) {
			repeated := 0
			// Never at the instant at which a request ends, when what comes first is left to chance.
			for at := 7 * time.Millisecond; at < 4*time.Second; at += 170 * time.Millisecond {
				r := &rudder{}
				small := func(c *Config) { c.BatchEvents, c.Grace = 3, time.Second }
				b := history(t, r, 20, small)
				r.set(always(reply{after: 100 * time.Millisecond}))
				b.queue.order(queue.ReplayOrder{})
				time.Sleep(at)
				left := b.queue
				if crash {
					left = left.restart()
				}
				b.finish(t)
				next := start(t, left, r, small)
				next.replayedWithin(t, time.Hour)
				require.Len(t, r.taken(), 100)
				require.LessOrEqual(t, repeats(r.taken()), 5, "a record has more events than a POST")
				repeated += repeats(r.taken())
				next.finish(t)
			}
			require.Positive(t, repeated, "else it was cut off at no bad moment")
		})
	}
}

func TestReplayProgressIsStoredAgainUntilTheQueueFails(t *testing.T) {
	bubble(t, "", func(t *testing.T, r *rudder, _ *memQueue) {
		b := history(t, r, 20, nil)
		b.queue.fail(5, queue.ErrFull)
		require.EqualValues(t, 100, b.replay(t, queue.ReplayOrder{}, time.Minute).Replayed)
		require.Len(t, r.all(), 1)
		b.queue.fail(math.MaxInt, queue.ErrFailed)
		b.queue.order(queue.ReplayOrder{})
		require.ErrorIs(t, <-b.ended, queue.ErrFailed)
	})
}
