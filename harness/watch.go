package harness

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// watch is middleware that observes what the books need to know: which responses
// were lost, and whether a request is still in flight.
type watch struct {
	next    http.Handler
	address string // that it is served on
	lost    func() // called before the client can notice that no response comes

	inFlight atomic.Int64 // requests
	conns    openConns
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

// idle says whether no request is in flight.
func (w *watch) idle() bool { return w.inFlight.Load() == 0 }

// drain waits until nothing that a client, which is gone, has sent can still have
// an effect: what it sent may lie in a connection that the server
// has not even accepted yet. Connections are accepted in their order, so one
// more that is seen means that all before it were; then each must close.
func (w *watch) drain(ctx context.Context) error {
	last, err := (&net.Dialer{}).DialContext(ctx, "tcp", w.address)
	if err != nil {
		return fmt.Errorf("wait until RudderStack has nothing in flight: %w", err)
	}
	err = await(ctx, func() bool { return w.conns.saw(last.LocalAddr().String()) })
	_ = last.Close() // nothing was sent on it
	if err == nil {
		err = await(ctx, w.conns.none)
	}
	return err
}

// await asks again and again until ok or the end of ctx.
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

// openConns are the open ones of a server, by the address at the other end.
type openConns struct {
	mu   sync.Mutex
	open map[string]struct{}
}

// note is for http.Server.ConnState.
func (c *openConns) note(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		if c.open == nil {
			c.open = map[string]struct{}{}
		}
		c.open[conn.RemoteAddr().String()] = struct{}{}
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn.RemoteAddr().String())
	}
}

func (c *openConns) saw(address string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, open := c.open[address]
	return open
}

func (c *openConns) none() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open) == 0
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

// Flush implements http.Flusher.
func (a *watchedResponse) Flush() {
	_ = http.NewResponseController(a.ResponseWriter).Flush()
}

// Unwrap lets an http.ResponseController reach the response itself.
func (a *watchedResponse) Unwrap() http.ResponseWriter { return a.ResponseWriter }
