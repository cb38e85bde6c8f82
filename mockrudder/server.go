package mockrudder

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/rs/cors"

	"github.com/currentsbridge/currentsbridge/mockrudder/internal/gateway"
)

const (
	webhookPath  = "/v1/webhook"
	testIDHeader = "X-Test-ID"
)

// Server is a fake RudderStack data plane. It is an http.Handler that is safe
// for concurrent use; make one with New, or in a test with Start.
type Server struct {
	// URL is where Start has the server listen, without a slash at the end. With
	// StartInMemory it is a name that only Client and Transport reach; it is ""
	// for a server made by New.
	URL string

	config   *config
	store    *store
	faults   *faults
	limiter  *limiter
	admits   *admission
	spread   *spread
	recorder *recorder    // nil where nothing is recorded
	judge    *judge       // nil where nothing is judged
	entrance http.Handler // the gateway with CORS and faults before it
	gateway  http.Handler // its routes
	query    http.Handler

	transport *http.Transport // to the listener of Start, nil without

	open  context.Context // ends with Close
	close context.CancelFunc
}

// New returns a server. It listens nowhere: serve it as any http.Handler, with
// MaxHeaderBytes to answer to long headers as RudderStack does, and Close it to
// end requests that hang.
func New(opts ...Option) (*Server, error) {
	c, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	s := &Server{
		config:  c,
		store:   newStore(c.keep, c.keepBytes),
		faults:  newFaults(c.seed),
		limiter: newLimiter(c.rate, c.rateWindow, time.Now()),
		admits:  newAdmission(c),
		spread:  &spread{},
	}
	if c.recording != nil {
		s.recorder = &recorder{w: c.recording}
	}
	s.open, s.close = context.WithCancel(context.Background())
	if c.judge {
		if s.judge, err = newJudge(c.plan); err != nil {
			return nil, err
		}
	}
	s.gateway, s.query = s.gatewayRoutes(), s.queryRoutes()
	s.entrance = cors.New(cors.Options{ // as RudderStack's server sets it up
		AllowOriginFunc:  func(string) bool { return true },
		AllowCredentials: true,
		AllowedHeaders:   []string{"*"},
		MaxAge:           900,
	}).Handler(http.HandlerFunc(s.enter))
	return s, nil
}

// ServeHTTP answers as the gateway, and under /_mock/ as the query API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/_mock" || strings.HasPrefix(r.URL.Path, "/_mock/") {
		s.query.ServeHTTP(w, r)
		return
	}
	s.entrance.ServeHTTP(w, r)
}

// enter hands a request to the gateway, unless a fault hits it.
func (s *Server) enter(w http.ResponseWriter, r *http.Request) {
	if fault, hit := s.faults.strike(r); hit {
		s.misbehave(w, r, fault)
		return
	}
	s.gateway.ServeHTTP(w, r)
}

// Close ends every request that hangs or waits. What was stored can still be
// read.
func (s *Server) Close() { s.close() }

// Reset forgets all messages, counts, message ids of WithDedup, and faults.
// Suppressed users stay.
func (s *Server) Reset() {
	s.ResetMessages()
	_ = s.faults.set(nil)
}

// ResetMessages is Reset, but leaves the faults in force.
func (s *Server) ResetMessages() {
	s.admits.forget()
	s.store.reset()
}

// Suppress replaces the users whose messages are kept out; none ends it.
func (s *Server) Suppress(ids ...string) { s.admits.suppress(ids) }

// Stats returns what was counted since the start or the last reset. The
// numbers are exact, whatever is still kept.
func (s *Server) Stats() Stats {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	stats := s.store.tally.stats()
	stats.Kept = s.store.n
	if s.store.last > 0 {
		stats.Newest = idOf(s.store.last)
	}
	for key := range s.config.sources {
		stats.source(key)
	}
	return stats
}

// accept judges the messages that are not kept out, stores them in order and
// shows them to the observer. size is that of the body they are parts of, and
// hold in memory.
func (s *Server) accept(src *source, r *http.Request, size int, messages []gateway.Message) {
	now, ip := time.Now().UTC(), requestIP(r)
	messages, suppressed, duplicates := s.admits.admit(messages, now)
	if suppressed+duplicates > 0 {
		s.store.keptOut(suppressed, duplicates)
	}
	if len(messages) == 0 {
		return
	}
	events := make([]Event, len(messages))
	testID := strings.Clone(r.Header.Get(testIDHeader))
	for i := range messages {
		events[i] = newEvent(&messages[i], ip)
		e := &events[i]
		e.Source, e.ReceivedAt, e.TestID = src.key, now, testID
		e.share = size / len(messages)
	}
	if s.judge != nil {
		s.judge.events(events)
	}
	s.keep(events)
	if s.config.observe != nil {
		for i := range events {
			s.config.observe(events[i])
		}
	}
}

// requestIP is the first of X-Forwarded-For, or who is at the other end.
func requestIP(r *http.Request) string {
	first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-For"), ",")
	if first != "" {
		return strings.ReplaceAll(first, " ", "")
	}
	if colon := strings.LastIndexByte(r.RemoteAddr, ':'); colon >= 0 {
		return r.RemoteAddr[:colon]
	}
	return ""
}
