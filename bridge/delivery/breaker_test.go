package delivery

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// onePerPost makes each record a POST of its own.
func onePerPost(c *Config) { c.MaxEvents = 1 }

func TestBreakerProbesOneAtATimeThenAllResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, q := &rudder{}, newMemQueue()
		r.set(func(p posted) reply {
			return reply{status: 503, after: time.Duration(100+p.n) * time.Millisecond}
		})
		for i := range 50 {
			q.put(events(fmt.Sprint("r", i), 1)...)
		}
		b := start(t, q, r, onePerPost)
		time.Sleep(time.Hour)
		synctest.Wait()

		posts := r.all()
		// Of the four under way the third to fail opens the breaker; from then
		// on no two tries overlap.
		require.Equal(t, "r0-0", posts[4].ids[0], "the first probe is the oldest")
		for i := 5; i < len(posts); i++ {
			took := time.Duration(100+posts[i-1].n) * time.Millisecond
			require.GreaterOrEqual(t, posts[i].at.Sub(posts[i-1].at), took, "POST %d overlaps", i)
		}
		tried := map[string]bool{}
		for _, p := range posts {
			tried[p.ids[0]] = true
		}
		require.Len(t, tried, 4, "only as many batches are held as there are workers")

		r.mu.Lock()
		r.most = 0
		r.mu.Unlock()
		r.set(always(reply{after: time.Second}))
		back := time.Now()
		b.settledWithin(t, time.Hour)
		after := r.all()[len(posts):]
		require.LessOrEqual(t, after[0].at.Sub(back), 26*time.Second)
		require.Equal(t, 4, r.most, "all workers are at work again")
		for _, p := range after[1:5] {
			require.LessOrEqual(t, p.at.Sub(after[0].at), 2*time.Second, "they resume at once")
		}
		require.Equal(t, 50, q.count(queue.Delivered))
		b.finish(t)
	})
}

func TestOneBadBatchDoesNotHoldUpTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, q := &rudder{}, newMemQueue()
		r.set(refusing(500, "cannot", "r0-0"))
		b := start(t, q, r, onePerPost)
		for i := range 200 {
			q.put(events(fmt.Sprint("r", i), 1)...)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		require.Equal(t, 1, q.count(queue.Pending), "all but the bad one are delivered")
		q.put(events("last", 1)...)
		time.Sleep(30 * time.Second)
		require.Equal(t, 200, q.count(queue.Delivered))
		b.finish(t)
	})
}

func TestABadOldestBatchIsNotTheOnlyProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, q := &rudder{}, newMemQueue()
		r.set(always(reply{status: 503}))
		for i := range 4 {
			q.put(events(fmt.Sprint("r", i), 1)...)
		}
		b := start(t, q, r, onePerPost)
		time.Sleep(time.Minute)
		r.set(refusing(500, "cannot", "r0-0"))
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, 3, q.count(queue.Delivered))
		b.finish(t)
	})
}

func TestResumesWithin30SecondsWhateverTheJitterAndTheOutage(t *testing.T) {
	for name, down := range map[string]reply{
		"refuses": {status: 503}, "hangs": {hang: true}, "slow to fail": {status: 504, after: 20 * time.Second},
		"wrong key": {status: 401}, "wrong key, slowly": {status: 401, after: 20 * time.Second},
	} {
		for _, outage := range []time.Duration{time.Second, 17 * time.Second, 61 * time.Second, 26 * time.Minute, 26*time.Minute + 11*time.Second} {
			t.Run(fmt.Sprint(name, outage), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r, q := &rudder{}, newMemQueue()
					r.set(always(down))
					for i := range 8 {
						q.put(events(fmt.Sprint("r", i), 1)...)
					}
					b := start(t, q, r, onePerPost)
					time.Sleep(outage)
					r.set(nil) // what hangs by then hangs on
					b.settledWithin(t, 30*time.Second)
					b.finish(t)
				})
			})
		}
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	for name, header := range map[string]func() string{
		"seconds":   func() string { return "90" },
		"HTTP-date": func() string { return time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat) },
	} {
		for _, status := range []int{429, 503, 408} {
			t.Run(fmt.Sprint(name, " ", status), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r, q := &rudder{}, newMemQueue()
					r.set(answers(reply{status: status, header: http.Header{"Retry-After": {header()}}}))
					q.put(events("e", 1)...)
					b := start(t, q, r, nil)
					synctest.Wait()
					q.put(events("late", 1)...)
					b.settledWithin(t, 2*time.Minute)
					posts := r.all()
					require.Len(t, posts, 3)
					require.Equal(t, 90*time.Second, posts[1].at.Sub(posts[0].at), "nobody sends before")
					require.Equal(t, "e-0", posts[1].ids[0])
					b.finish(t)
				})
			})
		}
	}
}

func TestRetryAfterIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, q := &rudder{}, newMemQueue()
		year := strconv.Itoa(365 * 24 * 3600)
		r.set(answers(reply{status: 429, header: http.Header{"Retry-After": {year}}}))
		q.put(events("e", 1)...)
		b := start(t, q, r, nil)
		time.Sleep(time.Minute)
		require.Equal(t, 59*time.Minute, time.Until(b.State().NextTry))
		b.settledWithin(t, time.Hour)
		b.finish(t)
	})
}

func TestRetryAfterDoesNotDelayTheProbeOfAPausedDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, q := &rudder{}, newMemQueue()
		r.set(always(reply{status: 403, header: http.Header{"Retry-After": {"3600"}}}))
		q.put(events("e", 1)...)
		b := start(t, q, r, nil)
		time.Sleep(5 * time.Minute)
		require.Equal(t, slices.Repeat([]time.Duration{15 * time.Second}, 19), gaps(r.all())[:19])
		b.finish(t)
	})
}

func TestGateLetsTheNextInWhenOneLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{pacer: pacer{pacing: testPacing(), open: true, next: time.Now().Add(time.Second)}}
		ctx, cancel := context.WithCancel(t.Context())
		gone := enterGate(ctx, g, 1)
		entered := enterGate(t.Context(), g, 2)
		synctest.Wait()
		cancel()
		require.ErrorIs(t, (<-gone).err, context.Canceled)
		require.True(t, (<-entered).pass.probe)
		_, err := g.enter(ctx, contender{seq: 3})
		require.ErrorIs(t, err, context.Canceled)
		g.close()
	})
}

// Whoever leaves in the very moment in which it is let in takes no ticket along.
func TestGateTakesBackATicketThatCameTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{pacer: pacer{pacing: testPacing(), open: true, next: time.Now().Add(time.Hour)}}
		ctx, cancel := context.WithCancel(t.Context())
		gone := enterGate(ctx, g, 1)
		synctest.Wait()
		g.mu.Lock()
		cancel() // it wakes up for that, and finds the lock taken
		g.pacer.next = time.Now()
		g.dispatch()
		g.mu.Unlock()
		require.ErrorIs(t, (<-gone).err, context.Canceled)
		require.True(t, (<-enterGate(t.Context(), g, 2)).pass.probe)
		g.close()
	})
}

type entry struct {
	pass ticket
	err  error
}

func enterGate(ctx context.Context, g *gate, seq uint64) <-chan entry {
	done := make(chan entry, 1)
	go func() {
		pass, err := g.enter(ctx, contender{seq: seq})
		done <- entry{pass, err}
	}()
	return done
}
