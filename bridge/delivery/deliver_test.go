package delivery

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

func TestOneRequestCarriesManyRecords(t *testing.T) {
	bubble(t, "", func(t *testing.T, r *rudder, q *memQueue) {
		q.fill("r", 25, 100)
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
		require.True(t, strings.HasPrefix(string(p.body), `{"batch":[{`))
		require.Equal(t, "r0-0", p.ids[0])
		require.Equal(t, "application/json", p.header.Get("Content-Type"))
		require.Equal(t, "Basic d2stc2VjcmV0Og==", p.header.Get("Authorization"), "wk-secret as the user name")
	})
}

// What is claimed may make more messages than fit; the rest is sent with the next.
func TestBodyNeverLargerThanMaxUnlessOneEventIs(t *testing.T) {
	for _, mode := range []string{Events, Webhook} {
		bubble(t, mode, func(t *testing.T, r *rudder, q *memQueue) {
			const limit = 10_000
			q.fill("small", 30, 100)
			q.put(fmt.Sprintf(`{"id":"huge","event_type":"t","user":{"user_id":"u"},"properties":{"pad":%q}}`, strings.Repeat("x", 2*limit)))
			q.fill("large", 3, 140)
			b := start(t, q, r, func(c *Config) { c.Mode, c.MaxBody = mode, limit })
			b.settledWithin(t, time.Second)
			for _, p := range r.all() {
				require.True(t, p.bytes <= limit || slices.Equal(p.ids, []string{"huge"}), "%d bytes", p.bytes)
			}
			require.Equal(t, 3421, q.count(queue.Delivered))
			require.Zero(t, repeats(r.taken()))
		})
	}
}

