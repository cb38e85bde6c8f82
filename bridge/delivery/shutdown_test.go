package delivery

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

func TestStopLetsThePostInFlightFinishAndSendsNoMore(t *testing.T) {
	bubble(t, "", func(t *testing.T, r *rudder, q *memQueue) {
		r.set(always(reply{after: 5 * time.Second}))
		for range 3 {
			q.put(events("e", 2)...)
		}
		b := start(t, q, r, func(c *Config) { c.Concurrency, c.BatchEvents = 1, 2 })
		time.Sleep(time.Second)
		require.Equal(t, 4*time.Second, b.finish(t))
		require.Len(t, r.all(), 1)
		require.Equal(t, 2, q.count(queue.Delivered))
		require.Equal(t, 4, q.count(queue.Pending))
	})
}

func TestStopCutsOffWhatHangsAfterTheGrace(t *testing.T) {
	for name, test := range map[string]struct{ grace, want time.Duration }{
		"three seconds": {3 * time.Second, 3 * time.Second}, "none": {0, 0},
	} {
		bubble(t, name, func(t *testing.T, r *rudder, q *memQueue) {
			r.set(always(reply{hang: true}))
			q.put(events("e", 2)...)
			b := start(t, q, r, func(c *Config) { c.Grace = test.grace })
			time.Sleep(time.Second)
			require.Equal(t, test.want, b.finish(t))
			require.Equal(t, 2, q.count(queue.Pending), "the outcome is not known")
			require.Empty(t, b.seen.posts)
		})
	}
}

func TestStopWhileWaitingIsAtOnce(t *testing.T) {
	for name, bad := range map[string]reply{"backing off": {status: 503}, "paused": {status: 401}} {
		bubble(t, name, func(t *testing.T, r *rudder, q *memQueue) {
			r.set(always(bad))
			for range 10 {
				q.put(events("e", 2)...)
			}
			b := start(t, q, r, nil)
			time.Sleep(time.Hour)
			require.Zero(t, b.finish(t))
			require.Equal(t, 20, q.count(queue.Pending))
		})
	}
}

func TestOneRunAtATime(t *testing.T) {
	bubble(t, "", func(t *testing.T, _ *rudder, _ *memQueue) {
		b := start(t, newMemQueue(), &rudder{}, nil)
		synctest.Wait()
		require.ErrorContains(t, b.Run(t.Context()), "running already")
	})
}

// The probe that a stop cuts off must not stay the only one for ever.
func TestRunAgainAfterAProbeWasCutOff(t *testing.T) {
	bubble(t, "", func(t *testing.T, r *rudder, q *memQueue) {
		r.set(func(p posted) reply {
			if p.n == 0 {
				return reply{status: 401}
			}
			return reply{hang: true}
		})
		q.put(events("e", 2)...)
		b := start(t, q, r, nil)
		time.Sleep(2 * time.Second)
		b.finish(t)
		require.Len(t, r.all(), 2)

		r.set(nil)
		b.run(t)
		b.settledWithin(t, 30*time.Second)
	})
}
