package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// onePerRequest makes each event a request of its own.
func onePerRequest(c *Config) { c.BatchEvents = 1 }

func TestOneRequestCarriesManyRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, q := &rudder{}, newMemQueue()
		for i := range 25 {
			q.put(events(fmt.Sprint("r", i), 100)...)
		}
		b := start(t, q, r, func(c *Config) { c.Concurrency = 1 })
		b.settledWithin(t, time.Second)
		var sizes []int
		for _, p := range r.all() {
			sizes = append(sizes, len(p.ids))
		}
		require.Equal(t, []int{1000, 1000, 500}, sizes)
		require.Equal(t, 3, q.settles, "one commit a POST")
		p := r.all()[0]
		require.True(t, json.Valid(p.body))
		require.True(t, strings.HasPrefix(string(p.body), `{"batch":[{"messageId":"r0-0"`))
		require.Equal(t, "application/json", p.header.Get("Content-Type"))
		require.Equal(t, "Basic d2stc2VjcmV0Og==", p.header.Get("Authorization"), "wk-secret as the user name")
	})
}

func TestOneRecordLargerThanAPostIsSentInSeveral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, q := &rudder{}, newMemQueue()
		q.put(events("e", 2500)...)
		b := start(t, q, r, nil)
		b.settledWithin(t, time.Second)
		require.Len(t, r.all(), 3)
		for i, p := range r.all() {
			require.LessOrEqual(t, len(p.ids), 1000, "POST %d", i)
		}
		require.Equal(t, 2500, q.count(queue.Delivered))
		require.Equal(t, 1, r.most, "one worker sends it")
	})
}

func TestBodyNeverLargerThanMaxUnlessOneEventIs(t *testing.T) {
	for _, mode := range []string{Events, Webhook} {
		bubble(t, mode, func(t *testing.T) {
			r, q := &rudder{}, newMemQueue()
			const limit = 10_000
			big := map[string]bool{}
			for i := range 60 {
				size := (i * 977) % 3000
				if i%20 == 7 {
					size = 2 * limit
					big[fmt.Sprintf("e-%d", i)] = true
				}
				q.put(fmt.Sprintf(`{"id":"e-%d","event_type":"t","user":{"user_id":"u"},"pad":%q}`, i, strings.Repeat("x", size)))
			}
			b := start(t, q, r, func(c *Config) { c.Mode, c.MaxBody = mode, limit })
			b.settledWithin(t, time.Second)
			for _, p := range r.all() {
				if len(p.ids) == 1 && big[p.ids[0]] {
					delete(big, p.ids[0])
					continue
				}
				require.LessOrEqual(t, p.bytes, limit)
			}
			require.Empty(t, big, "each huge event was sent alone")
			require.Equal(t, 60, q.count(queue.Delivered))
		})
	}
}

func TestBodyExactlyAtTheLimitIsOneRequest(t *testing.T) {
	b := builder{mode: Webhook, mapper: asTheyAre{}, maxBody: 1000}
	var list []event
	for _, raw := range events("e", 3) {
		list = append(list, event{raw: []byte(raw)})
	}
	b.build(list)
	exact := len(b.body)
	b.maxBody = exact
	require.Equal(t, 3, b.build(list))
	require.Len(t, b.body, exact)
	b.maxBody = exact - 1
	require.Equal(t, 2, b.build(list))
	require.Equal(t, `{"events":[{"id":"e-0"},{"id":"e-1"}]}`, string(b.body))
}

func TestSpansFollowRecordsAndGaps(t *testing.T) {
	var b builder
	list := []event{
		{seq: 1, index: 0}, {seq: 1, index: 1}, {seq: 2, index: 2}, {seq: 2, index: 3}, {seq: 2, index: 5}, {seq: 4, index: 0},
	}
	require.Equal(t, []queue.Span{
		{Seq: 1, First: 0, Last: 1}, {Seq: 2, First: 2, Last: 3}, {Seq: 2, First: 5, Last: 5}, {Seq: 4},
	}, b.spansOf(list))
	require.Equal(t, []queue.Span{{Seq: 1, First: 1, Last: 1}, {Seq: 2, First: 2, Last: 2}}, b.spansOf(list[1:3]))
}

func TestWebhookSendsWhatBrazeSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, q := &rudder{}, newMemQueue()
		raw := []string{
			`{"id":"e-1","event_type":"t","user":{"user_id":"u"},"properties":{"b":1,"a":9007199254740993}}`,
			`{"event_type" : "t", "user":{"external_user_id":7}}`,
		}
		q.put(raw...)
		b := start(t, q, r, func(c *Config) { c.Mode = Webhook })
		b.settledWithin(t, time.Second)
		require.Equal(t, `{"events":[`+strings.Join(raw, ",")+`]}`, string(r.all()[0].body))
		require.Equal(t, "http://rudder.test/v1/webhook?writeKey=wk-secret", r.all()[0].url)
		require.Empty(t, r.all()[0].header.Get("Authorization"))
	})
}

func TestWebhookSendsNothingThatRudderStackWouldLose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, q := &rudder{}, newMemQueue()
		good := `{"id":"good","event_type":"t","user":{"user_id":"u"}}`
		q.put(
			`null`,
			`{"id":"a","user":{"user_id":"u"}}`,
			good,
			`{"id":"b","event_type":"t","user":{"user_id":"  "}}`,
			`{"id":"c","event_type":"t","user":{"user_id":"u"},"properties":{"constructor":1}}`,
			`{"id":"d","event_type":"t","user":{"user_id":"u"},"properties":{"x":"\u0000"}}`,
			`{"id":"e","event_type":"t","user":{"user_id":"u"},"properties":{"20000000":1}}`,
			`{"id":"f","event_type":"t","user":{"user_id":"u"},"properties":{"x":`+strings.Repeat("[", 6000)+strings.Repeat("]", 6000)+`}}`,
			good,
		)
		q.put(`17`)
		b := start(t, q, r, func(c *Config) { c.Mode = Webhook })
		b.settledWithin(t, time.Second)
		require.Len(t, r.all(), 1)
		require.Equal(t, []string{"good", "good"}, r.all()[0].ids)
		var dead []string
		for _, d := range q.dead {
			require.Zero(t, d.Status)
			dead = append(dead, fmt.Sprint(d.Seq, d.Index, d.Reason))
		}
		require.Equal(t, []string{
			"1 0not_an_object", "1 1no_event_type", "1 3no_identity", "1 4unsafe_key", "1 5nul", "1 6large_index", "1 7too_deep", "2 0not_an_object",
		}, dead)
	})
}

func TestEventsModeNeverMapsWhatIsNoObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, q := &rudder{}, newMemQueue()
		q.put(`[1]`, `{"id":"e"}`, `"x"`)
		b := start(t, q, r, nil)
		b.settledWithin(t, time.Second)
		require.Equal(t, []string{"e"}, r.all()[0].ids)
		require.Len(t, q.dead, 2)
		require.Equal(t, "not_an_object", q.dead[0].Reason)
	})
}

func TestEventWithoutIDIsNamedByRecordAndPlaceEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, q := &rudder{}, newMemQueue()
		r.set(answers(reply{status: 503}, reply{status: 413}))
		q.put(`{}`, `{"id":"own"}`, `{}`)
		q.put(`{}`)
		b := start(t, q, r, func(c *Config) { c.Random = rand.New(constant(math.MaxUint64)) })
		b.settledWithin(t, time.Minute)
		want := []string{"origin-1-0", "own", "origin-1-2", "origin-2-0"}
		require.Equal(t, want, r.all()[0].ids)
		named := map[string]bool{}
		for id := range r.taken() {
			named[id] = true
		}
		for _, id := range want {
			require.True(t, named[id], id)
		}
		require.Len(t, named, 4)
	})
}

func TestEventsInFlightAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, q := &rudder{}, newMemQueue()
		r.set(always(reply{after: time.Second}))
		for i := range 200 {
			q.put(events(fmt.Sprint("r", i), 7)...)
		}
		q.put(events("huge", 500)...)
		b := start(t, q, r, func(c *Config) { c.Concurrency, c.BatchEvents = 3, 20 })
		b.settledWithin(t, time.Hour)
		require.LessOrEqual(t, r.mostEvents, 3*20)
		require.Equal(t, 3, r.most)
		require.Equal(t, 1900, q.count(queue.Delivered))
	})
}

func TestACrashRepeatsAtMostWhatWasInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		repeated := 0
		for crash := time.Duration(0); crash < 3*time.Second; crash += 130 * time.Millisecond {
			r, q := &rudder{}, newMemQueue()
			bad := refusing(400, "invalid json", "r3-4", "r17-0")
			r.set(func(p posted) reply {
				a := bad(p)
				a.after = time.Duration(100+p.n%7*50) * time.Millisecond
				return a
			})
			for i := range 60 {
				q.put(events(fmt.Sprint("r", i), 5)...)
			}
			small := func(c *Config) { c.Concurrency, c.BatchEvents, c.Grace = 2, 10, 0 }
			first := start(t, q, r, small)
			time.Sleep(crash)
			again := q.restart() // what was answered from here on is forgotten
			first.stop()
			<-first.ended
			second := start(t, again, r, small)
			second.settledWithin(t, time.Hour)

			times := r.taken()
			require.Len(t, times, 298, "all but the two refused arrived")
			require.LessOrEqual(t, repeats(times), 2*10)
			repeated += repeats(times)
			require.Len(t, again.dead, 2)
			second.finish(t)
		}
		require.Positive(t, repeated, "else the crashes came at no bad moment")
	})
}

