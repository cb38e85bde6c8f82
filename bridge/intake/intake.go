// Package intake is the HTTP endpoint that Braze posts to. It checks the token
// before it reads the body, finds the events, sorts out those that can never be
// delivered, and responds 200 only once the queue has the batch on disk.
//
// Its responses follow what Braze's Custom HTTP connector makes of them: 400 is
// for what is no batch at all, because Braze drops an event that gets 400 alone;
// after 401, 403 and 404 Braze does not send the batch again either; whatever the
// bridge cannot store now is 503, which Braze retries for days.
package intake

import (
	"cmp"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
)

// Config says what an Intake takes. Connectors is needed; a zero in any other
// field means its default.
//
// Of MaxRequests and MaxBuffered half is divided evenly among the connectors, so
// that one whose senders flood it, or whose queue hangs, leaves the others theirs.
type Config struct {
	Connectors []Connector

	// MaxBody is the largest body that is taken, in bytes, uncompressed; a larger
	// one gets 413, upon which Braze sends smaller batches. Default 16 MiB.
	MaxBody int64
	// MaxEvents is the most events that one request may have; more get 413.
	// Default 250,000; Braze sends at most 100.
	MaxEvents int
	// MaxBuffered bounds the memory for the bodies of all requests in flight, in
	// bytes; beyond it the response is 503. Half of it is kept for bodies of up
	// to 256 KiB, as Braze's usually are, so that a few large ones cannot keep
	// them out. Default 128 MiB, or 8 times MaxBody if that is more.
	MaxBuffered int64
	// MaxRequests is the number of requests in flight at once, over all
	// connectors; beyond it the response is 503, and the body is not read.
	// Default 1,024.
	MaxRequests int
	Log         *slog.Logger          // default: none
	Registerer  prometheus.Registerer // takes the metrics; default: none
}

func (c Config) withDefaults() Config {
	c.MaxBody = cmp.Or(c.MaxBody, 16<<20)
	c.MaxEvents = cmp.Or(c.MaxEvents, 250_000)
	c.MaxBuffered = cmp.Or(c.MaxBuffered, max(128<<20, 8*c.MaxBody))
	c.MaxRequests = cmp.Or(c.MaxRequests, 1024)
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	return c
}

// Intake is an http.Handler for the paths that Braze posts to: /currents, which
// is the first connector, /currents/NAME, and /v1/webhook?writeKey=TOKEN, where
// the token says which connector is meant, as a Current made for RudderStack
// posts. Make one with New. It is safe for concurrent use.
type Intake struct {
	cfg       Config
	table     atomic.Pointer[table]
	reloading sync.Mutex
	uses      map[tokenKey]*tokenUse // for Reload alone
	engine    *gin.Engine
	buffers   *buffers
	gzips     sync.Pool // of *gzip.Reader
	lists     sync.Pool // of *itemList
	scanners  scanners
	metrics   *metrics
	inFlight  atomic.Int64
	refused   rate.Sometimes // logs requests that meant no connector
}

// New makes an Intake. The configuration has seen to it that no two connectors share
// a name or a token.
func New(cfg Config) *Intake {
	cfg = cfg.withDefaults()
	in := &Intake{
		cfg:      cfg,
		uses:     map[tokenKey]*tokenUse{},
		buffers:  newBuffers(cfg.MaxBody),
		gzips:    sync.Pool{New: func() any { return new(gzip.Reader) }},
		lists:    sync.Pool{New: func() any { return new(itemList) }},
		scanners: newScanners(cfg.MaxEvents),
		refused:  rate.Sometimes{Interval: quiet},
	}
	in.metrics = newMetrics(cfg.Registerer, in)
	in.Reload(cfg.Connectors)
	in.engine = in.routes()
	return in
}

