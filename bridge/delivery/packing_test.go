package delivery

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// canGzip is RudderStack's own answer to GET /version.
func canGzip() reply {
	return reply{status: 200, body: `{"BuildBy":"x","Features":["gzip-req-payload"],"Version":"1.83.0"}`}
}

// fat makes n events that are worth packing.
func fat(prefix string, n int) []string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`{"id":"%s-%d","event_type":"t","user":{"user_id":"u"},"pad":%q}`,
			prefix, i, strings.Repeat("0123456789", 150)))
	}
	return list
}

// packs runs a sender that has asked its destination by the time it returns.
func packs(t *testing.T, r *rudder, change func(*Config)) *testBench {
	t.Helper()
	q := newMemQueue()
	q.put(fat("first", 1)...)
	b := start(t, q, r, change)
	b.settledWithin(t, time.Second)
	return b
}

func TestBodiesArePackedWhereVersionListsIt(t *testing.T) {
	for _, mode := range []Mode{Events, Webhook} {
		t.Run(string(mode), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &rudder{version: canGzip()}
				b := packs(t, r, func(c *Config) { c.Mode, c.URL = mode, "http://rudder.test/data/" })
				require.False(t, r.all()[0].packed, "nobody waits for /version")
				b.queue.put(fat("e", 5)...)
				b.settledWithin(t, time.Second)
				p := r.all()[1]
				require.True(t, p.packed)
				require.Less(t, p.bytes, len(p.body)/10)
				require.Len(t, p.ids, 5)
				require.Equal(t, []bool{true}, b.seen.gzip)
				require.True(t, b.seen.posts[1].Packed)
				require.Equal(t, p.bytes, b.seen.posts[1].Bytes)

				require.Len(t, r.asked, 1)
				require.Equal(t, "http://rudder.test/data/version", r.asked[0].URL.String())
				require.NotContains(t, fmt.Sprint(r.asked[0].Header, r.asked[0].URL), "wk-secret")
				require.Empty(t, r.asked[0].Header.Get("Authorization"))

				b.queue.put(events("small", 5)...)
				b.queue.put(fat("alone", 1)...)
				b.settledWithin(t, time.Second)
				b.finish(t)
			})
		})
	}
}

func TestSmallBodiesAndSingleEventsAreNotPacked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rudder{version: canGzip()}
		b := packs(t, r, nil)
		b.queue.put(events("small", 5)...)
		b.settledWithin(t, time.Second)
		b.queue.put(fat("alone", 1)...)
		b.settledWithin(t, time.Second)
		require.Len(t, r.all(), 3)
		for _, p := range r.all() {
			require.False(t, p.packed)
		}
		b.finish(t)
	})
}

