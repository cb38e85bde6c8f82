// Package admin is the operator's side of the bridge, on an address of its own:
// a page, whether it lives and can store, the ledger of every connector, metrics, the
// dead letters, replays of history, what is not in the glossary, and the removal
// of a person's events.
//
// All responses but /metrics are JSON; an error is {"error": "…"}. What changes
// something is a POST, with its parameters in the query, a form or a JSON object,
// and is refused to pages of other sites. Without a token, requests with a foreign
// Host header are refused.
package admin

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/currentsbridge/currentsbridge/bridge/delivery"
	"github.com/currentsbridge/currentsbridge/bridge/drift"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/hostguard"
	"github.com/currentsbridge/currentsbridge/internal/webpage"
)

// page is the operator's page. It knows nothing itself: what it shows it asks for under /api/.
//
//go:embed assets
var page embed.FS

// Queue is what admin needs of a connector's queue; see queue.Queue.
type Queue interface {
	Ledger() queue.Ledger
	Letters(ctx context.Context, f queue.LetterFilter) ([]queue.DeadLetter, error)
	Summary(ctx context.Context, f queue.LetterFilter) ([]queue.LetterGroup, error)
	Pending(ctx context.Context, after uint64, limit int) ([]*queue.Record, error)
	ReplayDead(ctx context.Context, numbers ...uint64) (int, error)
	PurgeDead(ctx context.Context, numbers ...uint64) (int, error)
	StartReplay(ctx context.Context, order queue.ReplayOrder) (queue.Replay, error)
	EndReplay(ctx context.Context, number uint64) error
	Replay(ctx context.Context) (queue.Replay, error)
	Erase(ctx context.Context, match func(event []byte) bool) (queue.Erasure, error)
}

// Sender is what admin needs of a connector's sender; see delivery.Sender.
type Sender interface {
	State() delivery.State
	Resume()
	Parked(ctx context.Context, limit int) ([]delivery.ParkedEvent, int, error)
	DeadLetter(ctx context.Context, record uint64, index int) error
}

// Connector is one connector as the operator sees it.
type Connector struct {
	Name   string
	Queue  Queue
	Sender Sender // nil: the connector is not in the configuration
	// Quiet is for what needs no attention: it shows only where it is named, and
	// people's events are removed from it too.
	Quiet bool
}

// Bridge is what admin needs beside the connectors.
type Bridge interface {
	// Usage is that of the store.
	Usage() queue.Usage
	// OldestHistory returns when the oldest event that can be replayed was
	// received, zero where there is none.
	OldestHistory(ctx context.Context) (time.Time, error)
	// Backup copies the embedded store into a new file; ErrNoStore: there is none.
	Backup(ctx context.Context, file string) error
	// About says which bridge this is.
	About() About
	// Unknown lists what is not in the glossary.
	Unknown() []drift.Item
	// Backfill stores a body {"events":[…]} out of storage exports for a connector.
	// See intake.Intake.
	Backfill(connector string, body io.Reader) (queue.Receipt, error)
}

// ErrNoStore means that there is no embedded store.
var ErrNoStore error = refusal{http.StatusConflict, "there is no embedded store to back up; PostgreSQL has tools of its own, such as pg_dump"}

// Config says what an Admin shows. Bridge is needed.
type Config struct {
	Bridge    Bridge
	BackupDir string // where copies are made on their way to the operator
	// Registry is what /metrics shows; New adds the metrics of ledgers,
	// destinations and store to it. Default: a new one.
	Registry *prometheus.Registry
	Log      *slog.Logger     // default: none
	Now      func() time.Time // default: time.Now
}

// Admin is an http.Handler for the operator's address. Make one with New. It is
// safe for concurrent use.
type Admin struct {
	cfg        Config
	connectors atomic.Pointer[[]Connector]
	token      atomic.Pointer[[sha256.Size]byte] // nil: none is needed
	hosts      atomic.Pointer[hostguard.Guard]
	sessions   sessions
	samples    samples
	stopping   atomic.Bool
	origins    *http.CrossOriginProtection
	engine     *gin.Engine
}

// New makes an Admin that shows no connector yet and needs no token; see SetToken.
func New(cfg Config) *Admin {
	cfg.Registry, cfg.Log = cmp.Or(cfg.Registry, prometheus.NewRegistry()), cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	a := &Admin{cfg: cfg, origins: http.NewCrossOriginProtection()}
	a.Show(nil)
	_ = a.SetHosts(nil)
	cfg.Registry.MustRegister(collector{a})
	a.engine = a.routes()
	a.removeBackups()
	return a
}

// Show replaces the connectors.
func (a *Admin) Show(connectors []Connector) {
	connectors = slices.Clone(connectors)
	a.connectors.Store(&connectors)
}

// Stopping says that no batch is accepted any more: from here on /readyz answers
// 503, so that load balancers and Kubernetes send nothing more. Nothing else changes.
func (a *Admin) Stopping() { a.stopping.Store(true) }

