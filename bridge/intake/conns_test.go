package intake

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/memnet"
)

// idle returns once n connections with a good token wait for a request: the server
// says so after the response is there.
func (b *bench) idle(t *testing.T, n int) {
	require.Eventually(t, func() bool {
		b.listener.mu.Lock()
		defer b.listener.mu.Unlock()
		return b.listener.idle.Len() == n
	}, 20*time.Second, time.Millisecond)
}

func (b *bench) speak(t *testing.T, conn net.Conn) net.Conn {
	if conn == nil {
		conn = b.raw(t, "")
	}
	_, err := io.WriteString(conn, post("", oneEvent))
	require.NoError(t, err)
	requireOK(t, conn)
	return conn
}

func TestIdleConnectionsMakeRoom(t *testing.T) {
	b := prepare(Config{})
	b.serve(t, 2, nil)
	first := b.speak(t, nil)
	b.idle(t, 1)
	second := b.speak(t, nil)
	b.idle(t, 2)
	third := b.speak(t, nil)
	requireEnded(t, first) // it has waited longest
	b.idle(t, 2)
	b.speak(t, second) // now the third has
	b.idle(t, 2)
	fourth := b.speak(t, nil)
	requireEnded(t, third)
	b.speak(t, second)
	b.speak(t, fourth)
}

// Connections that have shown no good token make room before any that has,
// whatever they do.
func TestUntrustedConnectionsMakeRoomFirst(t *testing.T) {
	b := prepare(Config{})
	b.serve(t, 3, nil)
	kept := b.speak(t, nil)
	b.idle(t, 1)
	var untrusted []net.Conn
	for _, text := range []string{
		"", "POST /curr", "POST /currents HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n", strings.Replace(post("", oneEvent), "secret", "wrong", 1),
		"POST /currents/zzz HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		for range 5 {
			untrusted = append(untrusted, b.raw(t, text))
		}
	}
	next := b.speak(t, nil)
	for _, conn := range untrusted[:len(untrusted)-1] { // the last may linger a moment
		requireEnded(t, conn)
	}
	b.speak(t, kept)
	b.speak(t, next)
}

// A connection in the middle of a request with a good token is never ended for
// another; the other waits, and is not refused.
func TestBusyConnectionsAreKept(t *testing.T) {
	b := prepare(Config{})
	b.serve(t, 2, nil)
	q := b.queues["a"]
	q.hang()
	busy := []net.Conn{b.raw(t, post("", oneEvent)), b.raw(t, post("", oneEvent))}
	q.waits(t, 2)
	next := b.raw(t, post("", oneEvent))
	require.NoError(t, next.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err := next.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.EqualValues(t, 2, b.inFlight.Load())

	q.release()
	for _, conn := range append(busy, next) { // one of them makes room once it is idle
		requireOK(t, conn)
	}
}

// An Accept that waits for a place ends with the listener.
func TestAcceptEnds(t *testing.T) {
	conns := memnet.Listen()
	l := Listen(conns, 1, nil)
	for range 2 {
		go func() { _, _ = conns.Dial(t.Context(), "", "") }()
	}
	busy, err := l.Accept()
	require.NoError(t, err)
	busy.(*conn).trust()
	require.NoError(t, l.Close())
	_, err = l.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
	require.NoError(t, busy.Close())
	require.NoError(t, busy.Close())
}

func TestSlowHandshakesDelayNoOther(t *testing.T) {
	b := prepare(Config{})
	b.server.ReadHeaderTimeout = 5 * time.Second
	b.serve(t, 4, newPair(t, "one").certificates(t, io.Discard))
	b.url = strings.Replace(b.url, "http", "https", 1)
	silent := []net.Conn{b.raw(t, ""), b.raw(t, "\x16\x03\x01\x02\x00")}
	for range 10 { // more than the limit: those kept open make room here too
		client := tlsClient(t, true)
		response, err := client.Post(b.url+"/v1/webhook?writeKey=secret", "application/json", strings.NewReader(oneEvent))
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, 200, response.StatusCode)
	}
	for _, conn := range silent {
		requireEnded(t, conn)
	}
}

// stream2 is a connection of HTTP/2 as a hostile client has it: frame by frame.
type stream2 struct {
	*http2.Framer
	conn net.Conn
	next uint32
}

// speak2 begins HTTP/2 on a new connection, with a flow-control window for each
// stream. What has come is sent to the channel when the connection has ended.
func (b *bench) speak2(t *testing.T, window uint32) (*stream2, <-chan ended2) {
	conn := b.raw(t, "")
	s := &stream2{Framer: http2.NewFramer(conn, conn), conn: conn, next: 1}
	s.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	ended := make(chan ended2, 1)
	go func() { ended <- s.readAll() }() // a pipe has no buffer
	_, err := io.WriteString(conn, http2.ClientPreface)
	require.NoError(t, err)
	require.NoError(t, s.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}))
	return s, ended
}

// post sends a request with the first part of a body; more says whether the rest
// is still to come.
func (s *stream2) post(t *testing.T, token, body string, more bool) {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/currents"}, {"authorization", "Bearer " + token}} {
		require.NoError(t, encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}))
	}
	require.NoError(t, s.WriteHeaders(http2.HeadersFrameParam{
		StreamID: s.next, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: body == "" && !more,
	}))
	if body != "" {
		require.NoError(t, s.WriteData(s.next, !more, []byte(body)))
	}
	s.next += 2
}

type ended2 struct {
	statuses []string
	body     string
	goAway   bool
	resets   int
}

