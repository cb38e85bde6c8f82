package mockbraze

import "context"

// TB is what Start needs of a test; *testing.T has it.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// TestServer is a Server that belongs to a test.
type TestServer struct {
	*Server
	t TB
}

// Start makes a fake Braze that is closed when the test ends. A failure fails
// the test.
func Start(t TB, options ...Option) *TestServer {
	t.Helper()
	s, err := New(options...)
	if err != nil {
		t.Fatalf("mockbraze: %v", err)
		return nil
	}
	t.Cleanup(s.Close)
	return &TestServer{Server: s, t: t}
}

// Launch makes a Current and launches it. Where that fails, it fails the test;
// to see the failure, use Create and the Connector's own Launch.
func (s *TestServer) Launch(spec Current) *Connector {
	s.t.Helper()
	c, err := s.Create(spec)
	if err == nil {
		err = c.Launch(context.Background())
	}
	if err != nil {
		s.t.Fatalf("mockbraze: %v", err)
		return nil
	}
	return c
}
