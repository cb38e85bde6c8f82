package intake

import (
	"context"
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

func (c *connector) open() bool { return len(c.Tokens) == 0 }
