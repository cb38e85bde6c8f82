package jetstream

import (
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
)

// patient is how long a test waits for what must happen.
const patient = 60 * time.Second

// testServer is a NATS server in this process that can be stopped and started again.
type testServer struct {
	*server.Server
	opts *server.Options
}

func serverOptions(t testing.TB) *server.Options {
	return &server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(),
		NoLog: true, NoSigs: true, ServerName: "n1",
	}
}

func startServer(t testing.TB, change ...func(*server.Options)) *testServer {
	t.Helper()
	opts := serverOptions(t)
	for _, f := range change {
		f(opts)
	}
	s := &testServer{opts: opts}
	s.start(t)
	t.Cleanup(func() { s.stop() })
	return s
}

func (s *testServer) start(t testing.TB) {
	t.Helper()
	s.launch(t)
	s.ready(t)
}

func (s *testServer) launch(t testing.TB) {
	t.Helper()
	srv, err := server.NewServer(s.opts)
	require.NoError(t, err)
	s.Server = srv
	srv.Start()
}

func (s *testServer) ready(t testing.TB) {
	t.Helper()
	require.True(t, s.ReadyForConnections(patient), "the server does not start")
	if s.opts.Port == server.RANDOM_PORT {
		s.opts.Port = s.Addr().(*net.TCPAddr).Port // the same again after a restart
	}
}

func (s *testServer) stop() {
	s.Shutdown()
	s.WaitForShutdown()
}

func logTo(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}
