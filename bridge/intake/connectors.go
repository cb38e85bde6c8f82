package intake

import (
	"context"
	"maps"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// Appender is what intake needs of a connector's queue; see queue.Queue. Append
// returns within a time of its own, with queue.ErrAway where the batch is not stored by
// then, and does not use the batch any more once it has returned.
type Appender interface {
	Append(ctx context.Context, b queue.Batch) (queue.Receipt, error)
}

// ReasonNoExternalUserID is the reason of the dead letters that config.Dead makes for
// MissingExternalUserID.
const ReasonNoExternalUserID = "no_external_user_id"

// Connector is one Current of Braze, as the configuration has checked it, with its
// queue.
type Connector struct {
	config.Connector
	Queue Appender
}

// table says whose a request is. It never changes; Reload replaces it.
type table struct {
	connectors []*connector
	byName     map[string]*connector
	tokens     tokens
	firstOpen  *connector // takes requests from anyone; nil: none does
	keepBatch  bool       // a connector has WrongToken 503
}

type connector struct {
	Connector
	quotas
	types   *mapping.TypeFilter // filters out, before any reason to dead-letter an event
	metrics connectorMetrics
	// What lets a line of the log through from time to time: about requests of
	// another version of Currents, those without a good token, batches that could
	// not be stored, and batches with an event that the queue cannot keep.
	version, refused, failed, oversized rate.Sometimes
}

// quiet is the usual time between two lines of the log about the same thing.
const quiet = 10 * time.Second

func (in *Intake) connector(c Connector) *connector {
	return &connector{
		Connector: c, types: c.Mapping().Filter.Types(), metrics: in.metrics.of(c.Name), version: rate.Sometimes{Interval: time.Hour},
		refused: rate.Sometimes{Interval: quiet}, failed: rate.Sometimes{Interval: quiet}, oversized: rate.Sometimes{Interval: quiet},
	}
}

// quotas are what a connector may take of what all share.
type quotas struct{ requests, small, large quota }

// quota is how much of something a connector may take: what is its own, which no
// other connector can take, and then what all share.
type quota struct{ own, shared *semaphore.Weighted }

// take takes n and returns the semaphore to release it to; nil: there is no room.
func (q quota) take(n int64) *semaphore.Weighted {
	if q.own.TryAcquire(n) {
		return q.own
	}
	if q.shared.TryAcquire(n) {
		return q.shared
	}
	return nil
}

// divide returns a function that makes the quotas of n connectors: half of limit
// is divided evenly, but each gets least of its own even where that makes more
// than limit. One connector alone has all of it.
func divide(limit, least int64, n int) func() quota {
	own := limit
	if n > 1 {
		own = max(limit/2/int64(n), least)
	}
	shared := semaphore.NewWeighted(max(0, limit-own*int64(n)))
	return func() quota { return quota{semaphore.NewWeighted(own), shared} }
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

func (c *connector) open() bool { return len(c.Tokens) == 0 }
