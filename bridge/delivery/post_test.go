package delivery

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

// pipes is a network in memory: what is dialled is served by serve.
type pipes struct {
	serve func(net.Conn)
	dials atomic.Int32
	read  atomic.Int64 // bytes of responses
	open  sync.WaitGroup
}

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	p.dials.Add(1)
	here, there := net.Pipe()
	p.open.Go(func() { p.serve(there) })
	return countedConn{here, &p.read}, nil
}

type countedConn struct {
	net.Conn
	read *atomic.Int64
}

func (c countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	return n, err
}

// overPipes runs a sender with its own real transport over pipes.
func overPipes(t *testing.T, q *memQueue, serve func(net.Conn)) (*testBench, *pipes) {
	network := &pipes{serve: serve}
	transport := newTransport(4, nil)
	transport.DialContext = network.dial
	b := start(t, q, &rudder{}, func(c *Config) { c.Transport, c.Concurrency, c.Gzip = transport, 1, "off" })
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		network.open.Wait() // every connection was released
	})
	return b, network
}

// okText is RudderStack's answer to a batch that it takes.
const okText = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// serve serves each pipe as answer says, of a request that was read but for its
// body; an answer with Connection: close as its last header ends the connection.
func serve(answer func(*http.Request) string) func(net.Conn) {
	return func(c net.Conn) {
		defer c.Close()
		in := bufio.NewReader(c)
		for {
			req, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			text := answer(req)
			if _, err = io.WriteString(c, text); err != nil {
				return
			}
			if strings.Contains(text, "Connection: close\r\n\r\n") {
				time.Sleep(time.Millisecond) // nothing more is read meanwhile
				_, _ = io.Copy(io.Discard, req.Body)
				return
			}
		}
	}
}

// taking reads the body and answers with text.
func taking(text string) func(*http.Request) string {
	return func(req *http.Request) string {
		_, _ = io.Copy(io.Discard, req.Body)
		return text
	}
}

// raw serves each pipe by reading one request and writing text, then then.
func raw(text string, then func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		req, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			_ = c.Close()
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		_, _ = io.WriteString(c, text)
		then(c)
	}
}

// endless writes text every so often, for as long as that is read.
func endless(text string, every time.Duration) func(net.Conn) {
	return func(c net.Conn) {
		defer c.Close()
		for {
			if _, err := io.WriteString(c, text); err != nil {
				return
			}
			time.Sleep(every)
		}
	}
}

func hangUp(c net.Conn) { _ = c.Close() }

// silent keeps the pipe open until the other side closes it.
func silent(c net.Conn) {
	_, _ = io.Copy(io.Discard, c)
	_ = c.Close()
}

func TestConnectionIsUsedAgain(t *testing.T) {
	for _, size := range []int{2, 10_000, 60_000} {
		bubble(t, fmt.Sprint(size), func(t *testing.T, _ *rudder, q *memQueue) {
			b, network := overPipes(t, q, serve(taking(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\nok%*s", size, size-2, ""))))
			for i := range 10 {
				b.deliver(t, time.Second, events(fmt.Sprint(i), 3)...)
			}
			require.EqualValues(t, 1, network.dials.Load())
		})
	}
}

// served is how a request is served, and the state of a sender whose requests all are.
type served struct {
	serve func(net.Conn)
	state string // StateOK: accepted
}

func wholeAndOtherResponses(t *testing.T) map[string]served {
	const head = "HTTP/1.1 200 OK\r\n"
	list := map[string]served{
		"closed at once":         {hangUp, StateBackingOff},
		"never reads":            {func(c net.Conn) { time.Sleep(time.Minute); _ = c.Close() }, StateBackingOff},
		"a huge header":          {raw(head+"X: "+strings.Repeat("x", 1<<20)+"\r\n\r\n", hangUp), StateBackingOff},
		"headers that never end": {raw(head, endless("X: "+strings.Repeat("x", 500)+"\r\n", 0)), StateBackingOff},
		"before the body is read": {func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1)) // an answer to nothing would be none
			// What is no answer asks for no wait either.
			_, _ = io.WriteString(c, strings.Replace(okText, "\r\n", "\r\nRetry-After: 300\r\n", 1))
			time.Sleep(time.Second) // nothing more of the request is read meanwhile
			silent(c)
		}, StateBackingOff},
	}
	then := map[string]func(net.Conn){
		"hangs up": hangUp, "is silent": silent, "floods": endless(strings.Repeat("x", 1000), 0), "trickles": endless("x", time.Second),
	}
	for _, row := range casefile.Read(t, "testdata/responses.tsv", 4) {
		require.Contains(t, then, row[2])
		list[row[0]] = served{raw(strings.NewReplacer("\n", "\r\n", "~", "\t").Replace(row[3]), then[row[2]]), row[1]}
	}
	return list
}

