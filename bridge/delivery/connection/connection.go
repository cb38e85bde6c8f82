// Package connection makes the connections to RudderStack: how they are opened and
// how long they are used.
package connection

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"
)

// NewTransport returns the transport that a Sender uses unless it is given one:
// certificates are verified by the system's CAs, unless RootCAs are set in its
// TLSClientConfig, and TLS is 1.2 at least; HTTP/2 is used where the other side
// offers it over TLS, proxies are taken from the environment (HTTP_PROXY,
// HTTPS_PROXY, NO_PROXY), and as many connections are kept open as there are
// requests at once. The timeout of a whole request is the Sender's.
func NewTransport(concurrency int) *http.Transport {
	dialer := &net.Dialer{
		// Connecting goes on after a request has timed out; this ends it.
		Timeout:   10 * time.Second,
		KeepAlive: 15 * time.Second,
	}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        0, // no limit beside the one for the host
		MaxIdleConnsPerHost: concurrency,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		DisableCompression:  true, // responses are one line
		// Requests are megabytes and responses a line: fewer system calls one
		// way, less memory the other.
		WriteBufferSize:        64 << 10,
		MaxResponseHeaderBytes: 64 << 10,
		HTTP2: &http.HTTP2Config{
			// A connection that went silent would fail every request until TCP
			// gives up, after a quarter of an hour.
			SendPingTimeout: 10 * time.Second,
			PingTimeout:     5 * time.Second,
		},
	}
}

// Pool hands out transports. Connections live no longer than MaxAge: after
// that all requests go through a new transport, which looks the name up again.
type Pool struct {
	Fixed    http.RoundTripper // takes every request; nil: none
	Template *http.Transport   // else copies of it
	MaxAge   time.Duration

	mu      sync.Mutex
	current *http.Transport
	since   time.Time
}

// Get returns the transport for one request. A request that is alone has a
// connection of its own, new and closed afterwards: behind a balancer it may reach
// another server than the one that failed, and there is nothing on it that was
// meant for another request.
func (p *Pool) Get(alone bool) http.RoundTripper {
	switch {
	case p.Fixed != nil:
		return p.Fixed
	case alone:
		own := p.Template.Clone()
		own.DisableKeepAlives = true
		return own
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); p.current == nil || now.Sub(p.since) >= p.MaxAge {
		if p.current != nil {
			p.current.CloseIdleConnections() // those in use now end when they are idle for too long
		}
		p.current, p.since = p.Template.Clone(), now
	}
	return p.current
}

// Close closes the connections that are not in use.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current != nil {
		p.current.CloseIdleConnections()
		p.current = nil
	}
}
