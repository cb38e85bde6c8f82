package intake

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/cli"
	"github.com/currentsbridge/currentsbridge/internal/logbuffer"
	"github.com/currentsbridge/currentsbridge/internal/memnet"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode) // gin lists its routes on standard output otherwise
	os.Exit(m.Run())
}

type fakeQueue struct {
	mu      sync.Mutex
	batches []queue.Batch
	seen    map[queue.Hash]bool
	err     error
	hung    chan struct{} // closed by release; until then Append waits, for 5 s
	waiting int           // in Append
}

func (s *fakeQueue) Append(_ context.Context, b queue.Batch) (queue.Receipt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting++
	defer func() { s.waiting-- }()
	if hung := s.hung; hung != nil {
		s.mu.Unlock()
		var err error
		select {
		case <-hung:
		case <-time.After(5 * time.Second):
			err = queue.ErrAway
		}
		s.mu.Lock()
		if err != nil {
			return queue.Receipt{}, err
		}
	}
	if s.err != nil {
		return queue.Receipt{}, s.err
	}
	var r queue.Receipt
	if s.seen == nil {
		s.seen = map[queue.Hash]bool{}
	}
	for _, item := range b.Items {
		n := max(1, item.Count)
		if s.seen[item.ID] {
			r.Duplicates += n
			continue
		}
		s.seen[item.ID] = item.ID != queue.Hash{}
		r.Accepted += n
		switch item.Fate {
		case queue.Dead:
			r.Dead += n
		case queue.Filtered:
			r.Filtered += n
		}
	}
	b.Body = bytes.Clone(b.Body)
	b.Items = append([]queue.Item(nil), b.Items...)
	s.batches = append(s.batches, b)
	return r, nil
}

func (s *fakeQueue) hang() { s.hung = make(chan struct{}) }

func (s *fakeQueue) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hung != nil {
		close(s.hung)
		s.hung = nil
	}
}

// inside is how many calls of Append have not returned.
func (s *fakeQueue) inside() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting
}

func (s *fakeQueue) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.batches)
}

func (s *fakeQueue) events() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.batches {
		for _, item := range b.Items {
			n += max(1, item.Count)
		}
	}
	return n
}

func (s *fakeQueue) waits(t *testing.T, n int) {
	require.Eventually(t, func() bool { return s.inside() == n }, 20*time.Second, time.Millisecond)
}

type bench struct {
	*Intake
	server   *http.Server
	listener *listener
	url      string
	dial     func() (net.Conn, error)
	queues   map[string]*fakeQueue
	registry *prometheus.Registry
	log      *logbuffer.Buffer
	acked    int // events of connector a in responses with 200
}

// current is a connector as the configuration has it, without a queue.
func current(name string, tokens ...string) Connector {
	c := config.DefaultConnector()
	c.Name, c.Tokens = name, tokens
	return Connector{Connector: c}
}

func queued(q Appender, name string, tokens ...string) Connector {
	c := current(name, tokens...)
	c.Queue = q
	return c
}

// prepare makes an Intake with connectors a (token "secret", and "next+/==") and b
// (token "other") unless cfg has its own.
func prepare(cfg Config) *bench {
	b := &bench{queues: map[string]*fakeQueue{}, registry: prometheus.NewRegistry(), log: &logbuffer.Buffer{}}
	if cfg.Connectors == nil {
		cfg.Connectors = []Connector{
			current("a", "secret", "next+/=="),
			current("b", "other"),
		}
	}
	for i := range cfg.Connectors {
		q := &fakeQueue{}
		b.queues[cfg.Connectors[i].Name] = q
		cfg.Connectors[i].Queue = q
	}
	cfg.Registerer = b.registry
	cfg.Log = slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	b.Intake = New(cfg)
	b.server = b.Server()
	return b
}

func start(t *testing.T, cfg Config) *bench {
	b := prepare(cfg)
	b.serve(t, 0, nil)
	return b
}

func (b *bench) serve(t *testing.T, maxConnections int, certs *Certificates) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b.listener = Listen(ln, maxConnections, certs).(*listener)
	b.url = "http://" + ln.Addr().String()
	b.dial = func() (net.Conn, error) { return net.Dial("tcp", ln.Addr().String()) }
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- cli.Serve(ctx, b.server, b.listener, 0) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
}

// inBubble runs a test in fake time, over connections in memory.
func inBubble(t *testing.T, cfg Config, maxConnections int, test func(t *testing.T, b *bench)) {
	synctest.Test(t, func(t *testing.T) {
		b := prepare(cfg)
		conns := memnet.Listen()
		b.listener = Listen(conns, maxConnections, nil).(*listener)
		b.dial = func() (net.Conn, error) { return conns.Dial(t.Context(), "", "") }
		served := make(chan error, 1)
		go func() { served <- b.server.Serve(b.listener) }()
		defer func() {
			for _, q := range b.queues {
				q.release()
			}
			require.NoError(t, b.server.Close())
			require.ErrorIs(t, <-served, http.ErrServerClosed)
			time.Sleep(time.Hour) // for what still waits for a timeout
		}()
		test(t, b)
	})
}

// quiet returns once nothing is held for a request any more.
func (b *bench) quiet(t *testing.T) {
	require.Eventually(t, func() bool { return b.inFlight.Load() == 0 && b.buffers.used.Load() == 0 }, 20*time.Second, time.Millisecond, "something is still held")
}

func (b *bench) raw(t *testing.T, text string) net.Conn {
	conn, err := b.dial()
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	_, err = conn.Write([]byte(text))
	require.NoError(t, err)
	return conn
}

func answerOn(t *testing.T, conn net.Conn) *http.Response {
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	return resp
}

func requireOK(t *testing.T, conn net.Conn) {
	require.Equal(t, 200, answerOn(t, conn).StatusCode)
}

func requireEnded(t *testing.T, conn net.Conn) {
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	_, err := io.Copy(io.Discard, conn)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
}

// metric returns the sum of a counter or gauge over connector a's series, or
// over all where there is no such label.
func (b *bench) metric(t *testing.T, name string) string {
	families, err := b.registry.Gather()
	require.NoError(t, err)
	sum := 0.0
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			if !strings.Contains(m.String(), `name:"connector"`) || strings.Contains(m.String(), `value:"a"`) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return fmt.Sprint(sum)
}

type request struct {
	method, path, body string
	header             map[string]string
	chunked            bool
}

type reply struct {
	status int
	body   string
	header http.Header
}

func (b *bench) do(t *testing.T, r request) reply {
	if r.method == "" {
		r.method = http.MethodPost
	}
	if r.path == "" {
		r.path = "/currents"
	}
	var body io.Reader = strings.NewReader(r.body)
	if r.chunked {
		body = io.MultiReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), r.method, b.url+r.path, body)
	require.NoError(t, err)
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return reply{resp.StatusCode, string(text), resp.Header}
}

func with(token string, more ...string) map[string]string {
	header := map[string]string{"Authorization": "Bearer " + token}
	for i := 0; i < len(more); i += 2 {
		header[more[i]] = more[i+1]
	}
	return header
}

func zipped(text string) string { return zippedWith(0, text) }

func zippedWith(name int, text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Name = strings.Repeat("n", name)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String()
}

const oneEvent = `{"events":[{"id":"e1","event_type":"users.messages.email.Open","time":1700000000,"user":{"user_id":"u","external_user_id":"x"},"properties":{}}]}`
