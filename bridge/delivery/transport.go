package delivery

import (
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// NewTransport returns the transport that a Sender uses unless it is given one:
// certificates are verified by the system's CAs, unless RootCAs are set in its
// TLSClientConfig, and TLS is 1.2 at least; HTTP/2 is used where the other side offers it over
// TLS, proxies are taken from the environment, and as many connections are kept
// open as there are POSTs at once. The time-out of a whole POST is the Sender's.
func NewTransport(concurrency int) *http.Transport {
	dialer := &net.Dialer{
		// Connecting goes on behind a POST that was given up; this ends it.
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
		DisableCompression:  true, // answers are one line
		// POSTs are megabytes and answers a line: fewer system calls one way,
		// less memory the other.
		WriteBufferSize:        64 << 10,
		MaxResponseHeaderBytes: 64 << 10,
		HTTP2: &http.HTTP2Config{
			// A connection that went silent would fail every POST until TCP
			// gives up, after a quarter of an hour.
			SendPingTimeout: 10 * time.Second,
			PingTimeout:     5 * time.Second,
		},
	}
}
