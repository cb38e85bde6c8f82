package gateway

import (
	"context"
	"net/http"
	"time"
)

// Outage says which parts of RudderStack fail, and how: the transformer as "down",
// "hang" or "error", the database as "down" or "locked"; "" is a part that works.
type Outage struct{ Transformer, Database string }

type outageKey struct{}

// WithOutage makes parts of RudderStack fail for the requests of a context.
func WithOutage(ctx context.Context, outage Outage) context.Context {
	return context.WithValue(ctx, outageKey{}, outage)
}

func outageOf(r *http.Request) Outage {
	outage, _ := r.Context().Value(outageKey{}).(Outage)
	return outage
}

// transformer is the response of a failing transformer, after the time that RudderStack
// takes for it; nil if it works.
func (g *Gateway) transformer(r *http.Request, key string) *Refusal {
	switch outageOf(r).Transformer {
	case "down":
		g.Pause(r.Context(), time.Second)
		return &Refusal{http.StatusServiceUnavailable, `JS HTTP connection to source transformer (URL: http://localhost:9090/v2/sources/braze): ` +
			`Post "http://localhost:9090/v2/sources/braze": dial tcp 127.0.0.1:9090: connect: connection refused`}
	case "hang":
		g.Pause(r.Context(), 30*time.Second)
		g.abort(key)
	case "error":
		return &Refusal{http.StatusInternalServerError, "internal server error in source transformer"}
	}
	return nil
}

// database is the response of a failing database, as transformer.
func (g *Gateway) database(r *http.Request, key string) *Refusal {
	switch outageOf(r).Database {
	case "down":
		return &Refusal{http.StatusInternalServerError, "dial tcp 127.0.0.1:5432: connect: connection refused"}
	case "locked":
		g.Pause(r.Context(), 10*time.Second)
		g.abort(key)
	}
	return nil
}

// abort closes the connection without a response.
func (g *Gateway) abort(key string) {
	g.Answered(key, 0)
	panic(http.ErrAbortHandler)
}
