// Package mockrudder is a fake RudderStack data plane for tests: it answers as
// RudderStack's server 1.83 does, keeps the messages for queries, validates them
// by JSON Schemas and a tracking plan, and injects faults.
//
// What it does not do: it delivers nothing to any destination, runs no
// transformations but the Braze source's, knows no workspaces, and keeps nothing
// on disk but what WithRecording writes. It reads no more than 8 MB of a body,
// uncompressed, and takes JSON nested deeper than 100,000 levels for broken. The
// names of a pixel call's parameters are read in a simpler way. The newest
// DefaultKeep messages are kept in memory, and the others are only counted. It
// deduplicates nothing and suppresses no user, both of which RudderStack does
// only where its operator turned it on.
//
// A message is validated and stored before its request is answered: a test that
// has the response finds the message.
//
// Servers share nothing, so that tests with one each may run in parallel. Tests
// that share a server send an X-Test-ID header and ask with Filter.TestID.
// StartInMemory needs no port and works under testing/synctest.
package mockrudder

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rs/cors"

	"github.com/currentsbridge/currentsbridge/internal/memnet"
	"github.com/currentsbridge/currentsbridge/mockrudder/internal/gateway"
	"github.com/currentsbridge/currentsbridge/schemas"
)

const testIDHeader = "X-Test-ID"

// Server is a fake RudderStack data plane. It is an http.Handler that is safe
// for concurrent use; make one with New, or in a test with Start.
type Server struct {
	// URL is where Start has the server listen, without a slash at the end. With
	// StartInMemory only Client and Transport reach it; it is "" for a server
	// made by New.
	URL string

	config   *config
	store    *store
	faults   *faults
	glossary string // its version
	recorder *recorder
	judge    *judge       // nil without validation
	entrance http.Handler // the gateway behind CORS and faults
	gateway  http.Handler // the gateway's routes
	query    http.Handler

	transport *http.Transport // to the listener of Start, nil without

	open  context.Context // ends with Close
	close context.CancelFunc
}

// New returns a server that does not listen: serve it as any http.Handler, with
// MaxHeaderBytes to answer to long headers as RudderStack does, and Close it to
// end requests that hang.
func New(opts ...Option) (*Server, error) {
	c, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	s := &Server{
		config:   c,
		store:    newStore(c.keep, c.keepBytes),
		faults:   newFaults(c.seed),
		recorder: &recorder{w: c.recording},
	}
	if s.glossary = schemas.Release(); c.glossary != nil {
		s.glossary = c.glossary.Version()
	}
	s.open, s.close = context.WithCancel(context.Background())
	if c.judge {
		if s.judge, err = newJudge(c.plan, c.glossary); err != nil {
			return nil, err
		}
	}
	s.gateway = (&gateway.Gateway{
		Sources: c.sources, Limiter: gateway.NewLimiter(c.rate, c.rateWindow), Store: s.accept, Answered: s.store.answered, Pause: s.pause,
	}).Handler()
	s.query = s.queryHandler()
	s.entrance = cors.New(cors.Options{ // as RudderStack's server sets it up
		AllowOriginFunc:  func(string) bool { return true },
		AllowCredentials: true,
		AllowedHeaders:   []string{"*"},
		MaxAge:           900,
	}).Handler(http.HandlerFunc(s.enter))
	return s, nil
}

// ServeHTTP responds as the gateway, and under /_mock/ as the query API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/_mock" || strings.HasPrefix(r.URL.Path, "/_mock/") {
		s.query.ServeHTTP(w, r)
		return
	}
	s.entrance.ServeHTTP(w, r)
}

// enter is the gateway with faults.
func (s *Server) enter(w http.ResponseWriter, r *http.Request) {
	if fault, hit := s.faults.pick(r); hit {
		s.inject(w, r, fault)
		return
	}
	s.gateway.ServeHTTP(w, r)
}

// Close ends every request that hangs or waits. Stored messages can still be
// read.
func (s *Server) Close() { s.close() }

// Reset removes all messages, counts and faults.
func (s *Server) Reset() {
	s.ResetMessages()
	_ = s.SetFaults()
}

// ResetMessages is Reset, but leaves the faults in force.
func (s *Server) ResetMessages() { s.store.reset() }

