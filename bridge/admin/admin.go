// Package admin is the operator's side of the bridge, on an address of its own:
// whether it lives and can store, the ledger of every connector, metrics, and
// the dead letters.
package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/currentsbridge/currentsbridge/bridge/delivery"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// Queue is what admin needs of a connector's queue; see queue.Queue.
type Queue interface {
	Ledger() queue.Ledger
	Dead(ctx context.Context, after uint64, limit int) ([]queue.DeadLetter, error)
	ReplayDead(ctx context.Context, numbers ...uint64) (int, error)
	PurgeDead(ctx context.Context, numbers ...uint64) (int, error)
}

// Connector is one connector as the operator sees it.
type Connector struct {
	Name        string
	Queue       Queue
	Destination func() delivery.State // how RudderStack does
}

// Config says what an Admin shows. Connectors and Usage are needed.
type Config struct {
	Connectors []Connector
	Usage      func() queue.Usage // of the store
	// Registry is what /metrics shows; New adds the metrics of ledgers,
	// destinations and store to it. Default: a new one.
	Registry *prometheus.Registry
	Log      *slog.Logger     // default: none
	Now      func() time.Time // default: time.Now
}

// Admin is an http.Handler: /livez, /readyz, /metrics, /status, /api/dead,
// /api/dead/replay and /api/dead/purge.
// Make one with New. It is safe for concurrent use.
type Admin struct {
	cfg    Config
	engine *gin.Engine
}

// New makes an Admin. It fails where something of cfg is missing and where the
// registry has metrics of the same names.
func New(cfg Config) (*Admin, error) {
	if len(cfg.Connectors) == 0 || cfg.Usage == nil {
		return nil, errors.New("admin needs connectors and the usage of a store")
	}
	if cfg.Registry == nil {
		cfg.Registry = prometheus.NewRegistry()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	a := &Admin{cfg: cfg}
	if err := cfg.Registry.Register(newCollector(cfg)); err != nil {
		return nil, err
	}
	a.engine = a.routes()
	return a, nil
}

func (a *Admin) routes() *gin.Engine {
	e := gin.New()
	e.HandleMethodNotAllowed = true
	e.RedirectTrailingSlash = false
	e.GET("/livez", func(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"alive": true}) })
	e.GET("/readyz", a.ready)
	e.GET("/status", func(c *gin.Context) { c.JSON(http.StatusOK, a.Status()) })
	e.GET("/api/dead", a.dead)
	e.POST("/api/dead/replay", a.move(replaying()))
	e.POST("/api/dead/purge", a.move(purging()))
	e.GET("/metrics", gin.WrapH(promhttp.HandlerFor(a.cfg.Registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(a.cfg.Log.Handler(), slog.LevelError),
	})))
	e.NoRoute(func(c *gin.Context) {
		fail(c, http.StatusNotFound, "there is nothing here; see /livez, /readyz, /metrics, /status and /api/dead")
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

func fail(c *gin.Context, status int, text string) {
	c.JSON(status, struct {
		Error string `json:"error"`
	}{text})
}

// ready answers whether batches can be stored. A destination in trouble is in
// the body and no reason to send Braze away: the queue is there for that.
func (a *Admin) ready(c *gin.Context) {
	usage := a.cfg.Usage()
	answer := struct {
		Ready      bool             `json:"ready"`
		Reason     string           `json:"reason,omitempty"`
		Connectors []readyConnector `json:"connectors"`
	}{Ready: true}
	switch {
	case usage.Err != nil:
		answer.Ready, answer.Reason = false, usage.Err.Error()
	case usage.Full:
		answer.Ready, answer.Reason = false, queue.ErrFull.Error()
	}
	for _, connector := range a.cfg.Connectors {
		answer.Connectors = append(answer.Connectors, readyConnector{connector.Name, destinationOf(connector)})
	}
	status := http.StatusOK
	if !answer.Ready {
		status = http.StatusServiceUnavailable
	}
	c.JSON(status, answer)
}

type readyConnector struct {
	Name        string      `json:"name"`
	Destination Destination `json:"destination"`
}
