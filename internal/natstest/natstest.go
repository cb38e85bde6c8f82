// Package natstest runs NATS servers with JetStream inside of a test's process.
package natstest

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
)

// patience is how long a server may take to start, or a cluster to agree.
const patience = 60 * time.Second

// Server is a NATS server on a loopback address of its own.
type Server struct {
	opts *server.Options
	srv  *server.Server // nil while it is stopped
}

// Start runs a server with JetStream, on a directory of its own, until the test
// ends. change, where given, changes its options first.
func Start(t testing.TB, change ...func(*server.Options)) *Server {
	t.Helper()
	s := &Server{opts: &server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(),
		NoLog: true, NoSigs: true, ServerName: "n1",
	}}
	for _, f := range change {
		f(s.opts)
	}
	s.Resume(t)
	t.Cleanup(s.Stop)
	return s
}

// Cluster runs n servers that form a cluster called test.
func Cluster(t testing.TB, n int) []*Server {
	t.Helper()
	routes := make([]*url.URL, n)
	for i := range routes {
		routes[i] = &url.URL{Scheme: "nats", Host: freeAddress(t)}
	}
	servers := make([]*Server, n)
	for i := range servers {
		s := &Server{opts: &server.Options{
			Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(),
			NoLog: true, NoSigs: true, ServerName: fmt.Sprintf("n%d", i+1), Routes: routes,
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: portOf(t, routes[i].Host)},
		}}
		s.launch(t)
		t.Cleanup(s.Stop)
		servers[i] = s
	}
	for _, s := range servers {
		s.await(t)
	}
	require.Eventually(t, func() bool {
		for _, s := range servers {
			if s.srv.JetStreamIsLeader() {
				return len(s.srv.JetStreamClusterPeers()) == n
			}
		}
		return false
	}, patience, 20*time.Millisecond, "the cluster has no leader")
	return servers
}

// URL is where the server is reached, or was before it was stopped.
func (s *Server) URL() string { return fmt.Sprintf("nats://127.0.0.1:%d", s.opts.Port) }

// Name is what the server calls itself, such as n1.
func (s *Server) Name() string { return s.opts.ServerName }

// Stop ends the server; what it has stored stays.
func (s *Server) Stop() {
	if s.srv == nil {
		return
	}
	s.srv.Shutdown()
	s.srv.WaitForShutdown()
	s.srv = nil
}

// Resume starts a stopped server again, on the same address and directory.
func (s *Server) Resume(t testing.TB) {
	t.Helper()
	s.launch(t)
	s.await(t)
}

func (s *Server) launch(t testing.TB) {
	t.Helper()
	srv, err := server.NewServer(s.opts)
	require.NoError(t, err)
	s.srv = srv
	srv.Start()
}

func (s *Server) await(t testing.TB) {
	t.Helper()
	require.True(t, s.srv.ReadyForConnections(patience), "the server does not start")
	if s.opts.Port == server.RANDOM_PORT {
		s.opts.Port = s.srv.Addr().(*net.TCPAddr).Port
	}
}

// URLs is where the servers are reached, as one text.
func URLs(servers []*Server) string {
	all := make([]string, len(servers))
	for i, s := range servers {
		all[i] = s.URL()
	}
	return strings.Join(all, ",")
}

func freeAddress(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	return ln.Addr().String()
}

func portOf(t testing.TB, address string) int {
	t.Helper()
	addr, err := net.ResolveTCPAddr("tcp", address)
	require.NoError(t, err)
	return addr.Port
}
