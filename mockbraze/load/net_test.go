package load

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pipes is a network in memory, so that a run takes place in fake time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// Accept implements net.Listener.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Addr implements net.Listener.
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// dial is the other end of Accept.
func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.closed:
		return nil, errors.New("nobody listens")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// serve answers in memory until the test is over.
func serve(t *testing.T, h http.HandlerFunc) DialFunc {
	t.Helper()
	p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: h}
	done := make(chan error, 1)
	go func() { done <- server.Serve(p) }()
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-done, http.ErrServerClosed)
	})
	return p.dial
}

// config is a run against h in memory.
func config(t *testing.T, h http.HandlerFunc, pacer Pacer, d time.Duration) Config {
	t.Helper()
	return Config{
		URL: "http://target/currents?writeKey=sEcReT", Pacer: pacer, Duration: d, Seed: 1, Dial: serve(t, h),
		Types: []string{"users.messages.email.Open", "users.messages.email.Click"}, Connections: 4,
	}
}

// do runs a configuration that is good.
func do(t *testing.T, cfg Config) *Report {
	t.Helper()
	run, err := New(cfg)
	require.NoError(t, err)
	report, err := run.Do(t.Context())
	require.NoError(t, err)
	return report
}

func conditions(t *testing.T, text string) []Condition {
	t.Helper()
	all, err := ParseConditions(text)
	require.NoError(t, err)
	return all
}
