package mockrudder

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"
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
	s, err := New(opts...)
	if err != nil {
		t.Fatalf("%v", err)
		return nil
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("mockrudder: %v", err)
		return nil
	}
	s.URL = "http://" + listener.Addr().String()
	server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		s.Close()
		_ = server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("mockrudder: serving: %v", err)
		}
	})
	return s
}

// WebhookURL is where Braze posts to for the source with this write key.
func (s *Server) WebhookURL(key string) string {
	return s.URL + webhookPath + "?writeKey=" + url.QueryEscape(key)
}
