package delivery

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

// One test for each way in which a destination fails, in fake time, through the
// whole sender.

// contentRefusal is how a destination refuses some events.
type contentRefusal struct {
	name       string
	answer     reply
	reason     string        // of the dead letters
	neighbours time.Duration // the good events of the same batches are delivered by then
	dead       [2]time.Duration
}

// refusals are the ways to refuse by content.
func refusals(t *testing.T) (list []contentRefusal) {
	for _, row := range casefile.Read(t, "testdata/refusals.tsv", 6) {
		var times [3]time.Duration
		for i := range times {
			var err error
			times[i], err = time.ParseDuration(row[3+i])
			require.NoError(t, err)
		}
		list = append(list, contentRefusal{row[0], replyOf(t, row[1]), row[2], times[0], [2]time.Duration(times[1:])})
	}
	return list
}

func TestEventsThatAreRefusedByContent(t *testing.T) {
	for _, test := range refusals(t) {
		for _, mode := range []string{Events, Webhook} {
			for _, n := range []int{1, 10} {
				if (n > 1) != (mode == Events) && !*soak {
					continue
				}
				bubble(t, fmt.Sprint(test.name, "/", mode, "/", n), func(t *testing.T, r *rudder, q *memQueue) {
					test.play(t, r, q, mode, n)
				})
			}
		}
	}
}

// play delivers a thousand events of which n are refused, and others after them.
func (test contentRefusal) play(t *testing.T, r *rudder, q *memQueue, mode string, n int) {
	var bad []string
	for i := range n {
		bad = append(bad, fmt.Sprintf("b%d-%d", i, (i*37+11)%100))
	}
	r.set(with(test.answer, bad...))
	q.fill("b", 10, 100)
	b := start(t, q, r, func(c *Config) { c.Mode = mode })
	born := time.Now()
	late := map[string]time.Time{}
	for i := 0; time.Since(born) < test.dead[1] && q.count(queue.Dead) < n; i++ {
		id := fmt.Sprint("late", i)
		late[id+"-0"] = time.Now()
		q.put(events(id, 1)...)
		require.True(t, time.Since(born) >= test.dead[0] || q.count(queue.Dead) == 0, "too early")
		time.Sleep(5 * time.Second)
		if i > 120 && !*soak { // by then they are parked for minutes
			time.Sleep(15 * time.Second)
		}
	}
	pass(time.Minute)
	require.Equal(t, n, q.count(queue.Dead))
	require.Zero(t, q.count(queue.Pending))
	for _, d := range q.dead {
		require.Contains(t, bad, fmt.Sprintf("b%d-%d", d.Seq-1, d.Index), "a good event died")
		require.Equal(t, test.reason, d.Reason)
		require.Equal(t, test.answer.status, d.Status)
		require.Greater(t, d.Attempts, 5)
		require.Regexp(t, `\(failed alone \d+ times in \S+; meanwhile \d+ other requests were accepted\)$`, d.Answer)
	}
	var slowest time.Duration
	for _, p := range r.all() {
		if p.reply.isRefusal() {
			continue
		}
		for _, id := range p.ids {
			if at, isLate := late[id]; isLate {
				slowest = max(slowest, p.at.Sub(at))
			} else {
				require.LessOrEqual(t, p.at.Sub(born), test.neighbours, "%s waits for its neighbour", id)
			}
		}
	}
	require.LessOrEqual(t, slowest, 65*time.Second, "what comes after")
	require.Zero(t, repeats(r.taken()))
	require.Equal(t, StateOK, b.State().Name)
	require.Zero(t, b.State().Parked)
	b.finish(t)
}

