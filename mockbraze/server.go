// Package mockbraze is a fake Braze for tests: a workspace whose people do
// things, and Currents that send the events of it as Braze's Custom HTTP
// connector does.
//
// Events are made when Send asks for them, or at the Rate of a Current. Unless
// its Scenario is another one, a Current sends events of every type in turn, each
// of which stands for itself. Nothing is kept on disk, and the control API and the
// page ask for no password. docs/mockbraze.md says how batches are formed and what
// follows from each response.
//
// Where Braze publishes no number, such as how long a backoff is, the default is
// an assumption and says so. Time comes from a Clock, or from a bubble of
// testing/synctest, so that days pass in milliseconds; WithHandler sends without a
// port. One seed gives the same events, byte for byte, on any machine.
package mockbraze

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/currentsbridge/currentsbridge/internal/hostguard"
	"github.com/currentsbridge/currentsbridge/internal/memnet"
	"github.com/currentsbridge/currentsbridge/internal/population"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// Server is the fake Braze: one workspace and its Currents. It comes from New
// or Start.
type Server struct {
	seed      uint64
	clock     Clock
	transport http.RoundTripper
	handler   http.Handler // where not nil, transport leads to it
	glossary  *schemas.Glossary
	people    *population.Population
	allowed   []string // host names beside those that are always allowed
	hosts     *hostguard.Guard

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup

	scenarios map[string]*Scenario

	mu        sync.Mutex
	currents  []*Connector
	made      uint64 // Currents so far, also those that were deleted
	closed    bool
	quotaDay  time.Time // of the Test Currents, in UTC
	quotaUsed int       // on that day
}

// Option changes what New and Start make.
type Option func(*Server)

// WithSeed chooses the workspace and everything that happens in it; without
// it the seed is 1.
func WithSeed(seed uint64) Option { return func(s *Server) { s.seed = seed } }

// WithClock makes the Server use another clock than the system's.
func WithClock(clock Clock) Option { return func(s *Server) { s.clock = clock } }

// WithTransport makes the Currents send through rt instead of connections of
// their own. It must be safe for concurrent use.
func WithTransport(rt http.RoundTripper) Option { return func(s *Server) { s.transport = rt } }

// WithHandler makes the Currents send to h within the process, whatever the host of
// their URL, inside a bubble of testing/synctest too. h is served by an http.Server.
func WithHandler(h http.Handler) Option { return func(s *Server) { s.handler = h } }

// WithGlossary makes the events of a newer glossary, such as one that
// schemas.LoadFile read. It must not be changed afterwards.
func WithGlossary(g *schemas.Glossary) Option { return func(s *Server) { s.glossary = g } }

// WithAllowedHosts lets Handler answer requests for these hosts too, such as
// braze.example.com, or .example.com for all names below it. IP addresses and names
// that the public DNS never has need none.
func WithAllowedHosts(names ...string) Option {
	return func(s *Server) { s.allowed = append(s.allowed, names...) }
}

