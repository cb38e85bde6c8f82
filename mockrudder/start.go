package mockrudder

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/memnet"
	"github.com/currentsbridge/currentsbridge/mockrudder/internal/gateway"
)

// TB is what Start needs of a *testing.T or *testing.B. It is declared here so
// that programs that use this package do not link testing.
type TB interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Start serves a fake RudderStack on a free port of the loopback interface until
// the test is over. It fails the test where an option is wrong.
func Start(t TB, opts ...Option) *Server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("mockrudder: %v", err)
		return nil
	}
	s := serve(t, listener, &http.Transport{}, opts)
	if s == nil {
		_ = listener.Close()
		return nil
	}
	s.URL = "http://" + listener.Addr().String()
	return s
}

// StartInMemory is Start without a port: only Client and Transport reach the
// server, by pipes within the process. It works inside a bubble of
// testing/synctest, where hangs and latencies take no time.
func StartInMemory(t TB, opts ...Option) *Server {
	t.Helper()
	listener := memnet.Listen()
	s := serve(t, listener, &http.Transport{DialContext: listener.Dial}, opts)
	if s != nil {
		s.URL = memoryURL
	}
	return s
}

// serve makes a server and serves it until the test is over; it returns nil
// where an option is wrong.
func serve(t TB, listener net.Listener, transport *http.Transport, opts []Option) *Server {
	t.Helper()
	s, err := New(opts...)
	if err != nil {
		t.Fatalf("%v", err)
		return nil
	}
	s.transport = transport
	server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute, MaxHeaderBytes: MaxHeaderBytes}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		s.Close()
		_ = server.Close()
		transport.CloseIdleConnections()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("mockrudder: serving: %v", err)
		}
	})
	return s
}

// Transport reaches a server that Start or StartInMemory made; for one made by
// New it is http.DefaultTransport. Its idle connections end with the test.
func (s *Server) Transport() http.RoundTripper {
	if s.transport == nil {
		return http.DefaultTransport
	}
	return s.transport
}

// Client returns a client over Transport, without a timeout.
func (s *Server) Client() *http.Client { return &http.Client{Transport: s.Transport()} }

// WebhookURL is where Braze posts to for the source with this write key.
func (s *Server) WebhookURL(key string) string {
	return s.URL + gateway.WebhookPath + "?writeKey=" + url.QueryEscape(key)
}

// memoryURL is where a server without a port seems to be. The name is reserved
// (RFC 2606), so that a client that is not the server's own finds nothing.
const memoryURL = "http://rudder.test"
