package intake

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/cli"
)

// shelf is a queue that keeps what it is given.
type shelf struct {
	mu      sync.Mutex
	batches []queue.Batch
	seen    map[queue.Hash]bool
	err     error
	block   chan struct{} // if not nil, Append waits until it is closed
}

func (s *shelf) Append(_ context.Context, b queue.Batch) (queue.Receipt, error) {
	if s.block != nil {
		<-s.block
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return queue.Receipt{}, s.err
	}
	var r queue.Receipt
	if s.seen == nil {
		s.seen = map[queue.Hash]bool{}
	}
	for _, item := range b.Items {
		if s.seen[item.ID] {
			r.Duplicates++
			continue
		}
		s.seen[item.ID] = item.ID != queue.Hash{}
		r.Accepted++
		switch item.Fate {
		case queue.Dead:
			r.Dead++
		case queue.Filtered:
			r.Filtered++
		}
	}
	b.Body = bytes.Clone(b.Body)
	b.Items = append([]queue.Item(nil), b.Items...)
	s.batches = append(s.batches, b)
	return r, nil
}

func (s *shelf) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.batches)
}

// bench is an Intake that listens, and what stands behind it.
type bench struct {
	bound *listener // of bounded
	*Intake
	url      string
	addr     string
	queues   map[string]*shelf
	registry *prometheus.Registry
	log      *safeBuffer
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// start listens with connectors a (token "secret", and "next+/=="), b (token
// "other") and c (open) unless cfg has its own.
func start(t *testing.T, cfg Config) *bench {
	t.Helper()
	return startWith(t, cfg, func(*http.Server) {})
}

// startWith is start with a server that is changed before it listens.
func startWith(t *testing.T, cfg Config, change func(*http.Server)) *bench {
	t.Helper()
	b := &bench{queues: map[string]*shelf{}, registry: prometheus.NewRegistry(), log: &safeBuffer{}}
	if cfg.Connectors == nil {
		cfg.Connectors = []Connector{
			{Name: "a", Tokens: []string{"secret", "next+/=="}},
			{Name: "b", Tokens: []string{"other"}},
		}
	}
	for i := range cfg.Connectors {
		q := &shelf{}
		b.queues[cfg.Connectors[i].Name] = q
		cfg.Connectors[i].Queue = q
	}
	cfg.Registerer = b.registry
	cfg.Log = slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	in, err := New(cfg)
	require.NoError(t, err)
	b.Intake = in
	server := in.Server()
	change(server)
	t.Cleanup(func() { // once the server is closed; the next test may measure memory
		require.Eventually(t, func() bool { return in.requests.taken() == 0 }, 10*time.Second, time.Millisecond)
	})
	b.url = serve(t, server, func(ln net.Listener) net.Listener { return ln })
	b.addr = strings.TrimPrefix(b.url, "http://")
	return b
}

// listen serves in on loopback and returns its URL.
func listen(t testing.TB, in *Intake) string {
	return serve(t, in.Server(), func(ln net.Listener) net.Listener { return ln })
}

// serve runs a server on loopback, behind a listener around the system's, and
// returns its URL.
func serve(t testing.TB, server *http.Server, wrap func(net.Listener) net.Listener) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- cli.Serve(ctx, server, wrap(ln), 0) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return "http://" + ln.Addr().String()
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
	t.Helper()
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

func zipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String()
}

const oneEvent = `{"events":[{"id":"e1","event_type":"users.messages.email.Open","time":1700000000,"user":{"user_id":"u","external_user_id":"x"},"properties":{}}]}`