// New makes a fake Braze without any Currents. Close it when done.
func New(options ...Option) (*Server, error) {
	s := &Server{seed: 1, clock: systemClock{}, scenarios: map[string]*Scenario{}}
	for _, option := range options {
		option(s)
	}
	var err error
	if s.glossary == nil {
		if s.glossary, err = schemas.Load(); err != nil {
			return nil, fmt.Errorf("mockbraze: %w", err)
		}
	}
	if s.hosts, err = hostguard.New("--allow-host (in Go WithAllowedHosts)", s.allowed...); err != nil {
		return nil, fmt.Errorf("mockbraze: %w", err)
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if s.handler != nil {
		s.serveHandler()
	}
	s.people = population.New(population.Config{Seed: s.seed})
	return s, nil
}

func (s *Server) serveHandler() {
	network := memnet.Listen()
	server := &http.Server{Handler: s.handler, ReadHeaderTimeout: time.Minute}
	transport := &http.Transport{DialContext: network.Dial, DisableCompression: true}
	s.transport = transport
	s.running.Go(func() { _ = server.Serve(network) }) // always ErrServerClosed
	s.running.Go(func() {
		<-s.ctx.Done()
		transport.CloseIdleConnections()
		_ = server.Close()
	})
}

// Create makes a Current, which sends nothing until it is launched. The n-th Current
// of a Server has a stream of events of its own, which depends on the seed and n only;
// that of the first is what emit prints.
func (s *Server) Create(spec Current) (*Connector, error) {
	spec, err := spec.withDefaults(s.glossary)
	if err != nil {
		return nil, fmt.Errorf("create a Current: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	tests := 0
	for _, other := range s.currents {
		if other.spec.TestCurrent {
			tests++
		}
	}
	if spec.TestCurrent && tests >= MaxTestCurrents {
		return nil, fmt.Errorf("create a Current: test_current: a workspace has at most %d Test Currents; delete one", MaxTestCurrents)
	}
	c := s.connector(spec, s.made)
	if c.feeds, err = s.newFeeds(spec, s.made); err != nil {
		return nil, fmt.Errorf("create a Current: %w", err)
	}
	s.made++
	s.currents = append(s.currents, c)
	return c, nil
}

// test probes the credentials of a Current that is not made.
func (s *Server) test(ctx context.Context, spec Current) (Answer, error) {
	spec, err := spec.withDefaults(s.glossary)
	if err != nil {
		return Answer{}, fmt.Errorf("test a Current: %w", err)
	}
	c := s.connector(spec, 0)
	defer c.client.CloseIdleConnections()
	defer c.close()
	return c.test(ctx)
}

func (s *Server) connector(spec Current, stream uint64) *Connector {
	transport := s.transport
	if transport == nil {
		transport = &http.Transport{
			MaxIdleConns: spec.Connections + 1, MaxIdleConnsPerHost: spec.Connections + 1,
			IdleConnTimeout: 90 * time.Second, DisableCompression: true,
			WriteBufferSize: 64 << 10, TLSHandshakeTimeout: 10 * time.Second,
		}
	}
	c := &Connector{
		server: s, id: strconv.FormatUint(stream+1, 10), spec: spec, url: spec.URL, token: spec.Token,
		client:  &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		changed: make(chan struct{}), state: Draft, dropped: make(map[Reason]int64), byType: make(map[string]*ofType),
		rate: spec.Rate, latency: hdrhistogram.New(1, longest.Microseconds(), 2), random: rand.New(rand.NewPCG(s.seed, stream)),
	}
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	return c
}

// Currents lists the Currents in the order in which they were made.
func (s *Server) Currents() []*Connector {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.currents)
}

// Current finds a Current by its id.
func (s *Server) Current(id string) (*Connector, bool) {
	for _, c := range s.Currents() {
		if c.id == id {
			return c, true
		}
	}
	return nil, false
}

// Delete ends a Current at once, also requests in flight, and forgets it with all that
// it has queued. It returns false where there is no such Current.
func (s *Server) Delete(id string) bool {
	s.mu.Lock()
	i := slices.IndexFunc(s.currents, func(c *Connector) bool { return c.id == id })
	if i < 0 {
		s.mu.Unlock()
		return false
	}
	c := s.currents[i]
	s.currents = slices.Delete(s.currents, i, i+1)
	s.mu.Unlock()
	c.close()
	c.client.CloseIdleConnections()
	return true
}

// background runs do until it returns; its context ends with Close, which waits
// for it. It returns false where the Server is closed already.
func (s *Server) background(do func(ctx context.Context)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.running.Go(func() { do(s.ctx) })
	return true
}

// Close ends all Currents at once, also requests in flight, and returns when
// nothing of them runs any more. What is queued is lost.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	currents := slices.Clone(s.currents)
	s.mu.Unlock()
	s.cancel()
	for _, c := range currents {
		c.close()
	}
	s.running.Wait()
	for _, c := range currents {
		c.client.CloseIdleConnections()
	}
}

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

// Start makes a fake Braze that is closed when the test ends.
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

// Clock is the time of a Server. Tests bring a fake clock, or run in a bubble of
// testing/synctest with the default one.
type Clock interface {
	Now() time.Time
	// After sends on fired once d has passed. stop ends the wait, at any time.
	After(d time.Duration) (fired <-chan time.Time, stop func())
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) After(d time.Duration) (<-chan time.Time, func()) {
	timer := time.NewTimer(d)
	return timer.C, func() { timer.Stop() }
}