// A destination that refuses everything, or gives pages, kills nothing, says what is
// wrong, and gets everything once it is well again.
func TestDestinationThatTakesNothing(t *testing.T) {
	for _, row := range casefile.Read(t, "testdata/takesnothing.tsv", 4) {
		answer, state, words := replyOf(t, row[1]), row[2], row[3]
		for _, outage := range []time.Duration{time.Second, 61 * time.Second, 45 * time.Minute} {
			for _, known := range []bool{false, true} {
				bubble(t, fmt.Sprint(row[0], "/", outage, "/known=", known), func(t *testing.T, r *rudder, q *memQueue) {
					b := start(t, q, r, nil)
					if known {
						b.deliver(t, time.Second, events("known", 3)...)
					}
					r.set(always(answer))
					q.fill("b", 10, 20)
					pass(outage)
					require.Equal(t, 200, q.count(queue.Pending), "nothing dies")
					if outage > 2*time.Minute {
						require.Equal(t, state, b.State().Name)
						require.Contains(t, b.State().LastError, words)
						require.Zero(t, b.State().Parked, "it is the destination that is to blame")
						require.Less(t, time.Until(b.State().NextTry), 30*time.Second)
						require.Less(t, len(r.all()), 600, "about one in 20 seconds, and 413 splits")
						require.Contains(t, b.log.String(), "state="+state+" ")
					}
					r.set(nil) // what hangs by then hangs on
					b.settledWithin(t, 31*time.Second)
					require.Equal(t, StateOK, b.State().Name)
					require.Empty(t, b.State().LastError)
					require.Zero(t, repeats(r.taken()))
				})
			}
		}
	}
}

func TestAnyBodyOf2XXWhereThatIsAllowed(t *testing.T) {
	bubble(t, "", func(t *testing.T, r *rudder, q *memQueue) {
		r.set(func(p posted) reply { return reply{status: []int{400, 202}[min(p.n, 1)], body: `{"accepted":true}`} })
		q.put(events("e", 1)...)
		b := start(t, q, r, func(c *Config) { c.AcceptAny2XX = true })
		b.settledWithin(t, time.Minute)
		require.Len(t, r.all(), 2, "400 is none, whatever it says")
	})
}

// One bad event in the only batch there is does not hold its neighbours, though
// nothing else is sent; and it stays parked until something else is.
func TestABadEventInTheOnlyBatch(t *testing.T) {
	for _, test := range refusals(t) {
		if test.answer.hang {
			continue
		}
		bubble(t, test.name, func(t *testing.T, r *rudder, q *memQueue) {
			r.set(with(test.answer, "e-41"))
			q.put(events("e", 100)...)
			b := start(t, q, r, nil)
			pass(3 * time.Minute)
			require.Equal(t, 99, q.count(queue.Delivered))
			if strings.Contains(test.name, "own words") {
				require.Len(t, q.dead, 1, "a probe is evidence for that")
			} else {
				time.Sleep(3 * time.Hour)
				require.Equal(t, 1, q.count(queue.Pending), "nothing else was accepted")
				require.LessOrEqual(t, strings.Count(b.log.String(), "event is suspected"), 1)
			}
		})
	}
}

// A destination that answers probes as RudderStack does and refuses all else in its
// words, such as one behind a proxy that garbles bodies.
func TestProbesKillLittle(t *testing.T) {
	bubble(t, "", func(t *testing.T, r *rudder, q *memQueue) {
		r.set(func(p posted) reply {
			if p.probe {
				return empty(p)
			}
			return reply{status: 400, body: "invalid json"}
		})
		q.put(events("e", 200)...)
		start(t, q, r, nil)
		pass(12 * time.Hour)
		require.LessOrEqual(t, q.count(queue.Dead), mostByProbe)
	})
}

// A limiter of 200 events in 10 seconds, with a bad event besides.
func TestLimiterAndABadEvent(t *testing.T) {
	bubble(t, "", func(t *testing.T, r *rudder, q *memQueue) {
		bad := with(reply{status: 403}, "b3-7")
		level, at := 200.0, time.Now()
		r.set(func(p posted) reply {
			level, at = min(200, level+p.at.Sub(at).Seconds()*20), p.at
			if float64(len(p.ids)) > level {
				return reply{status: 429, body: "max requests limit reached\n"}
			}
			level -= float64(len(p.ids))
			return bad(p)
		})
		q.fill("b", 20, 50)
		b := start(t, q, r, nil)
		pass(10 * time.Minute)
		require.Equal(t, 999, q.count(queue.Delivered))
		require.Empty(t, q.dead)
		b.trickle(1000, 7*time.Second)
		require.Len(t, q.dead, 1)
		require.Equal(t, [2]int{4, 7}, [2]int{int(q.dead[0].Seq), q.dead[0].Index})
	})
}

