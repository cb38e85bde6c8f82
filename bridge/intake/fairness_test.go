package intake

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// flood sends copies of a request over connections of their own and does not
// wait for answers.
func (b *bench) flood(t *testing.T, n int, text string) []net.Conn {
	t.Helper()
	conns := make([]net.Conn, n)
	for i := range conns {
		conns[i] = b.raw(t, "")
		go func() { _, _ = conns[i].Write([]byte(text)) }()
	}
	return conns
}

// requirePrompt posts to connector b often; each answer is 200, and none waits
// for a turn.
func (b *bench) requirePrompt(t *testing.T) {
	t.Helper()
	for range 20 {
		began := time.Now()
		got := b.do(t, request{path: "/currents/b", body: oneEvent, header: with("other")})
		require.Equal(t, 200, got.status, got.body)
		require.Less(t, time.Since(began), time.Second)
	}
}

// A connector whose queue hangs takes what is its own and what is common, and
// not what is the other's; its own senders are asked to come again.
func TestHungQueueHarmsNoNeighbour(t *testing.T) {
	for name, cfg := range map[string]Config{
		"requests": {MaxRequests: 16},
		"appends":  {MaxAppends: 8, MaxRequests: 64, Patience: time.Minute},
		"bytes":    {MaxBody: 64 << 10, MaxBuffered: 4 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, cfg)
			q := b.queues["a"]
			q.block = make(chan struct{})
			body := batch(event(`{"a":"` + strings.Repeat("x", 50_000) + `"}`))
			conns := b.flood(t, 100, post("", body))
			full := func() bool {
				switch name {
				case "requests":
					return b.requests.taken() == 12
				case "appends":
					return b.appends.taken() == 6 && b.requests.taken() == 48
				}
				return b.appends.taken() > 0 && b.metric(t, "bridge_requests_reading") == "0" &&
					b.appends.taken()*(64<<10+1) == b.buffers.small.taken()
			}
			require.Eventually(t, full, 10*time.Second, time.Millisecond)
			b.requirePrompt(t)

			close(q.block)
			answered := map[int]int{}
			for _, conn := range conns {
				answered[answerOn(t, conn).StatusCode]++
			}
			require.Positive(t, answered[503])
			require.Equal(t, 100-answered[503], answered[200])
			require.Equal(t, answered[200], q.count())
		})
	}
}

// Senders that stop in the middle of bodies, small and large, or send large
// ones without end, leave the neighbour its share of memory.
func TestFloodOfBodiesHarmsNoNeighbour(t *testing.T) {
	head := "POST /currents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\nContent-Length: 1048576\r\n\r\n"
	for name, text := range map[string]string{
		"stalled small": head + strings.Repeat(" ", 200_000),
		"stalled large": head + strings.Repeat(" ", 1_000_000),
		"odd batches":   strings.Repeat(post("", batch(strings.Repeat("1,", 100_000)+"1")), 5),
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, Config{MaxBody: 1 << 20, MaxBuffered: 8 << 20})
			b.flood(t, 60, text)
			require.Eventually(t, func() bool {
				return b.metric(t, "bridge_requests_total") != "0"
			}, 10*time.Second, time.Millisecond)
			b.requirePrompt(t)
		})
	}
}

// Beyond the limit the answer does not wait for the body, and it says when to
// come again.
func TestTooManyRequests(t *testing.T) {
	b := start(t, Config{MaxRequests: 1, Connectors: []Connector{{Name: "a", Tokens: []string{"secret"}}}})
	b.linger = time.Hour // were the body read before the answer, there would be none
	q := b.queues["a"]
	q.block = make(chan struct{})
	first := b.raw(t, post("", oneEvent))
	require.Eventually(t, func() bool { return b.requests.taken() == 1 }, 10*time.Second, time.Millisecond)
	for _, rest := range []string{"Content-Length: 1000\r\n\r\n{", "Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"} {
		resp := answerOn(t, b.raw(t, "POST /currents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\n"+rest))
		require.Equal(t, 503, resp.StatusCode)
		require.Equal(t, "5", resp.Header.Get("Retry-After"))
	}
	require.Equal(t, 401, b.do(t, request{body: oneEvent, header: with("wrong")}).status)
	close(q.block)
	requireOK(t, first)
	require.Equal(t, 200, b.do(t, request{body: oneEvent, header: with("secret")}).status)
	require.Equal(t, 2, q.count())
}
