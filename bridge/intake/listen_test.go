package intake

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// bounded is start behind Listen.
func bounded(t *testing.T, maxConnections int, certs *Certificates) *bench {
	t.Helper()
	b := start(t, Config{})
	b.url = serve(t, b.Server(), func(ln net.Listener) net.Listener {
		b.bound = Listen(ln, maxConnections, certs).(*listener)
		return b.bound
	})
	b.addr = strings.TrimPrefix(b.url, "http://")
	return b
}

// speak sends a request over a connection of its own that stays open, and
// returns the connection once the answer, 200, is there.
func (b *bench) speak(t *testing.T) net.Conn {
	t.Helper()
	conn := b.raw(t, post("", oneEvent))
	requireOK(t, conn)
	return conn
}

// waits returns once the connection is the one that began last to wait for a
// request: the server says so after the answer is there.
func (b *bench) waits(t *testing.T, client net.Conn) {
	t.Helper()
	require.Eventually(t, func() bool {
		b.bound.mu.Lock()
		defer b.bound.mu.Unlock()
		last := b.bound.waiting.Back()
		return last != nil && last.Value.(*conn).RemoteAddr().String() == client.LocalAddr().String()
	}, 10*time.Second, time.Millisecond)
}

func requireOK(t *testing.T, conn net.Conn) {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	require.Equal(t, 200, resp.StatusCode)
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
}

// requireEnded waits until the other side has ended the connection.
func requireEnded(t *testing.T, conn net.Conn) {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, err := conn.Read(make([]byte, 1))
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
}

func TestIdleConnectionsMakeRoom(t *testing.T) {
	b := bounded(t, 2, nil)
	first := b.speak(t)
	b.waits(t, first)
	second := b.speak(t)
	b.waits(t, second)
	for range 3 { // the second is used again, so that the first has waited longest
		_, err := io.WriteString(second, post("", oneEvent))
		require.NoError(t, err)
		requireOK(t, second)
		b.waits(t, second)
	}
	third := b.speak(t)
	requireEnded(t, first)
	b.waits(t, third)
	fourth := b.speak(t)
	requireEnded(t, second)
	for _, conn := range []net.Conn{third, fourth} {
		_, err := io.WriteString(conn, post("", oneEvent))
		require.NoError(t, err)
		requireOK(t, conn)
	}
}

func TestSilentConnectionsMakeRoom(t *testing.T) {
	b := bounded(t, 3, nil)
	var silent []net.Conn
	for i := range 30 {
		silent = append(silent, b.raw(t, "POST /currents HTTP/1.1\r\nHost: x"[:i]))
	}
	for range 10 {
		b.speak(t)
	}
	for _, conn := range silent {
		requireEnded(t, conn)
	}
}

// A connection in the middle of a request is never ended for another; the other
// waits, and is not refused.
func TestBusyConnectionsAreKept(t *testing.T) {
	b := bounded(t, 2, nil)
	q := b.queues["a"]
	q.block = make(chan struct{})
	busy := []net.Conn{b.raw(t, post("", oneEvent)), b.raw(t, post("", oneEvent))}
	require.Eventually(t, func() bool { return b.appends.taken() == 2 }, 10*time.Second, time.Millisecond)
	next := b.raw(t, post("", oneEvent))
	require.NoError(t, next.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err := next.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.EqualValues(t, 2, b.requests.taken())

	close(q.block)
	for _, conn := range append(busy, next) {
		requireOK(t, conn)
	}
}

// Without word of what its connections do, a listener ends none.
func TestListenerOfAnotherServer(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := Listen(inner, 1, nil)
	for range 2 {
		client, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		defer client.Close()
	}
	first, err := l.Accept()
	require.NoError(t, err)
	second := make(chan error, 1)
	accept := func() {
		conn, err := l.Accept()
		if err == nil {
			conn.Close()
		}
		second <- err
	}
	go accept()
	select {
	case err := <-second:
		t.Fatal("a second connection was let in", err)
	case <-time.After(50 * time.Millisecond):
	}
	require.NoError(t, first.Close())
	require.Error(t, first.Close())
	require.NoError(t, <-second)

	// Who waits for room hears that the listener is closed.
	for range 2 {
		client, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		defer client.Close()
	}
	_, err = l.Accept()
	require.NoError(t, err)
	go accept()
	require.NoError(t, l.Close())
	require.ErrorIs(t, <-second, net.ErrClosed)
	require.Equal(t, defaultMaxConnections, Listen(inner, 0, nil).(*listener).limit)
}

func TestSlowHandshakesHoldUpNobody(t *testing.T) {
	certs := newPair(t, "one").certificates(t, nil)
	b := start(t, Config{})
	server := b.Server()
	server.ReadHeaderTimeout = 300 * time.Millisecond
	b.url = serve(t, server, func(ln net.Listener) net.Listener { return Listen(ln, 4, certs) })
	b.addr = strings.TrimPrefix(b.url, "http://")
	silent := []net.Conn{b.raw(t, ""), b.raw(t, "\x16\x03\x01\x02\x00")}
	for range 10 { // more than the limit: those kept open make room here too
		conn, err := tls.Dial("tcp", b.addr, &tls.Config{InsecureSkipVerify: true})
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		_, err = io.WriteString(conn, post("", oneEvent))
		require.NoError(t, err)
		requireOK(t, conn)
	}
	for _, conn := range silent {
		requireEnded(t, conn)
	}
	plain := b.raw(t, post("", oneEvent))
	require.Equal(t, 400, answerOn(t, plain).StatusCode)
}
