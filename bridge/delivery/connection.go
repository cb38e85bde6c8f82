package delivery

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// newTransport returns the transport that a Sender uses unless it is given one.
// Certificates are verified by roots, nil for the system's. As many connections are
// kept open as there are requests at once. The timeout of a whole request is the
// Sender's.
func newTransport(concurrency int, roots *x509.CertPool) *http.Transport {
	// Connecting goes on after a request has timed out; the timeout ends it.
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &orderedConn{Conn: conn}, nil
		},
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        0, // no limit beside the one for the host
		MaxIdleConnsPerHost: concurrency,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		DisableCompression:  true, // responses are one line
		// Requests are megabytes and responses a line: fewer system calls one
		// way, less memory the other.
		WriteBufferSize:        64 << 10,
		MaxResponseHeaderBytes: 64 << 10,
		HTTP2: &http.HTTP2Config{
			// A connection that went silent would fail every request until TCP
			// gives up, after a quarter of an hour.
			SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second,
		},
	}
}

// orderedConn remembers whether the last bytes went out or came in, so that a
// response can be told from one that was there before its request was written.
type orderedConn struct {
	net.Conn
	steps       atomic.Int64
	read, wrote atomic.Int64 // step at which bytes came, at which a write began
}

func (c *orderedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.read.Store(c.steps.Add(1))
	}
	return n, err
}

func (c *orderedConn) Write(p []byte) (int, error) {
	c.wrote.Store(c.steps.Add(1))
	return c.Conn.Write(p)
}

// answered reports whether bytes have come since the last write began.
func (c *orderedConn) answered() bool { return c.read.Load() > c.wrote.Load() }

// early reports whether bytes came on a connection of newTransport before the last
// request on it was written.
func early(conn net.Conn) bool {
	for {
		switch c := conn.(type) {
		case *orderedConn:
			return !c.answered()
		case interface{ NetConn() net.Conn }: // of TLS
			conn = c.NetConn()
		default:
			return false
		}
	}
}

// pool hands out transports. Connections live no longer than maxAge: after
// that all requests go through a new transport, which looks the name up again.
type pool struct {
	fixed    http.RoundTripper // takes every request; nil: none
	template *http.Transport   // else copies of it
	maxAge   time.Duration

	mu      sync.Mutex
	current *http.Transport
	since   time.Time
}

// get returns the transport for one request. A request that is alone has a
// connection of its own, new and closed afterwards: behind a balancer it may reach
// another server than the one that failed, and there is nothing on it that was
// meant for another request.
func (p *pool) get(alone bool) http.RoundTripper {
	switch {
	case p.fixed != nil:
		return p.fixed
	case alone:
		own := p.template.Clone()
		own.DisableKeepAlives = true
		return own
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); p.current == nil || now.Sub(p.since) >= p.maxAge {
		if p.current != nil {
			// Those in use now end after their response, or, over HTTP/2, with the idle timeout.
			p.current.CloseIdleConnections()
		}
		p.current, p.since = p.template.Clone(), now
	}
	return p.current
}

// close closes the connections that are not in use.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current != nil {
		p.current.CloseIdleConnections()
		p.current = nil
	}
}