func (s *stream2) readAll() (got ended2) {
	for {
		frame, err := s.ReadFrame()
		if err != nil {
			return got
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			got.statuses = append(got.statuses, f.PseudoValue("status"))
		case *http2.DataFrame:
			got.body += string(f.Data())
		case *http2.GoAwayFrame:
			got.goAway = true
		case *http2.RSTStreamFrame:
			got.resets++
		case *http2.PingFrame:
			if !f.IsAck() {
				_ = s.WritePing(true, f.Data)
			}
		}
	}
}

// Over HTTP/2 a refusal does not wait for the client's flow-control window, and a
// client that has shown no token loses its connection.
func TestRefusalsOverHTTP2(t *testing.T) {
	for name, tt := range map[string]struct {
		token, body string
		window      uint32
		want        ended2
	}{
		"no token":                    {"", oneEvent, 0, ended2{statuses: []string{"401"}, goAway: true}},
		"no token, a probe":           {"", "", 0, ended2{statuses: []string{"401"}, goAway: true}},
		"wrong token, usual window":   {"wrong", oneEvent, 65535, ended2{statuses: []string{"401"}, goAway: true}},
		"good token, no batch":        {"secret", "{", 0, ended2{statuses: []string{"400"}, resets: 1}},
		"good token, no window":       {"secret", oneEvent, 0, ended2{statuses: []string{"200"}, resets: 1}},
		"good token and usual window": {"secret", oneEvent, 65535, ended2{statuses: []string{"200"}, body: oneAccepted}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Config{}, 0, func(t *testing.T, b *bench) {
				began := time.Now()
				s, ended := b.speak2(t, tt.window)
				s.post(t, tt.token, tt.body, false)
				time.Sleep(2 * time.Second) // longer than any response takes
				require.Zero(t, b.inFlight.Load())
				if !tt.want.goAway {
					require.NoError(t, s.conn.Close())
				}
				got := <-ended
				require.LessOrEqual(t, time.Since(began), 3*time.Second, "the connection is closed")
				require.Equal(t, tt.want.statuses, got.statuses)
				require.Equal(t, tt.want.goAway, got.goAway)
				require.Equal(t, tt.want.body, got.body)
				if tt.want.resets > 0 {
					require.Positive(t, got.resets)
				}
			})
		})
	}
}

// As many connections of HTTP/2 as there may be, without a good token, with
// windows of 0 and in the middle of requests, keep no good request out.
func TestFloodOfHTTP2WithoutToken(t *testing.T) {
	const limit = 100
	inBubble(t, Config{}, limit, func(t *testing.T, b *bench) {
		for range limit {
			s, _ := b.speak2(t, 0)
			for range 3 {
				s.post(t, "wrong", "{", true)
			}
		}
		b.requireServed(t)
	})
}

// A stream of HTTP/2 that stops gets 408, and its neighbours on the same
// connection go on.
func TestSlowStream(t *testing.T) {
	inBubble(t, Config{}, 1, func(t *testing.T, b *bench) {
		s, ended := b.speak2(t, 65535)
		s.post(t, "secret", "{", true)
		s.post(t, "secret", oneEvent, false)
		time.Sleep(20 * time.Second)
		s.post(t, "secret", oneEvent, false)
		time.Sleep(time.Second)
		s.conn.Close()
		require.Equal(t, []string{"200", "408", "200"}, (<-ended).statuses)
	})
}

// Panics

type panicking struct{ with any }

func (q panicking) Append(context.Context, queue.Batch) (queue.Receipt, error) {
	if q.with == nil {
		var list []int
		return queue.Receipt{Accepted: list[len("xyz")]}, nil
	}
	panic(q.with)
}

func TestPanicEndsOneRequest(t *testing.T) {
	for text, with := range map[string]any{
		"index out of range":  nil,
		"*errors.errorString": errors.New("someone@example.com"),
		"panic=string":        "someone@example.com",
	} {
		t.Run(text, func(t *testing.T) {
			b := start(t, Config{})
			b.Reload([]Connector{
				queued(panicking{with}, "a", "secret"), queued(b.queues["b"], "b", "other"),
			})
			for range 2 {
				got := b.do(t, request{path: "/v1/webhook?writeKey=secret", body: oneEvent})
				require.Equal(t, 500, got.status)
				require.Contains(t, got.body, "send the batch again")
				require.Equal(t, 200, b.do(t, request{path: "/v1/webhook?writeKey=other", body: oneEvent}).status)
			}
			log := b.log.String()
			require.Contains(t, log, text)
			require.Contains(t, log, "conns_test.go", "the place in the code")
			for _, private := range []string{"secret", "writeKey", "example.com", "external_user_id", "users.messages"} {
				require.NotContains(t, log, private)
			}
			b.quiet(t)
			require.Equal(t, "2", b.metric(t, "bridge_requests_total"))
		})
	}
}

type brokenWriter struct{ *httptest.ResponseRecorder }

func (brokenWriter) Write([]byte) (int, error) { panic("while half of the response is written") }

// Half a response must not look like a whole one.
func TestPanicInTheHandler(t *testing.T) {
	b := start(t, Config{})
	send := func(w http.ResponseWriter, body io.Reader) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/currents", body)
		r.ContentLength, r.Header["Authorization"] = int64(len(oneEvent)), []string{"Bearer secret"}
		b.ServeHTTP(w, r)
	}
	w := httptest.NewRecorder()
	send(w, struct{ io.Reader }{})
	require.Equal(t, 500, w.Code)
	require.Contains(t, b.log.String(), "connector=a")
	half := brokenWriter{httptest.NewRecorder()}
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { send(half, strings.NewReader(oneEvent)) })
}
