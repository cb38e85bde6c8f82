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
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
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
	defaultMaxBody    = 16 << 20
	defaultMaxEvents  = 250_000
	defaultMaxAppends = 256
)

func (c Config) withDefaults() Config {
	fill(&c.MaxBody, defaultMaxBody)
	fill(&c.MaxEvents, defaultMaxEvents)
	fill(&c.MaxBuffered, max(128<<20, 8*c.MaxBody))
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
	cfg        Config
	connectors []connector
	byName     map[string]int
	tokens     tokens
	engine     *gin.Engine
	buffers    *buffers
	unpackers  unpackers
	items      items
	scanners   chan *scanner // one for each processor: scanning is all computation
	appends    chan struct{}
	metrics    *metrics
	linger     time.Duration
	drainTime  time.Duration
	refusals   throttle
	failures   throttle
}

// connector is a Connector with what its requests share.
type connector struct {
	Connector
	metrics connectorMetrics
	version throttle
}

// New makes an Intake. It fails where there is no connector, where one has no
// queue, where two share a name or a token, and where its metrics cannot be
// registered.
func New(cfg Config) (*Intake, error) {
	cfg = cfg.withDefaults()
	in := &Intake{
		cfg:       cfg,
		byName:    map[string]int{},
		linger:    lingering,
		drainTime: draining,
		buffers:   newBuffers(cfg.MaxBody, cfg.MaxBuffered),
		scanners:  make(chan *scanner, runtime.GOMAXPROCS(0)),
		appends:   make(chan struct{}, cfg.MaxAppends),
	}
	var err error
	if in.metrics, err = newMetrics(cfg.Registerer, in.buffers); err != nil {
		return nil, fmt.Errorf("register intake's metrics: %w", err)
	}
	if len(cfg.Connectors) == 0 {
		return nil, errors.New("intake has no connector")
	}
	for i, c := range cfg.Connectors {
		if _, taken := in.byName[c.Name]; taken || c.Name == "" || c.Queue == nil {
			return nil, fmt.Errorf("connector %q needs a name of its own and a queue", c.Name)
		}
		in.byName[c.Name] = i
		in.connectors = append(in.connectors, connector{Connector: c, metrics: in.metrics.of(c.Name)})
		for _, token := range c.Tokens {
			if !in.tokens.add(token, i) {
				return nil, fmt.Errorf("connector %q has a token that is empty or taken already", c.Name)
			}
		}
	}
	for range cap(in.scanners) {
		in.scanners <- newScanner(cfg.MaxEvents)
	}
	in.engine = in.routes()
	return in, nil
}

func (in *Intake) routes() *gin.Engine {
	e := gin.New()
	e.HandleMethodNotAllowed = true
	e.RedirectTrailingSlash = false
	e.POST("/currents", in.toFirst)
	e.POST("/currents/:name", in.toNamed)
	e.POST("/v1/webhook", in.asRudderStack)
	e.NoMethod(func(c *gin.Context) {
		in.refuse(c, nil, http.StatusMethodNotAllowed, "only POST is taken here")
	})
	e.NoRoute(func(c *gin.Context) {
		in.refuse(c, nil, http.StatusNotFound, "there is nothing here; Braze posts to /currents or /currents/NAME")
	})
	return e
}

// Reload puts other connectors in the place of those that are there. Requests
// under way end with the connector that they began with. On an error, one of
// New's, nothing changes.
func (in *Intake) Reload(connectors []Connector) error { return errors.ErrUnsupported }

// ServeHTTP answers one request.
func (in *Intake) ServeHTTP(w http.ResponseWriter, r *http.Request) { in.engine.ServeHTTP(w, r) }

// Server returns an HTTP server for the public address, with limits that hold
// against slow and hostile clients.
func (in *Intake) Server() *http.Server {
	return &http.Server{
		Handler:           in,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       in.cfg.BodyRead,
		// Counted from the end of the headers, so it must leave room for the
		// body and the disk; an answer itself is a hundred bytes.
		WriteTimeout:   in.cfg.BodyRead + in.cfg.Patience + time.Minute,
		IdleTimeout:    2 * time.Minute,
		MaxHeaderBytes: 16 << 10,
		ErrorLog:       slog.NewLogLogger(in.cfg.Log.Handler(), slog.LevelDebug),
	}
}
