package gateway

import (
	"context"
	"net/http"
	"time"
)

// Outage says which parts of RudderStack fail, and how.
type Outage struct {
	Transformer string // TransformerDown, TransformerHang, TransformerError or ""
	Database    string // DatabaseDown, DatabaseLocked or ""
}

// The ways in which parts fail, with the response to a request.
const (
	TransformerDown  = "down"   // 503 after a second
	TransformerHang  = "hang"   // closed after 30 seconds
	TransformerError = "error"  // 500
	DatabaseDown     = "down"   // 500
	DatabaseLocked   = "locked" // closed after 10 seconds
)

// How long RudderStack takes until it responds to a failure.
const (
	transformerDownAfter = time.Second
	transformerHangAfter = 30 * time.Second
	databaseLockedAfter  = 10 * time.Second
)

type outageKey struct{}

// WithOutage makes parts of RudderStack fail for the requests of a context.
func WithOutage(ctx context.Context, outage Outage) context.Context {
	return context.WithValue(ctx, outageKey{}, outage)
}

func outageOf(r *http.Request) Outage {
	outage, _ := r.Context().Value(outageKey{}).(Outage)
	return outage
}

// transformer is the response of a failing transformer, nil if it works.
func (g *Gateway) transformer(r *http.Request, key string) *Refusal {
	switch outageOf(r).Transformer {
	case TransformerDown:
		g.host.Pause(r.Context(), transformerDownAfter)
		return &Refusal{http.StatusServiceUnavailable, `JS HTTP connection to source transformer (URL: http://localhost:9090/v2/sources/braze): ` +
			`Post "http://localhost:9090/v2/sources/braze": dial tcp 127.0.0.1:9090: connect: connection refused`}
	case TransformerHang:
		g.host.Pause(r.Context(), transformerHangAfter)
		g.abort(key)
	case TransformerError:
		return &Refusal{http.StatusInternalServerError, "internal server error in source transformer"}
	}
	return nil
}

// database is the response of a failing database, nil if it works.
func (g *Gateway) database(r *http.Request, key string) *Refusal {
	switch outageOf(r).Database {
	case DatabaseDown:
		return &Refusal{http.StatusInternalServerError, "dial tcp 127.0.0.1:5432: connect: connection refused"}
	case DatabaseLocked:
		g.host.Pause(r.Context(), databaseLockedAfter)
		g.abort(key)
	}
	return nil
}

// abort closes the connection without a response.
func (g *Gateway) abort(key string) {
	g.host.Answered(key, 0)
	panic(http.ErrAbortHandler)
}