func TestWebhookSendsWhatBrazeSent(t *testing.T) {
	bubble(t, "", func(t *testing.T, r *rudder, q *memQueue) {
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

func TestEventWithoutIDIsNamedByRecordAndPlaceEachTime(t *testing.T) {
	bubble(t, "", func(t *testing.T, r *rudder, q *memQueue) {
		r.set(answers(reply{status: 503}, reply{status: 413}))
		q.put(`{}`, `{"id":"own"}`, `{}`)
		q.put(`{}`)
		b := start(t, q, r, func(c *Config) { c.Random = rand.New(constant(math.MaxUint64)) })
		b.settledWithin(t, time.Minute)
		want := []string{"origin-1-0", "own", "origin-1-2", "origin-2-0"}
		require.Equal(t, want, r.all()[0].ids)
		require.ElementsMatch(t, want, slices.Collect(maps.Keys(r.taken())))
	})
}

func TestEventsInFlightAreBounded(t *testing.T) {
	bubble(t, "", func(t *testing.T, r *rudder, q *memQueue) {
		r.set(always(reply{after: time.Second}))
		q.fill("r", 200, 7)
		q.put(events("huge", 500)...)
		b := start(t, q, r, func(c *Config) { c.Concurrency, c.BatchEvents = 3, 20 })
		b.settledWithin(t, time.Hour)
		require.LessOrEqual(t, r.most.events, 3*20)
		require.Equal(t, 3, r.most.requests)
		require.Equal(t, 1900, q.count(queue.Delivered))
	})
}

func TestACrashRepeatsAtMostWhatWasInFlight(t *testing.T) {
	bubble(t, "", func(t *testing.T, _ *rudder, _ *memQueue) {
		repeated := 0
		for crash := time.Duration(0); crash < 3*time.Second; crash += 130 * time.Millisecond {
			r, q := &rudder{}, newMemQueue()
			bad := with(reply{status: 400, body: "invalid json"}, "r3-4", "r17-0")
			r.set(func(p posted) reply {
				a := bad(p)
				a.after = time.Duration(100+p.n%7*50) * time.Millisecond
				return a
			})
			q.fill("r", 60, 5)
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

func TestTheQueueIsUsedAgainUntilItWorks(t *testing.T) {
	bubble(t, "", func(t *testing.T, r *rudder, q *memQueue) {
		q.claims = []error{errors.New("read"), errors.New("read")}
		q.fail(20, queue.ErrFull)
		q.put(events("e", 2)...)
		b := start(t, q, r, nil)
		b.settledWithin(t, time.Hour)
		require.Zero(t, q.failing)
		require.Equal(t, 1, strings.Count(b.log.String(), "cannot store an outcome"), "once, until it changes")
		require.Equal(t, 1, strings.Count(b.log.String(), "cannot read the queue"))
		require.Equal(t, 2, strings.Count(b.log.String(), "the queue works again"))
		require.Len(t, r.all(), 1, "it is stored again and not sent again")
		require.Equal(t, StateOK, b.State().Name, "that is not the destination's fault")
	})
}

func TestRunEndsWithTheQueue(t *testing.T) {
	for _, fatal := range []error{queue.ErrClosed, queue.ErrFailed, queue.ErrNotHeld} {
		bubble(t, fatal.Error(), func(t *testing.T, r *rudder, q *memQueue) {
			q.fail(math.MaxInt, fmt.Errorf("settle: %w", fatal))
			q.fill("r", 9, 1)
			one := func(c *Config) { c.BatchEvents = 1 }
			require.ErrorIs(t, <-start(t, q, r, one).ended, fatal)
			require.LessOrEqual(t, len(r.all()), 4, "nothing more is sent when no outcome can be stored")
			require.Empty(t, q.broken)
			q.claims = []error{fatal}
			require.ErrorIs(t, <-start(t, q, r, one).ended, fatal)
		})
	}
}

// What RudderStack's Braze source would lose shows only once the rules for personal
// data have been applied.
func TestFilteredEventsAreNotSentAndCountAsFiltered(t *testing.T) {
	for mode, dead := range map[string][]string{Events: {"not_an_object"}, Webhook: {"not_an_object", "no_identity"}} {
		bubble(t, mode, func(t *testing.T, r *rudder, q *memQueue) {
			const no = `{"event_type":"no","user":{"external_user_id":"x"}}`
			q.put(no, no, `{"id":"a","event_type":"t","user":{"user_id":"u","external_user_id":"x"}}`, no, `7`)
			q.put(no, `{"id":"b","event_type":"t","user.user_id":"u"}`)
			mapper, err := mapping.New(mapping.Options{
				Webhook: mode == Webhook, Filter: mapping.Filter{Deny: []string{"no"}},
				Personal: mapping.Personal{Fields: map[string]mapping.Action{"user.user_id": mapping.Drop}},
			})
			require.NoError(t, err)
			b := start(t, q, r, func(c *Config) { c.Mode, c.Mapper = mode, mapper })
			b.settledWithin(t, time.Second)
			require.Equal(t, 4, q.count(queue.Filtered))
			require.Equal(t, 3-len(dead), q.count(queue.Delivered))
			var reasons []string
			for _, d := range q.dead {
				require.Zero(t, d.Status)
				reasons = append(reasons, d.Reason)
			}
			require.Equal(t, dead, reasons)
			require.Len(t, r.all(), 1)
			require.NotContains(t, string(r.all()[0].body), `"u"`)
		})
	}
}

func TestMetricsOfEachRequest(t *testing.T) {
	bubble(t, "", func(t *testing.T, r *rudder, q *memQueue) {
		bad := with(reply{status: 413, body: "request size exceeds max limit", after: time.Second}, "b-1")
		r.set(func(p posted) reply {
			if p.n == 0 {
				return reply{hang: true}
			}
			return bad(p)
		})
		received := time.Now()
		q.put(events("a", 3)...)
		time.Sleep(time.Minute)
		q.put(events("b", 4)...)
		b := start(t, q, r, nil)
		pass(time.Second)
		require.Equal(t, load{1, 7}, b.inFlight())
		b.settledWithin(t, time.Hour)
		sent, bytes, halved, classes := 0, 0, 0, map[string]int{"none": 0, "2xx": 0, "4xx": 0}
		took, latency := 25*time.Second, time.Duration(0) // the first POST's timeout, and over all tries
		for _, p := range r.all() {
			sent, bytes, took = sent+len(p.ids), bytes+p.bytes, took+p.reply.after
			switch {
			case p.reply.hang:
				classes["none"]++
				continue
			case p.reply.isRefusal():
				classes["4xx"]++
				halved += min(1, len(p.ids)/2)
				continue
			}
			classes["2xx"]++
			if latency += p.at.Sub(received); p.ids[0] >= "b" {
				latency -= time.Minute
			}
		}
		m := b.config.Metrics
		for class, n := range classes {
			require.EqualValues(t, n, metric(m.requests.WithLabelValues(class)).GetCounter().GetValue(), class)
		}
		for counter, want := range map[prometheus.Counter]int{m.events: sent, m.bytes: bytes, m.halved: halved} {
			require.EqualValues(t, want, metric(counter).GetCounter().GetValue())
		}
		require.InDelta(t, took.Seconds(), metric(m.duration).GetHistogram().GetSampleSum(), 1e-6)
		require.InDelta(t, latency.Seconds(), metric(m.latency).GetHistogram().GetSampleSum(), 1e-6)
		require.EqualValues(t, classes["2xx"], metric(m.latency).GetHistogram().GetSampleCount(), "once a record and request")
		require.Positive(t, halved)
	})
}

func TestBodyExactlyAtTheLimitIsOneRequest(t *testing.T) {
	c := Config{Mapper: mapperFor(Webhook)}
	c.Mode, c.MaxBody = Webhook, 1000
	b := builder{config: &c}
	var list []event
	for _, raw := range events("e", 3) {
		list = append(list, event{raw: []byte(raw)})
	}
	b.build(list)
	exact := len(b.body)
	c.MaxBody = config.Size(exact)
	require.Equal(t, 3, b.build(list))
	require.Len(t, b.body, exact)
	c.MaxBody--
	require.Equal(t, 2, b.build(list))
	require.Equal(t, `{"events":[`+strings.Join(events("e", 3)[:2], ",")+`]}`, string(b.body))
	b.drop()
	require.NotNil(t, b.body)
	c.MaxBody = 10
	require.Equal(t, 1, b.build(list), "an event that is too large is sent alone")
	b.drop()
	require.Nil(t, b.body, "a huge body is not kept")
	require.Equal(t, 1, b.build(list))
}

// A stop lets the request in flight finish within the grace, sends no more, and
// waits for no backoff. What was cut off has no outcome.
func TestStop(t *testing.T) {
	for name, test := range map[string]struct {
		answer      reply
		stored      error
		grace, took time.Duration
		delivered   int
	}{
		"finishes":         {reply{after: time.Minute + 4*time.Second}, nil, 10 * time.Second, 4 * time.Second, 2},
		"hangs":            {reply{hang: true}, nil, 3 * time.Second, 3 * time.Second, 0},
		"hangs, no grace":  {reply{hang: true}, nil, 0, 0, 0},
		"backing off":      {reply{status: 503}, nil, 10 * time.Second, 0, 0},
		"paused":           {reply{status: 401}, nil, 10 * time.Second, 0, 0},
		"cannot be stored": {reply{}, queue.ErrFull, 3 * time.Second, 3 * time.Second, 0},
	} {
		bubble(t, name, func(t *testing.T, r *rudder, q *memQueue) {
			r.set(always(test.answer))
			q.fill("e", 3, 2)
			if test.stored != nil {
				q.fail(math.MaxInt, test.stored)
			}
			b := start(t, q, r, func(c *Config) { c.Concurrency, c.BatchEvents, c.Timeout, c.Grace = 1, 2, time.Hour, test.grace })
			pass(time.Minute)
			sent := len(r.all())
			require.Equal(t, test.took, b.finish(t))
			require.Len(t, r.all(), sent)
			require.Equal(t, test.delivered, q.count(queue.Delivered))
			require.Equal(t, 6-test.delivered, q.count(queue.Pending))
			require.Equal(t, test.answer.hang, metric(b.config.Metrics.duration).GetHistogram().GetSampleCount() == 0)
		})
	}
}
