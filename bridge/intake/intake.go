// Package intake is the HTTP endpoint that Braze posts to. It checks the token
// before it reads the body, finds the events, sorts out those that can never be
// delivered, and answers 200 only once the queue has the batch on disk.
//
// What it answers follows what Braze's Custom HTTP connector makes of an
// answer: 400 is for what is no batch at all, because Braze drops an event that
// gets 400 alone; whatever the bridge cannot store now is 503, which Braze
// sends again for days.
package intake

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// Appender is what intake needs of a connector's queue; see queue.Queue.
type Appender interface {
	Append(ctx context.Context, b queue.Batch) (queue.Receipt, error)
}

// Policy says what becomes of an event whose user has no external_user_id.
type Policy string

// What can become of an event without external_user_id.
const (
	Deliver Policy = "deliver" // like any other
	Dead    Policy = "dead"    // to the dead letters, with the reason no_external_user_id
	Drop    Policy = "drop"    // counted as filtered
)

// ReasonNoExternalUserID is the reason of the dead letters that Dead makes.
const ReasonNoExternalUserID = "no_external_user_id"

// Connector is one Current of Braze.
type Connector struct {
	Name   string   // the last part of its path, /currents/NAME
	Tokens []string // bearer tokens that are taken; none: requests from anyone
	Queue  Appender
	// Webhook sorts out what RudderStack's own Braze source would drop or
	// refuse, and counts what it would change.
	Webhook               bool
	MissingExternalUserID Policy // "" is Deliver
}

// Config says what an Intake takes. Connectors is needed; a zero in any other
// field means its default.
//
// Of MaxRequests, MaxAppends and MaxBuffered half is divided evenly among the
// connectors, so that one whose senders flood it, or whose queue hangs, leaves
// the others theirs.
type Config struct {
	Connectors []Connector

	// MaxBody is the largest body that is taken, in bytes, unpacked; a larger
	// one is answered 413, upon which Braze sends smaller batches. Default
	// 16 MiB.
	MaxBody int64
	// MaxEvents is the most events that one request may have; more are
	// answered 413. Default 250,000; Braze sends at most 100.
	MaxEvents int
	// MaxBuffered bounds the memory for the bodies of all requests under way,
	// in bytes; beyond it the answer is 503. Half of it is kept for bodies of
	// up to 256 KiB, as Braze's usually are, so that a few large ones cannot
	// keep them out. Default 128 MiB, or 8 times MaxBody if that is more.
	MaxBuffered int64
	// MaxRequests is the number of requests under way at once, over all
	// connectors; beyond it the answer is 503, and the body is not read.
	// Default 1,024.
	MaxRequests int
	// MaxAppends is the number of requests that may wait for the disk at once.
	// Others wait for their turn, Patience at most, and are then answered 503.
	// Default 256.
	MaxAppends int
	// Patience is the longest wait for a turn. Default 5 s.
	Patience time.Duration
	// IdleRead is how long a client may be silent in the middle of a body, and
	// BodyRead how long a whole body may take; then the answer is 408. Defaults
	// 10 s and 60 s.
	IdleRead, BodyRead time.Duration

	Log        *slog.Logger          // default: none
	Registerer prometheus.Registerer // takes the metrics; default: none
}

// Defaults of Config.
const (
	defaultMaxBody     = 16 << 20
	defaultMaxEvents   = 250_000
	defaultMaxRequests = 1024
	defaultMaxAppends  = 256
)

