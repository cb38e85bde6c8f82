package delivery

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// One test for each row of the table of answers, each status of the row in it.

func TestAnswer2XXIsDelivered(t *testing.T) {
	for _, status := range []int{200, 201, 202, 204, 299} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, q := &rudder{}, newMemQueue()
				r.set(always(reply{status: status}))
				q.put(events("e", 3)...)
				b := start(t, q, r, nil)
				b.settledWithin(t, time.Second)
				require.Equal(t, 3, q.count(queue.Delivered))
				require.Len(t, r.all(), 1)
				require.Equal(t, StateOK, b.State().Name)
				b.finish(t)
			})
		})
	}
}

// transient are the answers after which the same events are sent again.
func transient() map[string]reply {
	cases := map[string]reply{
		"time-out":      {hang: true},
		"no connection": {err: errors.New("dial tcp: connection refused")},
		"empty answer":  {err: io.EOF},
	}
	for _, status := range []int{429, 500, 501, 502, 503, 504, 511, 599} {
		cases[fmt.Sprint(status)] = reply{status: status, body: "not now"}
	}
	for _, status := range []int{100, 101, 199, 402, 405, 406, 408, 409, 410, 411, 415, 418, 422, 451, 499, 600, 999} {
		cases[fmt.Sprintf("unnamed %d", status)] = reply{status: status}
	}
	return cases
}

func TestAnswerTransientBacksOffAndNeverGivesUp(t *testing.T) {
	for name, bad := range transient() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, q := &rudder{}, newMemQueue()
				r.set(always(bad))
				q.put(events("e", 3)...)
				b := start(t, q, r, func(c *Config) { c.Timeout = 100 * time.Millisecond })

				time.Sleep(time.Hour) // of the bubble
				synctest.Wait()
				require.Equal(t, 3, q.count(queue.Pending), "nothing given up, nothing dead")
				require.Equal(t, StateBackingOff, b.State().Name)
				require.NotEmpty(t, b.State().LastError)
				require.Equal(t, doubling(), gaps(r.all())[:8])
				require.Equal(t, []string{StateBackingOff}, b.seen.names())

				r.set(nil)
				b.settledWithin(t, 30*time.Second)
				require.Equal(t, 3, q.count(queue.Delivered))
				require.Equal(t, State{Name: StateOK, Since: b.State().Since}, b.State())
				b.finish(t)
			})
		})
	}
}

// doubling are the waits between the first nine tries with the default
// settings and the whole of the jitter.
func doubling() []time.Duration {
	return []time.Duration{
		500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second,
		8 * time.Second, 16 * time.Second, 25 * time.Second, 25 * time.Second,
	}
}

func gaps(posts []posted) []time.Duration {
	var list []time.Duration
	for i := 1; i < len(posts); i++ {
		list = append(list, posts[i].at.Sub(posts[i-1].at))
	}
	return list
}

func TestAnswer401403404And3XXPause(t *testing.T) {
	for _, status := range []int{300, 301, 302, 303, 304, 307, 308, 399, 401, 403, 404} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, q := &rudder{}, newMemQueue()
				location := http.Header{"Location": {"http://elsewhere.test/v1/batch"}}
				r.set(always(reply{status: status, body: "invalid write key\n", header: location}))
				q.put(events("old", 3)...)
				b := start(t, q, r, nil)
				synctest.Wait()
				q.put(events("new", 3)...)

				time.Sleep(time.Hour) // of the bubble
				synctest.Wait()
				require.Equal(t, 6, q.count(queue.Pending), "nothing lost")
				state := b.State()
				require.Equal(t, StatePaused, state.Name)
				require.Equal(t, fmt.Sprintf("%d invalid write key", status), state.LastError)
				require.False(t, state.NextTry.IsZero())
				for i, gap := range gaps(r.all()) {
					require.LessOrEqual(t, gap, 30*time.Second)
					require.Equal(t, []string{"old-0", "old-1", "old-2"}, r.all()[i].ids, "the oldest is the probe")
					require.Equal(t, "http://rudder.test/v1/batch", r.all()[i].url, "no redirect is followed")
				}

				r.set(nil)
				b.settledWithin(t, 30*time.Second)
				require.Equal(t, 6, q.count(queue.Delivered))
				require.Equal(t, []string{StatePaused, StateOK}, b.seen.names())
				b.finish(t)
			})
		})
	}
}

func TestAnswer413HalvesUntilItFits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, q := &rudder{}, newMemQueue()
		r.set(func(p posted) reply {
			if len(p.ids) > 10 {
				return reply{status: 413, body: "request size exceeds max limit\n"}
			}
			return reply{}
		})
		q.put(events("e", 100)...)
		b := start(t, q, r, nil)
		b.settledWithin(t, time.Minute)
		require.Equal(t, 100, q.count(queue.Delivered))
		require.Equal(t, StateOK, b.State().Name)
		require.Zero(t, b.queue.count(queue.Dead))
		b.finish(t)
	})
}

func TestAnswer413ToOneEventIsDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, q := &rudder{}, newMemQueue()
		r.set(refusing(413, "request size exceeds max limit\n", "e-5"))
		q.put(events("e", 8)...)
		b := start(t, q, r, nil)
		b.settledWithin(t, time.Minute)
		require.Equal(t, []queue.DeadEvent{{
			Seq: 1, Index: 5, Reason: "too_large", Status: 413, Answer: "request size exceeds max limit", Attempts: 4,
		}}, q.dead)
		require.Equal(t, 7, q.count(queue.Delivered))
		b.finish(t)
	})
}

func TestAnswer400ToOneEventIsDeadWithTheWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, q := &rudder{}, newMemQueue()
		r.set(refusing(400, "request neither has anonymousId nor userId\n", "e-0"))
		q.put(events("e", 4)...)
		b := start(t, q, r, nil)
		b.settledWithin(t, time.Minute)
		require.Equal(t, []queue.DeadEvent{{
			Seq: 1, Index: 0, Reason: "refused", Status: 400,
			Answer: "request neither has anonymousId nor userId", Attempts: 3,
		}}, q.dead)
		require.Equal(t, 3, q.count(queue.Delivered))
		require.Equal(t, StateOK, b.State().Name)
		b.finish(t)
	})
}

// refusing answers a POST that holds one of the events with status.
func refusing(status int, body string, ids ...string) func(posted) reply {
	bad := map[string]bool{}
	for _, id := range ids {
		bad[id] = true
	}
	return func(p posted) reply {
		for _, id := range p.ids {
			if bad[id] {
				return reply{status: status, body: body}
			}
		}
		return reply{}
	}
}