// What is no whole OK is tried again, and of a response that is gigabytes long no
// more is read than is kept, and a bit to let the connection be used again.
func TestOnlyAWholeOKIsAccepted(t *testing.T) {
	for name, test := range wholeAndOtherResponses(t) {
		bubble(t, name, func(t *testing.T, _ *rudder, q *memQueue) {
			q.put(events("e", 3)...)
			var good atomic.Bool
			b, network := overPipes(t, q, func(c net.Conn) {
				if good.Load() {
					serve(taking(okText))(c)
					return
				}
				test.serve(c)
			})
			pass(responseTime + time.Second)
			if name == "trickling" || name == "no end" {
				require.Equal(t, test.state, b.State().Name, "the end of a response may take no more than responseTime")
			}
			pass(20 * time.Second)
			require.Equal(t, test.state, b.State().Name, b.State().LastError)
			require.Equal(t, test.state != StateOK, q.count(queue.Pending) == 3)
			require.Less(t, network.read.Load(), int64(network.dials.Load())*2*drainBytes)
			require.LessOrEqual(t, len(b.State().LastError), maxAnswer)
			good.Store(true)
			b.settledWithin(t, 30*time.Second)
			require.Empty(t, q.dead)
		})
	}
}

// After its age a connection is not used again, so that a changed address is found;
// a suspect has a connection of its own.
func TestConnectionsAreRenewed(t *testing.T) {
	bubble(t, "", func(t *testing.T, _ *rudder, _ *memQueue) {
		network := &pipes{}
		t.Cleanup(network.open.Wait)
		network.serve = serve(taking(okText))
		template := newTransport(1, nil)
		template.DialContext = network.dial
		c := pool{maxAge: 2 * time.Minute, template: template}
		ask := func(alone bool) {
			req, err := http.NewRequest(http.MethodPost, "http://rudder.test", http.NoBody)
			require.NoError(t, err)
			res, err := c.get(alone).RoundTrip(req)
			require.NoError(t, err)
			_, _ = io.Copy(io.Discard, res.Body)
			require.NoError(t, res.Body.Close())
			synctest.Wait()
		}
		for range 6 { // 0 to 100 s
			ask(false)
			time.Sleep(20 * time.Second)
		}
		require.EqualValues(t, 1, network.dials.Load())
		ask(false) // at 120 s
		require.EqualValues(t, 2, network.dials.Load())
		ask(true)
		ask(true)
		require.EqualValues(t, 4, network.dials.Load())
		ask(false)
		require.EqualValues(t, 4, network.dials.Load())
		c.close()
		closed := time.Now()
		network.open.Wait()
		require.Zero(t, time.Since(closed), "no connection is left to its idle timeout")
	})
}

// A connection that RudderStack closed while nothing was sent costs no backoff.
func TestIdleConnectionClosedByTheOtherSide(t *testing.T) {
	bubble(t, "", func(t *testing.T, _ *rudder, q *memQueue) {
		b, network := overPipes(t, q, raw(okText, func(c net.Conn) {
			time.Sleep(time.Second)
			_ = c.Close()
		}))
		for i := range 5 {
			b.deliver(t, 100*time.Millisecond, events(fmt.Sprint(i), 3)...)
			time.Sleep(time.Second)
		}
		require.EqualValues(t, 5, network.dials.Load())
		require.NotContains(t, b.log.String(), "in trouble")
	})
}