func (c Config) withDefaults() Config {
	fill(&c.MaxBody, defaultMaxBody)
	fill(&c.MaxEvents, defaultMaxEvents)
	fill(&c.MaxBuffered, max(128<<20, 8*c.MaxBody))
	fill(&c.MaxRequests, defaultMaxRequests)
	fill(&c.MaxAppends, defaultMaxAppends)
	fill(&c.Patience, 5*time.Second)
	fill(&c.IdleRead, 10*time.Second)
	fill(&c.BodyRead, time.Minute)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Intake is an http.Handler for the paths that Braze posts to: /currents, which
// is the first connector, /currents/NAME, and /v1/webhook?writeKey=TOKEN, where
// the token says which connector is meant, as a Current made for RudderStack
// posts. Make one with New. It is safe for concurrent use.
type Intake struct {
	cfg       Config
	table     atomic.Pointer[table]
	reloading sync.Mutex
	kept      map[string]*lasting // by name of connector; for Reload alone
	engine    *gin.Engine
	requests  *pot
	appends   *pot
	buffers   *buffers
	unpackers unpackers
	items     items
	scanners  scanners
	metrics   *metrics
	linger    time.Duration
	drainTime time.Duration
	hearing   time.Duration
	refusals  throttle // of requests that meant no connector
}

// New makes an Intake. It fails where there is no connector, where one has no
// queue, where two share a name or a token, and where its metrics cannot be
// registered.
func New(cfg Config) (*Intake, error) {
	cfg = cfg.withDefaults()
	in := &Intake{
		cfg:       cfg,
		kept:      map[string]*lasting{},
		linger:    lingering,
		drainTime: draining,
		hearing:   hearing,
		requests:  &pot{limit: int64(cfg.MaxRequests), least: 1},
		appends:   &pot{limit: int64(cfg.MaxAppends), least: 1},
		buffers:   newBuffers(cfg.MaxBody, cfg.MaxBuffered),
		scanners:  newScanners(cfg.MaxEvents),
	}
	var err error
	if in.metrics, err = newMetrics(cfg.Registerer, in.buffers); err != nil {
		return nil, fmt.Errorf("register intake's metrics: %w", err)
	}
	if err := in.Reload(cfg.Connectors); err != nil {
		return nil, err
	}
	in.engine = in.routes()
	return in, nil
}

func (in *Intake) routes() *gin.Engine {
	e := gin.New()
	e.Use(func(c *gin.Context) {
		defer in.rescue(c, nil)
		c.Next()
	})
	e.HandleMethodNotAllowed = true
	e.RedirectTrailingSlash = false
	e.POST("/currents", in.toFirst)
	e.POST("/currents/:name", in.toNamed)
	e.POST("/v1/webhook", in.asRudderStack)
	e.NoMethod(func(c *gin.Context) {
		in.refuse(c, nil, http.StatusMethodNotAllowed, "only POST is taken here; send the batch with POST")
	})
	e.NoRoute(func(c *gin.Context) {
		in.refuse(c, nil, http.StatusNotFound, "there is nothing here; Braze posts to /currents or /currents/NAME")
	})
	return e
}

// ServeHTTP answers one request.
func (in *Intake) ServeHTTP(w http.ResponseWriter, r *http.Request) { in.engine.ServeHTTP(w, r) }

// Server returns an HTTP server for the public address, with limits that hold
// against slow and hostile clients.
func (in *Intake) Server() *http.Server {
	return &http.Server{
		Handler: in,
		// net/http would answer OPTIONS * with 200.
		DisableGeneralOptionsHandler: true,
		// Also bounds a TLS handshake.
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       in.cfg.BodyRead,
		// Counted from the end of the headers, so it must leave room for the
		// body and the disk; an answer itself is a hundred bytes.
		WriteTimeout:   in.cfg.BodyRead + in.cfg.Patience + time.Minute,
		IdleTimeout:    2 * time.Minute,
		MaxHeaderBytes: 16 << 10,
		ConnState:      connState,
		// A connection of HTTP/2 takes memory for each stream and for what has
		// come and is not read yet; the defaults are made for browsers.
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          32,
			MaxReceiveBufferPerConnection: 256 << 10,
			MaxReceiveBufferPerStream:     256 << 10,
			SendPingTimeout:               30 * time.Second,
			WriteByteTimeout:              30 * time.Second,
		},
		ErrorLog: slog.NewLogLogger(in.cfg.Log.Handler(), slog.LevelDebug),
	}
}