func TestSettleFailureStoresAgainWithoutSendingAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, q := &rudder{}, newMemQueue()
		failed := 0
		q.fail = func() error {
			if failed++; failed <= 20 {
				return queue.ErrFull
			}
			return nil
		}
		q.put(events("e", 2)...)
		b := start(t, q, r, nil)
		b.settledWithin(t, time.Hour)
		require.Equal(t, 21, failed)
		require.Equal(t, 1, strings.Count(b.log.String(), "cannot store an outcome"), "once, until it changes")
		require.Equal(t, 1, strings.Count(b.log.String(), "outcomes are stored again"))
		require.Len(t, r.all(), 1)
		require.Equal(t, StateOK, b.State().Name, "that is not the destination's fault")
	})
}

func TestSettleFailureEndsWithTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, q := &rudder{}, newMemQueue()
		q.fail = func() error { return queue.ErrFull }
		q.put(events("e", 2)...)
		b := start(t, q, r, nil)
		time.Sleep(time.Hour)
		stopped := time.Now()
		b.finish(t)
		require.LessOrEqual(t, time.Since(stopped), defaultGrace)
		require.Len(t, r.all(), 1)
	})
}

func TestRunEndsWithTheQueue(t *testing.T) {
	for _, fatal := range []error{queue.ErrClosed, queue.ErrFailed, queue.ErrNotHeld} {
		bubble(t, fatal.Error(), func(t *testing.T) {
			r, q := &rudder{}, newMemQueue()
			q.fail = func() error { return fmt.Errorf("settle: %w", fatal) }
			for i := range 9 {
				q.put(events(fmt.Sprint("r", i), 1)...)
			}
			b := start(t, q, r, onePerRequest)
			require.ErrorIs(t, <-b.ended, fatal)
			require.LessOrEqual(t, len(r.all()), 4, "nothing more is sent when no outcome can be stored")
			require.Empty(t, q.broken)
		})
	}
}

// brokenClaim fails a few times before it claims.
type brokenClaim struct {
	*memQueue
	errs []error
}

func (q *brokenClaim) Claim(ctx context.Context, limit queue.Limit) ([]*queue.Record, error) {
	q.mu.Lock()
	if len(q.errs) > 0 {
		err := q.errs[0]
		q.errs = q.errs[1:]
		q.mu.Unlock()
		return nil, err
	}
	q.mu.Unlock()
	return q.memQueue.Claim(ctx, limit)
}

func TestClaimFailureIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, q := &rudder{}, newMemQueue()
		q.put(events("e", 1)...)
		broken := &brokenClaim{memQueue: q, errs: []error{errors.New("read"), errors.New("read")}}
		b := start(t, q, r, func(c *Config) { c.Queue, c.Concurrency = broken, 1 })
		b.settledWithin(t, 2*time.Second)
	})
}

func TestClaimOfAClosedQueueEndsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, q := &rudder{}, newMemQueue()
		broken := &brokenClaim{memQueue: q, errs: []error{queue.ErrClosed}}
		b := start(t, q, r, func(c *Config) { c.Queue = broken })
		require.ErrorIs(t, <-b.ended, queue.ErrClosed)
	})
}

func TestObserverSeesEachRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, q := &rudder{}, newMemQueue()
		bad := refusing(413, "request size exceeds max limit", "e-1")
		r.set(func(p posted) reply {
			if p.n == 0 {
				return reply{hang: true}
			}
			return bad(p)
		})
		q.put(events("e", 2)...)
		b := start(t, q, r, nil)
		b.settledWithin(t, time.Hour)
		size := func(i int) int { return r.all()[i].bytes }
		require.Equal(t, Post{Class: "none", Events: 2, Bytes: size(0), Latency: 25 * time.Second}, b.seen.posts[0])
		require.Contains(t, b.seen.posts, Post{Class: "2xx", Events: 1, Bytes: size(1)})
		require.Contains(t, b.seen.posts, Post{Class: "4xx", Events: 1, Bytes: size(1)})
	})
}
