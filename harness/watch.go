package harness

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// watch is middleware that observes what the books need to know: which responses
// were lost, and whether a request is still in flight.
type watch struct {
	next http.Handler
	lost func() // called before the client can notice that no response comes

	inFlight atomic.Int64 // requests
}

// ServeHTTP passes the request on. A response is lost where the connection is
// hijacked or closed, or where the client has left.
func (w *watch) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.inFlight.Add(1)
	defer w.inFlight.Add(-1)
	response := &watchedResponse{ResponseWriter: rw, lost: w.lost}
	left := context.AfterFunc(r.Context(), response.lose)
	returned := false
	defer func() {
		left()
		if !returned { // a panic, which closes the connection once it is past here
			response.lose()
		}
	}()
	w.next.ServeHTTP(response, r)
	returned = true
}

func (w *watch) idle() bool { return w.inFlight.Load() == 0 }

func await(ctx context.Context, ok func() bool) error {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

type watchedResponse struct {
	http.ResponseWriter
	lost func()
	done atomic.Bool
}

func (a *watchedResponse) lose() {
	if !a.done.Swap(true) {
		a.lost()
	}
}

// Hijack implements http.Hijacker: a handler that takes the connection over sends no
// response.
func (a *watchedResponse) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	a.lose()
	return http.NewResponseController(a.ResponseWriter).Hijack()
}

// Unwrap lets an http.ResponseController reach the response itself.
func (a *watchedResponse) Unwrap() http.ResponseWriter { return a.ResponseWriter }