// Parked events can be listed and set aside by hand, and are named in the log once.
func TestParkedEventsCanBeSeenAndSetAside(t *testing.T) {
	bubble(t, "", func(t *testing.T, r *rudder, q *memQueue) {
		r.set(with(reply{status: 403, body: "blocked"}, "e-3", "e-60"))
		q.put(events("e", 100)...)
		b := start(t, q, r, nil)
		b.trickle(120, time.Second)
		require.Equal(t, State{Name: StateOK, Since: b.State().Since, Parked: 2}, b.State())
		list, total, err := b.Parked(t.Context(), 10)
		require.NoError(t, err)
		require.Equal(t, 2, total)
		p := list[0]
		require.Equal(t, ParkedEvent{
			Seq: 1, Index: 3, EventType: "t", ID: "e-3", Size: len(events("e", 4)[3]), With: 1, Failures: p.Failures,
			FirstFailure: p.FirstFailure, Status: 403, LastAnswer: "blocked", NextTry: p.NextTry,
		}, p)
		require.Greater(t, p.Failures, 3)
		require.Equal(t, 60, list[1].Index)
		short, total, err := b.Parked(t.Context(), 1)
		require.NoError(t, err)
		require.Equal(t, []any{1, 2}, []any{len(short), total})

		require.ErrorIs(t, b.DeadLetter(t.Context(), 1, 4), ErrNotParked)
		require.NoError(t, b.DeadLetter(t.Context(), 1, 3))
		require.ErrorIs(t, b.DeadLetter(t.Context(), 1, 3), ErrNotParked)
		require.Len(t, q.dead, 1)
		require.Equal(t, "set_aside", q.dead[0].Reason)
		others := 0
		for _, post := range r.all() {
			if !post.reply.isRefusal() && post.at.After(p.FirstFailure) {
				others++
			}
		}
		require.Regexp(t, fmt.Sprintf(`^blocked\n\(failed alone .+ %d other requests were accepted\)$`, others), q.dead[0].Answer)
		require.Equal(t, 1, b.State().Parked)

		r.set(nil) // the firewall's rule was repaired
		b.Resume()
		b.settledWithin(t, time.Second)
		require.Equal(t, 1, strings.Count(b.log.String(), "type=t id=e-3 "), b.log)
		require.Equal(t, 1, strings.Count(b.log.String(), "type=t id=e-60 "))
		require.NotContains(t, b.log.String(), "user_id")
	})
}

// An event that is just being tried is not set aside where it is accepted.
func TestSettingAsideWaitsForTheOutcome(t *testing.T) {
	bubble(t, "", func(t *testing.T, r *rudder, q *memQueue) {
		r.set(with(reply{status: 403}, "e-3"))
		q.put(events("e", 10)...)
		b := start(t, q, r, nil)
		b.trickle(60, time.Second)
		require.Equal(t, 1, b.State().Parked)
		r.set(always(reply{after: 20 * time.Second}))
		b.Resume()
		pass(time.Second)
		asked := time.Now()
		require.ErrorIs(t, b.DeadLetter(t.Context(), 1, 3), ErrNotParked)
		require.Equal(t, 19*time.Second, time.Since(asked))
		require.Empty(t, q.dead)
		require.Zero(t, q.count(queue.Pending))
	})
}

// What is parked is not kept in memory, and what another bridge has taken over is
// forgotten.
func TestParkedEventsAreReadAgain(t *testing.T) {
	bubble(t, "", func(t *testing.T, r *rudder, q *memQueue) {
		r.set(with(reply{status: 500}, "e-3"))
		q.put(events("e", 10)...)
		b := start(t, q, r, nil)
		b.trickle(60, time.Second)
		require.Positive(t, q.loads)
		b.mu.Lock()
		for _, h := range b.held {
			for _, e := range h.record.Events {
				require.Nil(t, e.Raw)
			}
		}
		b.mu.Unlock()
		q.mu.Lock()
		q.records[0].fates[3] = queue.Delivered // by that bridge
		q.mu.Unlock()
		pass(10 * time.Minute)
		require.Zero(t, b.State().Parked)
		b.mu.Lock()
		require.Empty(t, b.held)
		require.Zero(t, b.main.events)
		b.mu.Unlock()
		b.stop()
		require.NoError(t, <-b.ended)
	})
}