func (a *Admin) shown() []Connector {
	return slices.DeleteFunc(slices.Clone(*a.connectors.Load()), func(c Connector) bool { return c.Quiet })
}

// Watch takes samples until ctx ends.
func (a *Admin) Watch(ctx context.Context) error {
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	for {
		a.samples.take(a)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (a *Admin) routes() *gin.Engine {
	e := gin.New()
	e.HandleMethodNotAllowed = true
	e.RedirectTrailingSlash = false
	e.Use(a.guard)
	console := gin.WrapH(webpage.Handler(page, "/"))
	for _, path := range []string{"/", "/assets/*file"} {
		e.GET(path, console)
		e.HEAD(path, console)
	}
	e.GET("/api/session", a.session)
	e.POST("/api/login", a.login)
	e.POST("/api/logout", a.logout)
	e.GET("/api/overview", a.about(overview))
	e.GET("/api/samples", a.about(lastHour))
	e.GET("/api/config", a.about(settings))
	e.GET("/livez", func(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"alive": true}) })
	e.GET("/readyz", a.ready)
	e.GET("/status", func(c *gin.Context) { c.JSON(http.StatusOK, a.Status()) })
	e.GET("/api/dead", a.about(deadLetters))
	e.GET("/api/dead/summary", a.about(deadSummary))
	e.GET("/api/dead/:number", a.about(oneLetter))
	e.POST("/api/dead/replay", a.about(mover{"replay", Queue.ReplayDead, fit}.answer))
	e.POST("/api/dead/purge", a.about(mover{"purge", Queue.PurgeDead, func(queue.DeadLetter) bool { return true }}.answer))
	e.GET("/api/pending", a.about(pendingEvents))
	e.GET("/api/pending/:record/:index", a.about(onePending))
	e.POST("/api/pending/dead-letter", a.about(setAside))
	e.GET("/api/backup", a.backup)
	e.POST("/api/backfill", a.backfill)
	e.POST("/api/resume", a.about(resume))
	e.GET("/api/replay", a.about(listReplays))
	e.POST("/api/replay", a.about(startReplay))
	e.POST("/api/replay/end", a.about(endReplay))
	e.POST("/api/forget", a.about(forget))
	e.GET("/api/drift", a.about(unknown))
	e.GET("/metrics", gin.WrapH(promhttp.HandlerFor(a.cfg.Registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(a.cfg.Log.Handler(), slog.LevelError),
	})))
	e.NoRoute(func(c *gin.Context) {
		fail(c, http.StatusNotFound, "there is nothing here; see /, /livez, /readyz, /metrics, /status, /api/dead, /api/pending, /api/replay and /api/drift")
	})
	e.NoMethod(func(c *gin.Context) { fail(c, http.StatusMethodNotAllowed, "this method is not taken here") })
	return e
}

// ServeHTTP answers one request.
func (a *Admin) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.engine.ServeHTTP(w, r) }

// Server returns an HTTP server for the operator's address.
func (a *Admin) Server() *http.Server {
	return &http.Server{
		Handler:           a,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(a.cfg.Log.Handler(), slog.LevelDebug),
	}
}

// named returns the connectors that a request is about: the one that it names, else
// all that need attention. The error is a refusal.
func (a *Admin) named(values url.Values) ([]Connector, error) {
	name := values.Get("connector")
	if name == "" {
		return a.shown(), nil
	}
	for _, connector := range *a.connectors.Load() {
		if connector.Name == name {
			return []Connector{connector}, nil
		}
	}
	return nil, refusal{http.StatusNotFound, "there is no connector of this name"}
}

// fail answers with an error: with the status of a refusal, or 500.
func (a *Admin) fail(c *gin.Context, err error) {
	status := http.StatusInternalServerError
	if no, ok := errors.AsType[refusal](err); ok {
		status = no.status
	} else {
		a.cfg.Log.Error("a request of the operator failed", "path", c.FullPath(), "error", err)
	}
	fail(c, status, err.Error())
}

func (a *Admin) about(answer func(*request) (any, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		values, err := form(c)
		var connectors []Connector
		if err == nil {
			connectors, err = a.named(values)
		}
		var body any
		if err == nil {
			body, err = answer(&request{Context: c, admin: a, ctx: c.Request.Context(), values: values, connectors: connectors, now: a.cfg.Now()})
		}
		if err != nil {
			a.fail(c, err)
			return
		}
		// Events are shown as they came: nothing in them is escaped for HTML.
		var text bytes.Buffer
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(body); err != nil {
			a.fail(c, err)
			return
		}
		c.Data(http.StatusOK, "application/json; charset=utf-8", bytes.TrimSuffix(text.Bytes(), []byte("\n")))
	}
}

// patient removes the time limits of a request; it ends when the client goes.
func patient(c *gin.Context) {
	control := http.NewResponseController(c.Writer)
	// Where this is not possible there are no time limits either.
	_ = control.SetReadDeadline(time.Time{})
	_ = control.SetWriteDeadline(time.Time{})
}

func fail(c *gin.Context, status int, text string) {
	c.AbortWithStatusJSON(status, gin.H{"error": text})
}