// deafConn does not hear that the other side has closed it after its response; the
// next request's first write finds out.
type deafConn struct {
	net.Conn
	answered atomic.Bool
}

func (c *deafConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.answered.Store(true)
	return n, err
}

func (c *deafConn) Write(p []byte) (int, error) {
	if c.answered.Load() {
		return 0, syscall.EPIPE
	}
	return c.Conn.Write(p)
}

// A close that is found out only as the next request is written costs no backoff
// either: nothing was sent, so it is sent on a new connection.
func TestConnectionThatIsFoundClosed(t *testing.T) {
	bubble(t, "", func(t *testing.T, _ *rudder, _ *memQueue) {
		network := &pipes{serve: serve(taking(okText))}
		p := testPoster(t)
		p.connections.template.DialContext = func(ctx context.Context, kind, address string) (net.Conn, error) {
			c, err := network.dial(ctx, kind, address)
			return &deafConn{Conn: c}, err
		}
		for range 3 {
			require.Equal(t, http.StatusOK, p.post(t.Context(), []byte("body"), false, false).status)
			synctest.Wait()
		}
		require.EqualValues(t, 3, network.dials.Load())
		p.connections.close()
		network.open.Wait()
	})
}

func testPoster(t *testing.T) *poster {
	c := Config{Connector: config.DefaultConnector()}
	c.RudderURL = "http://rudder.test"
	p, err := c.poster()
	require.NoError(t, err)
	return p
}

// rereader is a transport that reads a body twice, as HTTP/2 does where a stream was
// refused half-way, and keeps what it has read from.
type rereader struct {
	bodies []io.Reader
	read   []string
}

func (r *rereader) RoundTrip(req *http.Request) (*http.Response, error) {
	again, err := req.GetBody()
	if err != nil {
		return nil, err
	}
	r.bodies = []io.Reader{req.Body, again}
	for _, body := range r.bodies {
		text, err := io.ReadAll(body)
		if err != nil {
			return nil, err
		}
		r.read = append(r.read, string(text))
	}
	return reply{}.send(req)
}

// A transport may still read a body when the response has come, but by then its
// buffer is filled for the next request.
func TestBodyIsReadWhileItsRequestLasts(t *testing.T) {
	r, p := &rereader{}, testPoster(t)
	p.connections.fixed = r
	require.Equal(t, http.StatusOK, p.post(t.Context(), []byte("body"), false, false).status)
	require.Equal(t, []string{"body", "body"}, r.read)
	for _, body := range r.bodies {
		_, err := body.Read(make([]byte, 1))
		require.ErrorIs(t, err, errWithdrawn)
	}
}

// nginx refuses what is too large before it has read it. What is sent next must not
// find its way into the body before, for which the race detector watches. The event
// that is too large alone dies as others do, and delays none.
func TestRefusalBeforeTheBodyIsRead(t *testing.T) {
	bubble(t, "", func(t *testing.T, _ *rudder, q *memQueue) {
		for i := range 20 {
			q.put(fmt.Sprintf(`{"id":"e-%d","properties":{"pad":%q}}`, i, strings.Repeat("x", 10_000)))
		}
		q.put(fmt.Sprintf(`{"id":"e","properties":{"pad":%q}}`, strings.Repeat("x", 300_000)))
		b, _ := overPipes(t, q, serve(func(req *http.Request) string {
			if req.ContentLength > 50_000 {
				return "HTTP/1.1 413 Request Entity Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
			}
			body, err := io.ReadAll(req.Body)
			if err != nil || !json.Valid(body) {
				return "HTTP/1.1 400 Bad Request\r\nContent-Length: 5\r\n\r\nmixed"
			}
			return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK"
		}))
		b.trickle(300, time.Second)
		require.Equal(t, 320, q.count(queue.Delivered), b.State().LastError)
		require.Len(t, q.dead, 1)
		require.Equal(t, ReasonTooLarge, q.dead[0].Reason)
	})
}