func TestRetryAfterIsHonouredToFiveMinutes(t *testing.T) {
	for status, header := range map[int]string{429: "31536000", 503: "301"} {
		bubble(t, header, func(t *testing.T, r *rudder, q *memQueue) {
			r.set(answers(reply{status: status, header: http.Header{"Retry-After": {header}}}))
			q.put(events("e", 1)...)
			b := start(t, q, r, nil)
			synctest.Wait()
			require.Equal(t, 5*time.Minute, time.Until(b.State().NextTry))
			q.put(events("late", 1)...)
			b.settledWithin(t, 10*time.Minute)
			require.Equal(t, 5*time.Minute, r.all()[1].at.Sub(r.all()[0].at), "nothing is sent before")
		})
	}
}

func TestResumeTriesAtOnce(t *testing.T) {
	hour := http.Header{"Retry-After": {"3600"}}
	for name, answer := range map[string]reply{"paused": {status: 401}, "backing off": {status: 503}, "Retry-After": {status: 429, header: hour}} {
		bubble(t, name, func(t *testing.T, r *rudder, q *memQueue) {
			r.set(always(answer))
			q.fill("e", 4, 1)
			b := start(t, q, r, func(c *Config) { c.BatchEvents, c.Concurrency = 1, 2 })
			time.Sleep(42 * time.Second)
			before := len(r.all())
			b.Resume()
			synctest.Wait()
			require.Len(t, r.all(), before+1, "one request, not one of each worker")
			time.Sleep(time.Second)
			r.set(nil)
			b.Resume()
			pass(time.Second)
			require.Equal(t, 4, q.count(queue.Delivered))
			require.Equal(t, StateOK, b.State().Name)
		})
	}
}

func TestRequestsASecondAreBounded(t *testing.T) {
	for _, rate := range []float64{0.1, 1, 20, 500} {
		bubble(t, fmt.Sprint(rate), func(t *testing.T, r *rudder, q *memQueue) {
			bad := with(reply{status: 413, body: "request size exceeds max limit"}, "r3-4", "r9-0") // halves count
			r.set(func(p posted) reply {
				a := bad(p)
				a.after = 3 * time.Millisecond
				return a
			})
			q.fill("r", 100, 5)
			b := start(t, q, r, func(c *Config) { c.RequestsPerSecond, c.BatchEvents = rate, 5 })
			b.settledWithin(t, time.Hour)
			posts := r.all()
			window := time.Duration(10 / rate * float64(time.Second))
			most := 0
			for i := range posts {
				n := slices.IndexFunc(posts[i:], func(p posted) bool { return p.at.Sub(posts[i].at) >= window })
				most = max(most, n)
			}
			require.LessOrEqual(t, most, 10+1+int(rate*slack.Seconds()))
		})
	}
}

// A destination that takes requests and never answers holds no more than its own
// workers' events, and another sender goes on.
func TestHungDestinationDoesNotSlowAnother(t *testing.T) {
	bubble(t, "", func(t *testing.T, _ *rudder, _ *memQueue) {
		stuck, well := &rudder{}, &rudder{}
		stuck.set(always(reply{hang: true}))
		stuckQueue, wellQueue := newMemQueue(), newMemQueue()
		stuckQueue.fill("e", 100, 100)
		wellQueue.fill("e", 100, 100)
		a := start(t, stuckQueue, stuck, nil)
		b := start(t, wellQueue, well, nil)
		b.settledWithin(t, time.Second)
		require.Equal(t, 10_000, stuckQueue.count(queue.Pending))
		require.LessOrEqual(t, stuck.most.events, 4*1000)
		a.finish(t)
	})
}
