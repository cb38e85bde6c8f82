package intake

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// drip writes text a piece at a time until it is all there, the connection
// breaks, or the test is over.
func drip(t *testing.T, conn net.Conn, text string, piece int, every time.Duration) {
	ticker := time.NewTicker(every)
	go func() {
		defer ticker.Stop()
		for len(text) > 0 {
			select {
			case <-ticker.C:
			case <-t.Context().Done():
				return
			}
			n := min(piece, len(text))
			if _, err := io.WriteString(conn, text[:n]); err != nil {
				return
			}
			text = text[n:]
		}
	}()
}

// TestSlowSenders has clients that never fall silent for long and never come to
// an end. Each is sent away in bounded time, and the neighbour goes on.
func TestSlowSenders(t *testing.T) {
	good := batch(event(`{"a":"` + strings.Repeat("x", 10_000) + `"}`))
	head := "POST /currents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\n"
	packed := zipped(good + strings.Repeat(" ", 1000))
	tests := []struct {
		name       string
		head, rest string
		statuses   []int
	}{
		{"a body", head + "Content-Length: 10000\r\n\r\n", good, []int{408}},
		{"a body in chunks", head + "Transfer-Encoding: chunked\r\n\r\n", strings.Repeat("1\r\n \r\n", 1000), []int{408}},
		{"a chunk's size", head + "Transfer-Encoding: chunked\r\n\r\n", strings.Repeat("0", 1000), []int{408}},
		{"a packed body", head + "Content-Encoding: gzip\r\nContent-Length: 1000\r\n\r\n" + packed[:5], packed[5:] + strings.Repeat("x", 1000), []int{408}},
		{"a body after a good one", post("", batch()) + head + "Content-Length: 10000\r\n\r\n", good, []int{200, 408}},
		{"headers", "POST /currents HTTP/1.1\r\n", strings.Repeat("X: x\r\n", 1000), []int{}},
		{"the request line", "", strings.Repeat("P", 1000), []int{}},
		{"headers after a good batch", post("", batch()) + "POST", strings.Repeat(" ", 1000), []int{200}},
		{"nothing at all", "", "", []int{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &siege{bench: startWith(t, Config{BodyRead: 300 * time.Millisecond}, func(srv *http.Server) {
				require.NotZero(t, srv.ReadHeaderTimeout)
				require.NotZero(t, srv.IdleTimeout)
				srv.ReadHeaderTimeout, srv.IdleTimeout = 300*time.Millisecond, 300*time.Millisecond
			})}
			stop := s.neighbour(t)
			began := time.Now()
			conn := s.raw(t, tt.head)
			drip(t, conn, tt.rest, 1, 10*time.Millisecond)
			got := answersOn(t, conn)
			require.Less(t, time.Since(began), 5*time.Second)
			// Who is slow before the body may see net/http's 400, or only
			// the end of the connection.
			codes := statuses(got)
			if n := len(codes); n > 0 && codes[n-1] == 400 {
				codes = codes[:n-1]
			}
			require.Equal(t, tt.statuses, codes)
			for _, r := range got {
				if r.status == 408 {
					require.Contains(t, r.body, "send it again")
				}
			}
			conn.Close()
			stop()
			s.settle(t, got)
		})
	}
}

// A slow sender that still ends in time is heard.
func TestSlowButInTime(t *testing.T) {
	s := besiege(t, Config{IdleRead: 5 * time.Second})
	conn := s.raw(t, "")
	drip(t, conn, strings.Replace(post("", oneEvent), "Host", "Connection: close\r\nHost", 1), 10, time.Millisecond)
	got := answersOn(t, conn)
	require.Equal(t, []int{200}, statuses(got))
	s.settle(t, got)
	require.Equal(t, oneEvent, string(s.last().Body))
}

// A client that sends requests without ever reading an answer fills its own
// buffers, not the bridge's, and is sent away.
func TestWhoNeverReads(t *testing.T) {
	ended := make(chan net.Addr, 100)
	s := &siege{bench: startWith(t, Config{}, func(srv *http.Server) {
		require.NotZero(t, srv.WriteTimeout)
		srv.ConnState = func(c net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				ended <- c.RemoteAddr()
			}
		}
	})}
	s.hearing = 500 * time.Millisecond
	conn := s.raw(t, "")
	wrong := strings.Repeat("POST /currents HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 1000)
	drip(t, conn, strings.Repeat(wrong, 1000), len(wrong), time.Millisecond)
	select {
	case who := <-ended:
		require.Equal(t, conn.LocalAddr().String(), who.String())
	case <-time.After(20 * time.Second):
		t.Fatal("the connection was not ended")
	}
	require.Equal(t, 200, s.do(t, request{body: oneEvent, header: with("secret")}).status)
}

// A wrong token is refused before the client is told to go on, whatever the
// body would be, and the body is never waited for.
func TestWrongTokenIsNeverToldToGoOn(t *testing.T) {
	b := start(t, Config{})
	b.linger = time.Hour // were the body read before the answer, there would be none
	for name, lines := range map[string]string{
		"length":  "Content-Length: 1000\r\n",
		"chunks":  "Transfer-Encoding: chunked\r\n",
		"packed":  "Content-Encoding: gzip\r\nContent-Length: 1000\r\n",
		"unknown": "Content-Encoding: br\r\nContent-Length: 1000\r\n",
		"large":   "Content-Length: 9223372036854775807\r\n",
	} {
		for path, auth := range map[string]string{
			"/currents": "Authorization: Bearer no\r\n", "/currents/b": "Authorization: Bearer secret\r\n", "/currents/zzz": "",
			"/v1/webhook?writeKey=no": "Authorization: Bearer secret\r\n", "/v1/webhook": "",
		} {
			conn := b.raw(t, "POST "+path+" HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"+auth+lines+"\r\n")
			require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
			first := make([]byte, len("HTTP/1.1 401"))
			_, err := io.ReadFull(conn, first)
			require.NoError(t, err, "%s %s", path, name)
			require.Equal(t, "HTTP/1.1 401", string(first), "%s %s", path, name)
		}
	}
}