func TestAnswerIsCutCleanedAndWithoutTheWriteKey(t *testing.T) {
	p := poster{secret: "wk-secret"}
	words := p.clean("key wk-secret \xff " + strings.Repeat("é", 10_000))
	require.True(t, strings.HasPrefix(words, "key [write key] \uFFFD é"), words)
	require.LessOrEqual(t, len(words), maxAnswer)
}

func TestLastErrorNeverShowsTheWriteKey(t *testing.T) {
	bubble(t, "", func(t *testing.T, r *rudder, q *memQueue) {
		r.set(always(reply{err: errors.New("no route to wk-secret")}))
		q.put(`{"event_type":"t","user":{"user_id":"u"}}`)
		b := start(t, q, r, func(c *Config) { c.Mode = Webhook })
		synctest.Wait()
		require.Equal(t, "no answer: no route to [write key]", b.State().LastError)
	})
}

func TestConfigDefaults(t *testing.T) {
	webhook := Config{Connector: config.DefaultConnector()}
	webhook.Mode = Webhook
	require.Less(t, float64(webhook.withDefaults().MaxBody)*1.14, 4_096_000.0, "what the Braze source makes of it fits too")
	require.LessOrEqual(t, max(webhook.Timeout, webhook.Backoff.Max), 25*time.Second, "resumes within 30 seconds")
}

func TestConfigURL(t *testing.T) {
	for base, want := range map[string]string{
		"http://rudder.test":           "/v1/batch",
		"http://rudder.test/":          "/v1/batch",
		"https://rudder.test:8443//":   "/v1/batch",
		"https://rudder.test/data/":    "/data/v1/batch",
		"https://rudder.test/a%2Fb//c": "/a%2Fb/c/v1/batch",
	} {
		c := Config{}
		c.RudderURL = base
		r, _, err := c.requests()
		require.NoError(t, err, base)
		require.Equal(t, want, r.URL.RequestURI(), base)
	}
	c := Config{}
	c.Mode, c.WriteKey = Webhook, "a b&c=d"
	r, _, err := c.requests()
	require.NoError(t, err)
	require.Equal(t, "/v1/webhook?writeKey=a+b%26c%3Dd", r.URL.RequestURI())
	c.RudderURL = "http://rudder\x7f.test/hidden"
	_, err = New(c)
	require.ErrorContains(t, err, "cannot be parsed")
	require.NotContains(t, err.Error(), "hidden")
}

// What came on a connection before the request was written is no response to it;
// and on a new connection there is none but its own.
func TestMisplacedResponses(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	for _, tt := range []struct {
		name                          string
		early, unsent, reused, closes bool
		status                        int
		misplaced                     bool
	}{
		{"usual", false, false, true, false, 200, false},
		{"before the request", true, false, true, false, 400, true},
		{"accepted before the body was read", false, true, false, false, 200, true},
		{"refused before the body was read", false, true, false, true, 413, false},
		{"the end of an idle connection", false, false, true, true, 408, true},
		{"the end of a new connection", false, false, false, true, 408, false},
	} {
		here, err := newTransport(1, nil).DialContext(t.Context(), "tcp", listener.Addr().String())
		require.NoError(t, err)
		there, err := listener.Accept()
		require.NoError(t, err)
		pass := func(from, to net.Conn) {
			_, err := from.Write([]byte("x"))
			require.NoError(t, err)
			_, err = to.Read(make([]byte, 1))
			require.NoError(t, err)
		}
		pass(here, there)
		pass(there, here)
		if tt.early {
			pass(here, there)
		}
		why := misplaced(&http.Response{ProtoMajor: 1, StatusCode: tt.status, Close: tt.closes},
			httptrace.GotConnInfo{Conn: here, Reused: tt.reused}, &payload{ended: !tt.unsent})
		require.Equal(t, tt.misplaced, why != "", "%s: %s", tt.name, why)
		require.NoError(t, here.Close())
		require.NoError(t, there.Close())
	}
}
