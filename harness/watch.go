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

// watch stands around a server's handler and sees what the books need to know:
// which answers were lost, and whether anything is still under way.
type watch struct {
	next http.Handler
	lost func() // called before the other side can notice that no answer comes

	underWay atomic.Int64 // requests
	conns    openConns
}

// ServeHTTP hands the request on. An answer is lost where the connection is
// taken over or cut, or where the client has left.
func (w *watch) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.underWay.Add(1)
	defer w.underWay.Add(-1)
	answer := &watchedAnswer{ResponseWriter: rw, lost: w.lost}
	left := context.AfterFunc(r.Context(), answer.lose)
	returned := false
	defer func() {
		left()
		if !returned { // a panic, which cuts the connection once it is past here
			answer.lose()
		}
	}()
	w.next.ServeHTTP(answer, r)
	returned = true
}

// idle says whether no request is under way.
func (w *watch) idle() bool { return w.underWay.Load() == 0 }

// drain waits until nothing that a client, which is gone, has ever sent can
// still have an effect: what it sent may lie in a connection that the server
// has not even accepted yet. Connections are accepted in their order, so one
// more that is seen means that all before it were; then each must close.
func (w *watch) drain(ctx context.Context, address string) error {
	last, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("drain: %w", err)
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

type watchedAnswer struct {
	http.ResponseWriter
	lost func()
	done atomic.Bool
}

func (a *watchedAnswer) lose() {
	if !a.done.Swap(true) {
		a.lost()
	}
}

// Hijack implements http.Hijacker: whoever takes the connection over means to
// give no answer.
func (a *watchedAnswer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	a.lose()
	return http.NewResponseController(a.ResponseWriter).Hijack()
}

// Flush implements http.Flusher.
func (a *watchedAnswer) Flush() {
	_ = http.NewResponseController(a.ResponseWriter).Flush()
}

// Unwrap lets an http.ResponseController reach the answer itself.
func (a *watchedAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