func (in *Intake) routes() *gin.Engine {
	e := gin.New()
	e.Use(func(c *gin.Context) {
		defer in.rescue(c, nil)
		// Where a proxy may have seen another end of the request than net/http does,
		// as with both Transfer-Encoding and Content-Length, what is behind it may be
		// smuggled: nothing more is read from the connection.
		if r := c.Request; !r.ProtoAtLeast(1, 1) || r.ProtoMajor == 1 && len(r.TransferEncoding) > 0 {
			c.Writer.Header().Set("Connection", "close")
		}
		c.Next()
	})
	e.HandleMethodNotAllowed = true
	e.RedirectTrailingSlash = false
	e.POST("/currents", in.toFirst)
	e.POST("/currents/:name", in.toNamed)
	e.POST("/v1/webhook", in.asRudderStack)
	e.NoMethod(func(c *gin.Context) {
		in.refuseUntrusted(c, nil, http.StatusMethodNotAllowed, "only POST is taken here; send the batch with POST")
	})
	e.NoRoute(func(c *gin.Context) {
		in.refuseUntrusted(c, nil, http.StatusNotFound, "there is nothing here; Braze posts to /currents or /currents/NAME")
	})
	return e
}

// ServeHTTP answers one request.
func (in *Intake) ServeHTTP(w http.ResponseWriter, r *http.Request) { in.engine.ServeHTTP(w, r) }

// Server returns an HTTP server for the public address, with limits that hold
// against slow and hostile clients. It is made to serve what Listen returns.
func (in *Intake) Server() *http.Server {
	// Listen hides TLS from net/http, to which HTTP/2 is therefore always the unencrypted one.
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler: in,
		// net/http would respond to OPTIONS * with 200.
		DisableGeneralOptionsHandler: true,
		// Also bounds a TLS handshake, which Listen leaves to the first read.
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       bodyTime,
		// Counted from the end of the headers, so it must leave room for the
		// body and the disk; a response itself is a hundred bytes.
		WriteTimeout:   bodyTime + 2*time.Minute, // append_timeout is a minute at most
		IdleTimeout:    2 * time.Minute,
		MaxHeaderBytes: 16 << 10,
		ConnState:      connState,
		ConnContext:    connContext,
		Protocols:      protocols,
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

func (in *Intake) connector(c Connector) *connector {
	return &connector{
		Connector: c, types: c.Mapping().Filter.Types(), metrics: in.metrics.of(c.Name), version: rate.Sometimes{Interval: time.Hour},
		refused: rate.Sometimes{Interval: quiet}, failed: rate.Sometimes{Interval: quiet}, oversized: rate.Sometimes{Interval: quiet},
	}
}

// Reload replaces the connectors at once and without losing a request: those in
// flight end with the connector that they began with, so its queue must stay open
// until they have ended. A connector that keeps its name keeps its metrics, and its
// tokens the record of their use.
func (in *Intake) Reload(connectors []Connector) {
	in.reloading.Lock()
	defer in.reloading.Unlock()
	next := in.newTable(connectors)
	requests := divide(int64(in.cfg.MaxRequests), 1, len(connectors))
	small := divide(in.cfg.MaxBuffered/2, leastSmall, len(connectors))
	large := divide(in.cfg.MaxBuffered/2, 0, len(connectors))
	before := in.table.Load()
	for _, c := range next.connectors {
		// With other connectors new quotas are made; what requests in flight
		// hold of the old ones comes on top until they end.
		c.quotas = quotas{requests(), small(), large()}
		if before != nil && maps.EqualFunc(before.byName, next.byName, func(_, _ *connector) bool { return true }) {
			c.quotas = before.byName[c.Name].quotas
		}
	}
	in.table.Store(next)
}

func (in *Intake) newTable(connectors []Connector) *table {
	t := &table{byName: make(map[string]*connector, len(connectors))}
	for _, c := range connectors {
		made := in.connector(c)
		t.byName[c.Name] = made
		t.connectors = append(t.connectors, made)
		if made.open() && t.firstOpen == nil {
			t.firstOpen = made
		}
		t.keepBatch = t.keepBatch || made.keepsBatch()
		t.tokens.add(made, in.uses)
	}
	return t
}
