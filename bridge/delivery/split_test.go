package delivery

import (
	"fmt"
	"io"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// mostPosts is the promise: requests for k refused events among n.
func mostPosts(n, k int) int {
	log := bits.Len(uint(n - 1)) // ⌈log₂ n⌉
	return min(2*n-1, 2*k*(log+1)+1)
}

func TestIsolationFindsExactlyTheBadWithFewRequests(t *testing.T) {
	for _, mode := range []Mode{Events, Webhook} {
		isolateAll(t, mode)
	}
}

func isolateAll(t *testing.T, mode Mode) {
	for _, status := range []int{400, 413} {
		for _, n := range []int{1, 2, 3, 100, 101, 1000} {
			for _, k := range []int{0, 1, 2, 3, 50, 100} {
				if k > n {
					continue
				}
				t.Run(fmt.Sprintf("%s/%d/%d of %d", mode, status, k, n), func(t *testing.T) {
					for seed := range uint64(3) {
						isolate(t, mode, status, n, rand.New(rand.NewPCG(seed, uint64(n*1000+k))).Perm(n)[:k])
					}
				})
			}
		}
	}
}

func isolate(t *testing.T, mode Mode, status, n int, bad []int) {
	synctest.Test(t, func(t *testing.T) {
		r, q := &rudder{}, newMemQueue()
		var ids []string
		for _, i := range bad {
			ids = append(ids, fmt.Sprintf("e-%d", i))
		}
		r.set(refusing(status, "no", ids...))
		q.put(whole("e", n)...)
		b := start(t, q, r, func(c *Config) { c.Mode = mode })
		b.settledWithin(t, time.Minute)

		require.Equal(t, n-len(bad), q.count(queue.Delivered))
		var dead []int
		for _, d := range q.dead {
			dead = append(dead, d.Index)
		}
		require.ElementsMatch(t, bad, dead)
		require.LessOrEqual(t, len(r.all()), mostPosts(n, len(bad)))
		sent := map[string]int{}
		for _, p := range r.all() {
			if refused := slices.ContainsFunc(p.ids, func(id string) bool { return slices.Contains(ids, id) }); !refused {
				for _, id := range p.ids {
					sent[id]++
				}
			}
		}
		require.Len(t, sent, n-len(bad))
		for id, times := range sent {
			require.Equal(t, 1, times, "%s was taken more than once", id)
		}
		b.finish(t)
	})
}

func TestIsolationAcrossRecordsKeepsThemApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, q := &rudder{}, newMemQueue()
		r.set(refusing(400, "no", "b-1", "c-0"))
		q.put(events("a", 3)...)
		q.put(events("b", 3)...)
		q.put(events("c", 3)...)
		b := start(t, q, r, nil)
		b.settledWithin(t, time.Minute)
		require.Len(t, r.all()[0].ids, 9, "one POST over three records")
		var dead [][2]int
		for _, d := range q.dead {
			dead = append(dead, [2]int{int(d.Seq), d.Index})
		}
		require.ElementsMatch(t, [][2]int{{2, 1}, {3, 0}}, dead)
		require.Equal(t, 7, q.count(queue.Delivered))
		b.finish(t)
	})
}

func TestEachHalfIsStoredBeforeTheNextIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, q := &rudder{}, newMemQueue()
		bad := refusing(400, "no", "e-6")
		taken := 0
		r.set(func(p posted) reply {
			require.Equal(t, taken, q.count(queue.Delivered)+q.count(queue.Dead), "POST %d", p.n)
			a := bad(p)
			if a.status == 0 || len(p.ids) == 1 {
				taken += len(p.ids)
			}
			return a
		})
		q.put(events("e", 8)...)
		b := start(t, q, r, nil)
		b.settledWithin(t, time.Minute)
		require.Equal(t, 7, q.count(queue.Delivered))
		b.finish(t)
	})
}

// What can happen in the midst of halving; the half that it meets is sent
// again, and nothing that has an outcome is.
func TestHalvingGoesOnWhereItWas(t *testing.T) {
	for name, trouble := range map[string]struct {
		reply reply
		state string
	}{
		"503":          {reply{status: 503}, StateBackingOff},
		"429":          {reply{status: 429}, StateBackingOff},
		"empty answer": {reply{err: io.EOF}, StateBackingOff},
		"time-out":     {reply{hang: true}, StateBackingOff},
		"401":          {reply{status: 401}, StatePaused},
		"302":          {reply{status: 302}, StatePaused},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, q := &rudder{}, newMemQueue()
				bad := refusing(400, "no", "e-6")
				r.set(func(p posted) reply {
					if p.n >= 2 && p.n < 7 { // after the first half went well
						return trouble.reply
					}
					return bad(p)
				})
				q.put(events("e", 8)...)
				b := start(t, q, r, nil)
				time.Sleep(100 * time.Millisecond)
				if !trouble.reply.hang {
					require.Equal(t, trouble.state, b.State().Name)
				}
				require.Equal(t, 4, q.count(queue.Delivered))
				b.settledWithin(t, 10*time.Minute)
				for _, p := range r.all()[2:8] {
					require.Equal(t, []string{"e-4", "e-5", "e-6", "e-7"}, p.ids)
				}
				require.Equal(t, 7, q.count(queue.Delivered))
				require.Len(t, q.dead, 1)
				require.Equal(t, 9, q.dead[0].Attempts, "all that it was in, those in trouble too")
				b.finish(t)
			})
		})
	}
}

func TestStoppedInTheMidstOfHalvingKeepsWhatIsSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, q := &rudder{}, newMemQueue()
		bad := refusing(400, "no", "e-6")
		r.set(func(p posted) reply {
			a := bad(p)
			a.after = time.Second
			return a
		})
		q.put(events("e", 8)...)
		b := start(t, q, r, nil)
		time.Sleep(2500 * time.Millisecond) // the second half is on its way
		b.finish(t)
		require.Equal(t, 4, q.count(queue.Delivered))
		require.Equal(t, 4, q.count(queue.Pending), "the rest was given back")
		require.Len(t, r.all(), 3, "nothing more was sent")
	})
}
