package delivery

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/delivery/connection"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// Of a response that is gigabytes long no more is read than is kept, and a bit to
// let the connection be used again.
func TestHugeResponseIsNotTakenIn(t *testing.T) {
	for status, state := range map[string]string{"200 OK": StateMisdirected, "400 Bad Request": StatePaused} {
		bubble(t, status, func(t *testing.T) {
			q := newMemQueue()
			q.put(events("e", 1)...)
			var written, requests atomic.Int64
			b, _ := overPipes(t, q, raw("HTTP/1.1 "+status+"\r\nContent-Length: 4000000000\r\n\r\n", func(c net.Conn) {
				requests.Add(1)
				defer c.Close()
				chunk := []byte(strings.Repeat("x", 1000))
				for {
					n, err := c.Write(chunk)
					if written.Add(int64(n)); err != nil {
						return
					}
				}
			}))
			time.Sleep(10 * time.Second)
			synctest.Wait()
			require.Equal(t, state, b.State().Name)
			require.Less(t, written.Load(), requests.Load()*2*drainBytes)
			require.LessOrEqual(t, len(b.State().LastError), maxAnswer)
		})
	}
}

// A server that goes away says so with GOAWAY; what it did not begin with goes
// over a new connection at once, and is no trouble.
func TestGoAwayOfHTTP2CostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemQueue()
		q.put(events("e", 3)...)
		var dials atomic.Int32
		network := &pipes{serve: func(c net.Conn) { serveHTTP2(c, dials.Add(1) == 1) }}
		transport := connection.NewTransport(1)
		transport.DialContext = network.dial
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetUnencryptedHTTP2(true)
		b := start(t, q, &rudder{}, func(c *Config) { c.Transport, c.Gzip = transport, GzipOff })
		b.settledWithin(t, time.Second)
		require.EqualValues(t, 2, dials.Load())
		require.Equal(t, 3, q.count(queue.Delivered))
		require.Empty(t, b.seen.names())
		b.finish(t)
		transport.CloseIdleConnections()
		network.open.Wait()
	})
}

// serveHTTP2 answers one request with GOAWAY or with 200, in frames.
func serveHTTP2(c net.Conn, goAway bool) {
	defer c.Close()
	in := bufio.NewReader(c)
	out := make(chan []byte, 4)
	defer close(out)
	go func() { // neither side waits for the other to read
		for frame := range out {
			_, _ = c.Write(frame)
		}
	}()
	out <- []byte{0, 0, 0, 4, 0, 0, 0, 0, 0} // SETTINGS
	_, _ = io.CopyN(io.Discard, in, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")))
	for {
		var head [9]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return
		}
		_, _ = io.CopyN(io.Discard, in, int64(head[0])<<16|int64(head[1])<<8|int64(head[2]))
		const headers, data, endStream = 1, 0, 1
		switch kind := head[3]; {
		case kind == headers && goAway:
			out <- []byte{0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0} // last stream 0, no error
		case kind == data && head[4]&endStream != 0 && !goAway:
			out <- append([]byte{0, 0, 1, headers, 4, head[5], head[6], head[7], head[8]}, 0x88) // :status 200
			out <- append([]byte{0, 0, 2, data, endStream, head[5], head[6], head[7], head[8]}, "ok"...)
		}
	}
}
