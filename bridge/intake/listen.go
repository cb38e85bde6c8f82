package intake

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// defaultMaxConnections is Listen's where none is given.
const defaultMaxConnections = 1000

// Listen bounds the connections that ln gives at one time, default 1,000, and
// wraps them in TLS where certs is not nil; the handshake is left to whoever
// serves the connection, so a slow one holds up nobody. It is made for the
// server that Intake.Server returns, which says what each connection does.
//
// When there are too many, the one that has waited longest for a request makes
// room for the next: a connection that is kept open, or that never asked for
// anything, locks nobody out. While all are in the middle of a request, new
// ones wait in the system's queue; they are not refused.
func Listen(ln net.Listener, maxConnections int, certs *Certificates) net.Listener {
	if maxConnections <= 0 {
		maxConnections = defaultMaxConnections
	}
	l := &listener{Listener: ln, limit: maxConnections, free: make(chan struct{}, 1), closed: make(chan struct{})}
	if certs != nil {
		l.tls = certs.TLS()
	}
	return l
}

type listener struct {
	net.Listener
	limit int
	tls   *tls.Config // nil: none

	mu      sync.Mutex
	open    int
	waiting list.List     // of *conn that wait for a request, longest first
	free    chan struct{} // holds something after a connection ended or began to wait

	closing sync.Once
	closed  chan struct{}
}

// Accept returns the next connection once there is room for it.
func (l *listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	for !l.admit() {
		select {
		case <-l.free:
		case <-l.closed:
			inner.Close()
			return nil, net.ErrClosed
		}
	}
	made := &conn{Conn: inner, of: l}
	if l.tls != nil {
		return tls.Server(made, l.tls), nil
	}
	return made, nil
}

// admit makes room for one connection, if need be at the cost of one that waits.
func (l *listener) admit() bool {
	l.mu.Lock()
	if l.open < l.limit {
		l.open++
		l.mu.Unlock()
		return true
	}
	var idle *conn
	if longest := l.waiting.Front(); longest != nil {
		idle = longest.Value.(*conn)
		idle.gone()
		l.open++
	}
	l.mu.Unlock()
	if idle == nil {
		return false
	}
	_ = idle.Conn.Close()
	return true
}

// Close stops listening; the connections that are open stay.
func (l *listener) Close() error {
	l.closing.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// changed wakes Accept, if it waits.
func (l *listener) changed() {
	select {
	case l.free <- struct{}{}:
	default:
	}
}

// conn is a connection that counts.
type conn struct {
	net.Conn
	of     *listener
	place  *list.Element // in of.waiting; nil: in the middle of a request, or not known
	closed bool
}

// Close closes the connection and makes room for another.
func (c *conn) Close() error {
	c.of.mu.Lock()
	c.gone()
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// gone takes the connection off the books, once. The caller holds the lock.
func (c *conn) gone() {
	c.move(false)
	if !c.closed {
		c.closed = true
		c.of.open--
		c.of.changed()
	}
}

// move notes whether the connection waits. The caller holds the lock.
func (c *conn) move(waits bool) {
	switch {
	case waits && c.place == nil && !c.closed:
		c.place = c.of.waiting.PushBack(c)
		c.of.changed()
	case !waits && c.place != nil:
		c.of.waiting.Remove(c.place)
		c.place = nil
	}
}

// CloseWrite tells the client that nothing more comes, if the connection can.
// net/http does so before it closes, that the last answer may still be read.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// connState is for http.Server: it tells the listener which connections wait
// for a request. Those whose first headers are on their way count as waiting.
func connState(of net.Conn, state http.ConnState) {
	if wrapped, ok := of.(*tls.Conn); ok {
		of = wrapped.NetConn()
	}
	c, ok := of.(*conn)
	if !ok {
		return // from another listener
	}
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.move(state == http.StateNew || state == http.StateIdle)
}