func TestBodiesAreNotPackedUnlessVersionListsIt(t *testing.T) {
	for name, version := range map[string]reply{
		"not there":         {status: 404, body: "404 page not found\n"},
		"without features":  {status: 200, body: `{"Version":"1.2.3"}`},
		"another feature":   {status: 200, body: `{"Features":["gzip"]}`},
		"no JSON":           {status: 200, body: "gzip-req-payload"},
		"no answer":         {err: errors.New("connection refused")},
		"hangs":             {hang: true},
		"listed, but a 500": {status: 500, body: canGzip().body},
		"redirect":          {status: 302, header: http.Header{"Location": {"/elsewhere"}}},
		"too long":          {status: 200, body: `{"x":"` + strings.Repeat("x", maxVersion) + `","Features":["gzip-req-payload"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &rudder{version: version}
				b := packs(t, r, nil)
				for i := range 5 {
					b.queue.put(fat(fmt.Sprint(i), 5)...)
					b.settledWithin(t, time.Second) // it holds up nothing
					time.Sleep(time.Minute)
				}
				for _, p := range r.all() {
					require.False(t, p.packed)
				}
				require.Len(t, r.asked, 1)
				require.Empty(t, b.seen.names(), "that is no trouble of the destination")
				b.finish(t)
			})
		})
	}
}

func TestGzipOffNeverAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rudder{version: canGzip()}
		b := packs(t, r, func(c *Config) { c.Gzip = GzipOff })
		b.queue.put(fat("e", 5)...)
		b.settledWithin(t, time.Second)
		require.False(t, r.all()[1].packed)
		require.Empty(t, r.asked)
		b.finish(t)
	})
}

func TestVersionIsAskedAboutHourly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rudder{version: canGzip()}
		b := packs(t, r, nil)
		r.version = reply{status: 404}
		for i := range 66 {
			b.queue.put(fat(fmt.Sprint(i), 2)...)
			b.settledWithin(t, time.Second)
			time.Sleep(time.Minute)
		}
		require.Len(t, r.asked, 1)
		require.True(t, r.all()[66].packed)
		for i := range 2 {
			b.queue.put(fat(fmt.Sprint("late", i), 2)...)
			b.settledWithin(t, time.Second)
		}
		require.Len(t, r.asked, 2)
		require.False(t, r.all()[68].packed, "it cannot any more")
		b.finish(t)
	})
}

func TestVersionIsAskedAgainAfterTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rudder{version: canGzip()}
		b := packs(t, r, nil)
		r.set(always(reply{status: 503}))
		b.queue.put(fat("e", 5)...)
		time.Sleep(time.Minute)
		require.Len(t, r.asked, 1, "not while it is in trouble")
		require.True(t, r.all()[1].packed)
		require.False(t, r.all()[2].packed)
		r.set(nil)
		b.settledWithin(t, 30*time.Second)
		for i := range 2 {
			b.queue.put(fat(fmt.Sprint("late", i), 5)...)
			b.settledWithin(t, time.Second)
		}
		require.Len(t, r.asked, 2)
		all := r.all()
		require.False(t, all[len(all)-2].packed, "another version may have come back")
		require.True(t, all[len(all)-1].packed)
		require.Equal(t, []bool{true, false, true}, b.seen.gzip)
		b.finish(t)
	})
}

// A destination that says that it unpacks, and does not.
func TestLyingAboutGzipHarmsNoEvent(t *testing.T) {
	for name, test := range map[string]struct {
		answer reply
		posts  int // for a batch of good events, at the first of them
	}{
		"400": {reply{status: 400, body: "invalid json\n"}, 3},
		"415": {reply{status: 415}, 2},
		"500": {reply{status: 500, body: "failed to read body from request\n"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &rudder{version: canGzip()}
				b := packs(t, r, nil)
				r.set(func(p posted) reply {
					if p.packed {
						return test.answer
					}
					return reply{}
				})
				b.queue.put(fat("e", 100)...)
				b.settledWithin(t, time.Second)
				require.Len(t, r.all(), 1+test.posts)
				require.Empty(t, b.queue.dead)
				require.Empty(t, b.seen.names(), "that is no trouble of the destination")
				for i := range 40 {
					b.queue.put(fat(fmt.Sprint(i), 100)...)
					b.settledWithin(t, time.Second)
					time.Sleep(time.Minute)
				}
				require.Len(t, r.all(), 1+test.posts+40, "it is not believed again")
				require.Equal(t, []bool{true, false}, b.seen.gzip)
				require.Equal(t, 4101, b.queue.count(queue.Delivered))
				b.finish(t)
			})
		})
	}
}

// A destination that cannot unpack and has nothing to say but no.
func TestLyingAboutGzipWithoutAWordMakesProgress(t *testing.T) {
	for _, status := range []int{0, 502, 404, 413} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &rudder{version: canGzip()}
				b := packs(t, r, nil)
				r.set(func(p posted) reply {
					switch {
					case p.packed && status == 0:
						return reply{err: errors.New("connection reset by peer")}
					case p.packed:
						return reply{status: status}
					}
					return reply{}
				})
				for i := range 20 {
					b.queue.put(fat(fmt.Sprint(i), 10)...)
					b.settledWithin(t, 30*time.Second)
				}
				require.Empty(t, b.queue.dead)
				b.finish(t)
			})
		})
	}
}

// Isolation costs no request more when bodies are packed, and no event dies of
// an answer to a packed one.
func TestIsolationIsAsCheapWithPackedBodies(t *testing.T) {
	for _, mode := range []Mode{Events, Webhook} {
		for _, status := range []int{400, 413} {
			for _, k := range []int{0, 1, 3, 50, 100} {
				t.Run(fmt.Sprint(mode, status, k), func(t *testing.T) {
					bad := rand.New(rand.NewPCG(uint64(k), 7)).Perm(100)[:k]
					isolatePacked(t, mode, status, bad)
				})
			}
		}
	}
}

func isolatePacked(t *testing.T, mode Mode, status int, bad []int) {
	synctest.Test(t, func(t *testing.T) {
		r := &rudder{version: canGzip()}
		b := packs(t, r, func(c *Config) { c.Mode = mode })
		var ids []string
		for _, i := range bad {
			ids = append(ids, fmt.Sprintf("e-%d", i))
		}
		r.set(refusing(status, "no", ids...))
		b.queue.put(fat("e", 100)...)
		b.settledWithin(t, time.Minute)
		posts := r.all()[1:]
		require.True(t, posts[0].packed)
		require.LessOrEqual(t, len(posts), mostPosts(100, len(bad)))
		var dead []int
		for _, d := range b.queue.dead {
			dead = append(dead, d.Index)
		}
		require.ElementsMatch(t, bad, dead)
		require.Equal(t, 101-len(bad), b.queue.count(queue.Delivered))
		for _, p := range posts {
			require.False(t, p.packed && len(p.ids) == 1)
		}
		require.Equal(t, []bool{true}, b.seen.gzip, "that says nothing against packing")
		b.finish(t)
	})
}

func TestPackedBodyThatIsNoSmallerIsNotUsed(t *testing.T) {
	random := rand.NewChaCha8([32]byte{})
	noise := make([]byte, 10_000)
	_, _ = random.Read(noise)
	var p packer
	require.Nil(t, p.pack(noise))
	require.NotNil(t, p.pack(slices.Repeat([]byte("x"), 10_000)))
	require.Nil(t, p.pack(slices.Repeat([]byte("x"), packFrom-1)))
	p.drop(1)
	require.Zero(t, p.packed.Cap())
	require.NotNil(t, p.pack(slices.Repeat([]byte("x"), 10_000)), "it can be used again")
}

// BenchmarkPacking measures what packing costs for an event of 1 KB in a POST of
// 1000, and what it saves. ns/op is for one event.
func BenchmarkPacking(b *testing.B) {
	var body []byte
	for i := range 1000 {
		body = append(body, kilobyte(i*7919)...)
	}
	var p packer
	packed := p.pack(body)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N / 1000 {
		packed = p.pack(body)
	}
	b.ReportMetric(float64(len(packed))/float64(len(body)), "size/plain")
}
