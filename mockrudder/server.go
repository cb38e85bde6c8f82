package mockrudder

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/rs/cors"
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
	recorder *recorder    // nil where nothing is recorded
	judge    *judge       // nil where nothing is judged
	entrance http.Handler // the gateway with CORS and faults before it
	gateway  http.Handler // its routes
	query    http.Handler

	transport *http.Transport // to the listener of Start, nil without

	open  context.Context // ends with Close
	close context.CancelFunc
}

// New returns a server. It listens nowhere: serve it as any http.Handler, and
// Close it to let go of requests that hang.
func New(opts ...Option) (*Server, error) {
	c, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	s := &Server{
		config:  c,
		store:   newStore(c.keep, c.keepBytes),
		faults:  newFaults(c.seed),
		limiter: newLimiter(c.rate, time.Now()),
		admits:  newAdmission(c),
	}
	if c.recording != nil {
		s.recorder = &recorder{w: c.recording}
	}
	s.open, s.close = context.WithCancel(context.Background())
	if c.judge {
		if s.judge, err = newJudge(c.plan, c.glossary); err != nil {
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
	if strings.HasPrefix(r.URL.Path, "/_mock/") {
		s.query.ServeHTTP(w, r)
		return
	}
	s.entrance.ServeHTTP(w, r)
}

// enter lets a request in, or has a fault strike it.
func (s *Server) enter(w http.ResponseWriter, r *http.Request) {
	if fault, hit := s.faults.strike(r); hit {
		s.misbehave(w, r, fault)
		return
	}
	s.gateway.ServeHTTP(w, r)
}

// Close lets go of every request that hangs or waits. What was stored can
// still be read.
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

// Fault adds a fault to those in force.
func (s *Server) Fault(fault Fault) error {
	_, err := s.faults.add(fault)
	return err
}

// RemoveFault ends the fault with this id, and says whether there was one.
func (s *Server) RemoveFault(id string) bool { return s.faults.remove(id) }

// SetFaults replaces the faults in force; none ends them.
func (s *Server) SetFaults(list ...Fault) error { return s.faults.set(list) }

// Faults returns the faults in force, with how often each has struck.
func (s *Server) Faults() []Fault { return s.faults.all() }

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

// newEngine returns an engine that adds nothing of its own. Gin lists its routes
// on standard output otherwise, and has no switch for one engine alone.
func newEngine() *gin.Engine {
	if gin.IsDebugging() {
		gin.SetMode(gin.ReleaseMode)
	}
	engine := gin.New()
	engine.RedirectTrailingSlash = false
	engine.HandleMethodNotAllowed = true
	return engine
}

func (s *Server) gatewayRoutes() http.Handler {
	engine := newEngine()
	engine.GET(webhookPath, s.webhookProbe)
	engine.POST(webhookPath, s.webhook)
	engine.POST("/v1/batch", s.messages(keyInHeader, parseBatch))
	engine.POST("/beacon/v1/batch", s.messages(keyInQuery, parseBatch))
	engine.POST("/v1/import", s.imports)
	for _, kind := range []string{"track", "identify", "page", "screen", "group", "alias", "merge", "audiencelist"} {
		engine.POST("/v1/"+kind, s.messages(keyInHeader, parseSingle(kind)))
	}
	for _, kind := range []string{"track", "page"} {
		engine.GET("/pixel/v1/"+kind, s.pixel(kind))
	}
	engine.GET("/", health)
	engine.GET("/health", health)
	engine.GET("/version", version)
	engine.GET("/robots.txt", robots)
	engine.NoRoute(func(c *gin.Context) {
		s.store.answered("", http.StatusNotFound)
		http.Error(c.Writer, "404 page not found", http.StatusNotFound)
	})
	engine.NoMethod(func(c *gin.Context) {
		s.store.answered("", http.StatusMethodNotAllowed)
		c.Writer.WriteHeaderNow()
	})
	return engine
}

// refuse answers with a refusal and counts it for the source with this key, ""
// where the key was not good.
func (s *Server) refuse(c *gin.Context, key string, no refusal) {
	s.store.answered(key, no.status)
	http.Error(c.Writer, no.text, no.status)
}

// succeed answers 200 ok.
func (s *Server) succeed(c *gin.Context, key string) {
	s.store.answered(key, http.StatusOK)
	header := c.Writer.Header()
	header.Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = c.Writer.WriteString("ok")
}

// accept judges the messages that are not kept out, stores them in order and
// shows them to the observer.
// size is that of the body they are parts of, and hold in memory.
func (s *Server) accept(src *source, r *http.Request, size int, events []Event) {
	now, ip := time.Now().UTC(), requestIP(r)
	share := size / max(len(events), 1)
	events, suppressed, duplicates := s.admits.admit(events, now)
	if suppressed+duplicates > 0 {
		s.store.keptOut(suppressed, duplicates)
	}
	if len(events) == 0 {
		return
	}
	testID := strings.Clone(r.Header.Get(testIDHeader))
	for i := range events {
		e := &events[i]
		e.Source, e.ReceivedAt, e.requestIP, e.TestID = src.key, now, ip, testID
		e.share = share
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