// Stats returns the counts since the start or the last reset. They include
// messages that are no longer kept.
func (s *Server) Stats() Stats {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	stats := s.store.tally.stats()
	stats.Kept, stats.Glossary = len(s.store.events), s.glossary
	if s.store.last > 0 {
		stats.Newest = idOf(s.store.last)
	}
	for key := range s.config.sources {
		stats.source(key)
	}
	return stats
}

// accept validates messages, stores them in order and calls the observer.
func (s *Server) accept(src *source, r *http.Request, size int, messages []gateway.Message) {
	now, ip := time.Now().UTC(), requestIP(r)
	events := make([]Event, len(messages))
	testID := strings.Clone(r.Header.Get(testIDHeader))
	for i := range messages {
		events[i] = newEvent(&messages[i], ip)
		e := &events[i]
		e.Source, e.ReceivedAt, e.TestID = src.Key, now, testID
		e.share = size / len(messages) // the body stays in memory as long as one of them
	}
	if s.judge != nil {
		s.judge.events(events)
	}
	s.recorder.keep(s.store, events)
	if s.config.observe != nil {
		for i := range events {
			s.config.observe(events[i])
		}
	}
}

// requestIP is the first address of X-Forwarded-For, or else the peer's.
func requestIP(r *http.Request) string {
	first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-For"), ",")
	if first != "" {
		return strings.ReplaceAll(first, " ", "")
	}
	return r.RemoteAddr[:max(0, strings.LastIndexByte(r.RemoteAddr, ':'))] // without the port
}

// RecordingError is the error that ended the recording of WithRecording, or nil.
func (s *Server) RecordingError() error {
	s.recorder.mu.Lock()
	defer s.recorder.mu.Unlock()
	return s.recorder.err
}

// pause waits for a time, forever where it is negative. It returns false where
// the client left or the server was closed before.
func (s *Server) pause(ctx context.Context, span time.Duration) bool {
	var over <-chan time.Time
	if span >= 0 {
		over = time.After(span)
	}
	select {
	case <-over:
		return true
	case <-ctx.Done():
	case <-s.open.Done():
	}
	return false
}

// TB is what Start needs of a *testing.T or *testing.B, declared here so that
// programs that use this package do not link testing.
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
	return serve(t, listener, "http://"+listener.Addr().String(), &http.Transport{}, opts)
}

// StartInMemory is Start without a port: only Client and Transport reach the
// server, by pipes within the process. It works inside a bubble of
// testing/synctest, where hangs and latencies take no time.
func StartInMemory(t TB, opts ...Option) *Server {
	t.Helper()
	listener := memnet.Listen()
	return serve(t, listener, memoryURL, &http.Transport{DialContext: listener.Dial}, opts)
}

// serve makes a server and serves it until the test is over; it returns nil
// where an option is wrong.
func serve(t TB, listener net.Listener, url string, transport *http.Transport, opts []Option) *Server {
	t.Helper()
	s, err := New(opts...)
	if err != nil {
		_ = listener.Close()
		t.Fatalf("%v", err)
		return nil
	}
	s.URL, s.transport = url, transport
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

// Transport connects to a server that Start or StartInMemory made; for one made
// by New it is http.DefaultTransport. Its idle connections end with the test.
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

// memoryURL is the URL of a server without a port. The name is reserved (RFC
// 2606), so that clients other than the server's own cannot reach it.
const memoryURL = "http://rudder.test"

// Fault adds a fault to those in force.
func (s *Server) Fault(fault Fault) error {
	_, err := s.faults.add(fault)
	return err
}

// RemoveFault removes the fault with this id, and says whether there was one.
func (s *Server) RemoveFault(id string) bool {
	f := s.faults
	f.mu.Lock()
	defer f.mu.Unlock()
	before := len(f.list)
	f.list = slices.DeleteFunc(f.list, func(fault Fault) bool { return fault.ID == id })
	return len(f.list) < before
}

// SetFaults replaces the faults in force, and all counts start at 0; with no argument
// it removes them.
func (s *Server) SetFaults(list ...Fault) error {
	f := s.faults
	f.mu.Lock()
	defer f.mu.Unlock()
	fresh := make([]Fault, 0, len(list))
	for i, fault := range list {
		if err := f.prepare(&fault, fresh); err != nil {
			return fmt.Errorf("fault %d: %w", i+1, err)
		}
		fresh = append(fresh, fault)
	}
	f.list = fresh
	return nil
}

// Faults returns the faults in force, with how often each has hit.
func (s *Server) Faults() []Fault {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	return append([]Fault{}, s.faults.list...)
}
