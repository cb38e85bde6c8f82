package delivery

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// mostWithin is the largest number of POSTs that began within a time.
func mostWithin(posts []posted, d time.Duration) int {
	most := 0
	for i := range posts {
		n := 0
		for _, p := range posts[i:] {
			if p.at.Sub(posts[i].at) < d {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

func TestRequestsASecondAreBounded(t *testing.T) {
	for _, rate := range []float64{0.1, 1, 20, 500} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, q := &rudder{}, newMemQueue()
				bad := refusing(400, "no", "r3-4", "r9-0") // halves count
				r.set(func(p posted) reply {
					a := bad(p)
					a.after = 3 * time.Millisecond
					return a
				})
				for i := range 100 {
					q.put(events(fmt.Sprint("r", i), 5)...)
				}
				b := start(t, q, r, func(c *Config) { c.RequestsPerSecond, c.MaxEvents = rate, 5 })
				b.settledWithin(t, time.Hour)
				posts := r.all()
				window := time.Duration(10 / rate * float64(time.Second))
				require.LessOrEqual(t, mostWithin(posts, window), 10+1+int(rate*slack.Seconds()))
				took := posts[len(posts)-1].at.Sub(posts[0].at).Seconds()
				require.InDelta(t, float64(len(posts)-1)/rate, took, 0.1*took+0.06, "and not slower than that")
				b.finish(t)
			})
		})
	}
}

func TestProbesCountAsRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, q := &rudder{}, newMemQueue()
		r.set(always(reply{status: 503}))
		q.put(events("e", 1)...)
		b := start(t, q, r, func(c *Config) {
			c.RequestsPerSecond = 1
			c.MinBackoff, c.MaxBackoff = time.Millisecond, time.Millisecond
		})
		time.Sleep(time.Minute)
		require.InDelta(t, 60, len(r.all()), 5)
		b.finish(t)
	})
}

func TestWaitingForTheRateEndsWithRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, q := &rudder{}, newMemQueue()
		for range 3 {
			q.put(events("e", 1)...)
		}
		b := start(t, q, r, func(c *Config) { c.RequestsPerSecond, c.MaxEvents = 0.001, 1 })
		time.Sleep(time.Minute)
		stopped := time.Now()
		b.finish(t)
		require.Zero(t, time.Since(stopped))
		require.Len(t, r.all(), 1)
	})
}

func TestEveryWorkerGetsItsTurn(t *testing.T) {
	p := pacer{pacing: testPacing()}
	g := &gate{pacer: p, waiting: make([]contender, 4), granted: make([]chan ticket, 4)}
	for i := range 4 {
		g.waiting[i].seq = uint64(i)
	}
	g.remove(0)
	require.Equal(t, []uint64{1, 2, 3}, []uint64{g.waiting[0].seq, g.waiting[1].seq, g.waiting[2].seq}, "the first that came is next")
}

func TestResumeTriesAtOnce(t *testing.T) {
	hour := http.Header{"Retry-After": {"3600"}}
	for name, test := range map[string]struct {
		answer reply
		wait   time.Duration // before the operator speaks
	}{
		"paused":                      {reply{status: 401}, time.Second},
		"backing off":                 {reply{status: 503}, 42 * time.Second},
		"backing off, breaker closed": {reply{status: 503}, 100 * time.Millisecond},
		"Retry-After":                 {reply{status: 429, header: hour}, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, q := &rudder{}, newMemQueue()
				r.set(always(test.answer))
				for i := range 4 {
					q.put(events(fmt.Sprint(i), 1)...)
				}
				b := start(t, q, r, func(c *Config) { c.MaxEvents, c.Concurrency = 1, 2 })
				time.Sleep(test.wait)
				r.set(nil)
				synctest.Wait()
				require.Zero(t, q.count(queue.Delivered))
				b.Resume()
				synctest.Wait()
				require.Equal(t, 4, q.count(queue.Delivered), "without any more time")
				require.Equal(t, StateOK, b.State().Name)
				b.finish(t)
			})
		})
	}
}

func TestResumeOfWhatIsStillBrokenGoesOnAsBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, q := &rudder{}, newMemQueue()
		r.set(always(reply{status: 401}))
		for i := range 4 {
			q.put(events(fmt.Sprint(i), 1)...)
		}
		b := start(t, q, r, onePerPost)
		time.Sleep(time.Second)
		before := len(r.all())
		b.Resume()
		synctest.Wait()
		require.Len(t, r.all(), before+1, "one try, not one of each worker")
		require.Equal(t, StatePaused, b.State().Name)
		require.Equal(t, DefaultProbeInterval, time.Until(b.State().NextTry))
		b.finish(t)
	})
}

func TestResumeAtAnyMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, q := &rudder{}, newMemQueue()
		r.set(answers(reply{status: 429, header: http.Header{"Retry-After": {"3600"}}}))
		q.put(events("e", 1)...)
		b := start(t, q, r, func(c *Config) { c.Concurrency = 1 })
		time.Sleep(time.Second)
		b.finish(t)
		b.Resume() // while it does not run
		b.Resume()
		require.Len(t, r.all(), 1)
		ctx, stop := context.WithCancel(t.Context())
		b.stop = stop
		go func() { b.ended <- b.Run(ctx) }()
		synctest.Wait()
		require.Equal(t, 1, q.count(queue.Delivered), "the next run begins with a try")
		b.Resume() // while all is well
		q.put(events("f", 1)...)
		synctest.Wait()
		require.Equal(t, 2, q.count(queue.Delivered))
		b.finish(t)
	})
}
