package delivery

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// canGzip is RudderStack's own answer to GET /version.
func canGzip() reply {
	return reply{status: 200, body: `{"BuildBy":"x","Features":["gzip-req-payload"],"Version":"1.83.0"}`}
}

// fat makes n events that are worth compressing.
func fat(prefix string, n int) []string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`{"id":"%s-%d","event_type":"t","user":{"user_id":"u"},"properties":{"pad":%q}}`,
			prefix, i, strings.Repeat("0123456789", 150)))
	}
	return list
}

// compresses runs a sender that has asked its destination by the time it returns.
func compresses(t *testing.T, r *rudder, version reply, change func(*Config)) *testBench {
	r.version = version
	b := start(t, newMemQueue(), r, change)
	b.deliver(t, time.Second, fat("first", 1)...)
	return b
}

func TestBodiesAreCompressedWhereVersionListsIt(t *testing.T) {
	for _, mode := range []string{Events, Webhook} {
		bubble(t, mode, func(t *testing.T, r *rudder, _ *memQueue) {
			b := compresses(t, r, canGzip(), func(c *Config) { c.Mode, c.RudderURL = mode, "http://rudder.test/data/" })
			require.False(t, r.all()[0].compressed, "no request waits for /version")
			b.deliver(t, time.Second, fat("e", 5)...)
			p := r.all()[1]
			require.True(t, p.compressed)
			require.Less(t, p.bytes, len(p.body)/10)
			require.Len(t, p.ids, 5)
			m := b.config.Metrics
			require.EqualValues(t, 1, metric(m.compressing).GetGauge().GetValue())
			require.EqualValues(t, r.all()[0].bytes+p.bytes, metric(m.bytes).GetCounter().GetValue())
			b.deliver(t, time.Second, events("small", 5)...)
			b.deliver(t, time.Second, fat("alone", 1)...)
			require.Len(t, r.all(), 4)
			require.False(t, r.all()[2].compressed || r.all()[3].compressed, "it is not worth it, or could die of the answer")

			require.Len(t, r.questions(), 1)
			require.Equal(t, "http://rudder.test/data/version", r.questions()[0].URL.String())
			require.NotContains(t, fmt.Sprint(r.questions()[0].Header, r.questions()[0].URL), "wk-secret")
			require.Empty(t, r.questions()[0].Header.Get("Authorization"))
		})
	}
}

func TestBodiesAreNotCompressedUnlessVersionListsIt(t *testing.T) {
	const off = "off" // of the setting
	for name, version := range map[string]reply{
		off:                 canGzip(),
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
		bubble(t, name, func(t *testing.T, r *rudder, _ *memQueue) {
			b := compresses(t, r, version, func(c *Config) {
				if name == off {
					c.Gzip = off
				}
			})
			for i := range 5 {
				b.deliver(t, time.Second, fat(fmt.Sprint(i), 5)...) // it delays nothing
				time.Sleep(time.Minute)
			}
			for _, p := range r.all() {
				require.False(t, p.compressed)
			}
			require.Equal(t, name != off, len(r.questions()) > 0)
			require.NotContains(t, b.log.String(), "in trouble")
		})
	}
}

func TestVersionIsAskedAboutHourly(t *testing.T) {
	bubble(t, "", func(t *testing.T, r *rudder, _ *memQueue) {
		b := compresses(t, r, canGzip(), nil)
		r.mu.Lock()
		r.version = reply{status: 404}
		r.mu.Unlock()
		for i := range 60 {
			b.deliver(t, time.Second, fat(fmt.Sprint(i), 2)...)
			time.Sleep(59 * time.Second)
		}
		require.Len(t, r.questions(), 1)
		require.True(t, r.all()[60].compressed)
		pass(2 * time.Minute)
		b.deliver(t, time.Second, fat("late", 2)...)
		require.Len(t, r.questions(), 2)
		require.False(t, r.all()[61].compressed, "it cannot any more")
	})
}

// A destination that says that it takes compressed bodies, and does not. No event
// dies of it, and it is not believed again.
func TestLyingAboutGzipHarmsNoEvent(t *testing.T) {
	for _, test := range refusals(t) {
		if test.answer.hang {
			continue
		}
		bubble(t, test.name, func(t *testing.T, r *rudder, _ *memQueue) {
			b := compresses(t, r, canGzip(), nil)
			r.set(func(p posted) reply {
				if p.compressed {
					return test.answer
				}
				return reply{}
			})
			for i := range 40 {
				b.deliver(t, 30*time.Second, fat(fmt.Sprint(i), 20)...)
				time.Sleep(time.Minute)
			}
			require.Empty(t, b.queue.dead)
			require.Equal(t, 801, b.queue.count(queue.Delivered))
			require.LessOrEqual(t, len(r.all()), 41+2*3, "it is not believed again for an hour")
		})
	}
}

// An event is never refused by an answer to a compressed request, and a bad event
// says nothing against compression.
func TestIsolationOfCompressedRequests(t *testing.T) {
	for _, mode := range []string{Events, Webhook} {
		bubble(t, mode, func(t *testing.T, r *rudder, _ *memQueue) {
			b := compresses(t, r, canGzip(), func(c *Config) { c.Mode = mode })
			b.deliver(t, time.Second, fat("before", 100)...)
			r.set(with(reply{status: 400, body: "invalid json"}, "e-17"))
			b.queue.put(fat("e", 100)...)
			b.trickle(180, time.Second)
			require.Len(t, b.queue.dead, 1)
			require.Equal(t, 17, b.queue.dead[0].Index)
			for _, p := range r.all() {
				require.False(t, p.compressed && (len(p.ids) == 1 || p.reply.status == 400 && len(p.ids) < 100))
			}
			require.EqualValues(t, 1, metric(b.config.Metrics.compressing).GetGauge().GetValue())
		})
	}
}

func TestCompressedBodyThatIsNoSmallerIsNotUsed(t *testing.T) {
	random := rand.NewChaCha8([32]byte{})
	noise := make([]byte, 10_000)
	_, _ = random.Read(noise)
	var p compressor
	require.Nil(t, p.compress(noise))
	require.NotNil(t, p.compress(slices.Repeat([]byte("x"), 10_000)))
	require.Nil(t, p.compress(slices.Repeat([]byte("x"), compressFrom-1)))
	require.NotNil(t, p.compress(slices.Repeat([]byte("x"), 10_000)), "it can be used again")
}
