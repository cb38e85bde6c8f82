package intake

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

const defaultMaxConnections = 1000

// Listen bounds the connections that ln gives at one time, default 1,000, and
// serves them over TLS 1.2 or newer where certs is not nil; the handshake is part of
// the first read, so that a slow one delays no other. It is made for the server that
// Intake.Server returns, which says what each connection does.
//
// When there are too many, one makes room for the next: the oldest that has not
// shown a good token, whatever it does, else the one that has waited longest for
// a request. So a connection that is kept open, or that never shows a token, keeps
// no other out. While all are in the middle of a request with a good token, new
// ones wait in the system's queue; they are not refused.
func Listen(ln net.Listener, maxConnections int, certs *Certificates) net.Listener {
	if maxConnections <= 0 {
		maxConnections = defaultMaxConnections
	}
	l := &listener{Listener: ln, places: semaphore.NewWeighted(int64(maxConnections))}
	l.open, l.stop = context.WithCancel(context.Background())
	if certs != nil {
		l.tls = &tls.Config{
			MinVersion:     tls.VersionTLS12,
			NextProtos:     []string{"h2", "http/1.1"},
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certs.get(time.Now()), nil },
		}
	}
	return l
}

type listener struct {
	net.Listener
	tls    *tls.Config // nil: none
	places *semaphore.Weighted
	open   context.Context // ends with Close
	stop   func()

	mu        sync.Mutex
	untrusted list.List // of *conn that have not shown a good token, oldest first
	idle      list.List // of *conn that have, and wait for a request, longest first
	short     bool      // Accept waits for a place
}

// Accept returns the next connection once there is a place for it.
func (l *listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if !l.places.TryAcquire(1) {
		l.mu.Lock()
		l.short = !l.evict(&l.untrusted) && !l.evict(&l.idle)
		l.mu.Unlock()
		if l.places.Acquire(l.open, 1) != nil {
			inner.Close()
			return nil, net.ErrClosed
		}
	}
	made := &conn{Conn: inner, tcp: inner, of: l}
	if l.tls != nil {
		made.Conn = tls.Server(inner, l.tls)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.short = false
	made.move(&l.untrusted)
	return made, nil
}

// evict closes the first connection of a list. The caller holds the lock.
func (l *listener) evict(from *list.List) bool {
	first := from.Front()
	if first == nil {
		return false
	}
	victim := first.Value.(*conn)
	victim.leave()
	_ = victim.tcp.Close() // at once, without the closing alert of TLS
	return true
}

// Close stops listening; the connections that are open stay.
func (l *listener) Close() error {
	l.stop()
	return l.Listener.Close()
}

// conn is a connection that has a place. What it reads and writes is plain text,
// over TLS or not.
type conn struct {
	net.Conn
	tcp     net.Conn
	of      *listener
	trusted atomic.Bool

	in    *list.List // untrusted, idle, or nil: in the middle of a request
	place *list.Element
	left  bool // it has no place any more
}

// Read reads what the client sent. One that speaks HTTP where TLS is expected is told so.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if plain, ok := errors.AsType[tls.RecordHeaderError](err); ok && plain.Conn != nil && 'A' <= plain.RecordHeader[0] && plain.RecordHeader[0] <= 'Z' {
		_, _ = io.WriteString(plain.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
		_ = plain.Conn.Close()
	}
	return n, err
}

// Close closes the connection and gives its place back.
func (c *conn) Close() error {
	c.of.mu.Lock()
	c.leave()
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite tells the client that nothing more comes, if the connection can.
// net/http does so before it closes, so that the last response may still be read.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// leave gives the connection's place back, once. The caller holds the lock.
func (c *conn) leave() {
	c.move(nil)
	if !c.left {
		c.left = true
		c.of.places.Release(1)
	}
}

// move puts the connection at the end of a list. The caller holds the lock.
func (c *conn) move(to *list.List) {
	if c.in == to || c.left {
		return
	}
	if c.in != nil {
		c.in.Remove(c.place)
	}
	if c.in = to; to != nil {
		c.place = to.PushBack(c)
	}
}

// trust notes that the connection has shown a good token, in a request that is in
// flight.
func (c *conn) trust() {
	if c.trusted.Load() {
		return
	}
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.trusted.Store(true)
	c.move(nil)
}

// connState is for http.Server: it tells the listener which connections wait for
// a request.
func connState(of net.Conn, state http.ConnState) {
	c, ok := of.(*conn)
	if !ok || !c.trusted.Load() {
		return // from another listener, or not trusted yet
	}
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	switch state {
	case http.StateActive:
		c.move(nil)
	case http.StateIdle:
		c.move(&c.of.idle)
		if c.of.short {
			c.of.short = !c.of.evict(&c.of.idle)
		}
	}
}

type connKey struct{}

// connContext is for http.Server: it lets a request find its connection.
func connContext(ctx context.Context, of net.Conn) context.Context {
	if c, ok := of.(*conn); ok {
		return context.WithValue(ctx, connKey{}, c)
	}
	return ctx
}

// Certificates is a certificate with its key, read again when their files
// change: as certbot and Kubernetes renew them, by other files under the same
// names, by links that point elsewhere, or in place. Make one with
// NewCertificates. It is safe for concurrent use.
type Certificates struct {
	certFile, keyFile string
	log               *slog.Logger

	current atomic.Pointer[tls.Certificate]
	looking sync.Mutex // held by the one handshake that reads the files
	looked  time.Time
	failed  string // the error that reading ended in the last time
}

// lookAgain is how long what was read is believed: two small files once a second
// are cheap.
const lookAgain = time.Second

// NewCertificates reads a certificate, with the chain to its authority, and its
// key, both PEM. It fails where the files cannot be read or do not belong
// together. Later changes are taken up at the first TLS handshake a second or
// more after the last look. A bad new pair is logged once and the old one is kept.
func NewCertificates(certFile, keyFile string, log *slog.Logger) (*Certificates, error) {
	c := &Certificates{certFile: certFile, keyFile: keyFile, log: log}
	if c.get(time.Now()) == nil {
		return nil, errors.New(c.failed)
	}
	return c, nil
}

// get returns the certificate, read again where it is time to. One handshake does it,
// and the others go on with what there is: a disk may hang.
func (c *Certificates) get(now time.Time) *tls.Certificate {
	if !c.looking.TryLock() {
		return c.current.Load()
	}
	defer c.looking.Unlock()
	if now.Sub(c.looked) < lookAgain {
		return c.current.Load()
	}
	c.looked = now
	found, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err == nil {
		if last := c.current.Swap(&found); last != nil && !last.Leaf.Equal(found.Leaf) {
			c.log.Info("a new certificate is in use", "file", c.certFile, "not_after", found.Leaf.NotAfter)
		}
		c.failed = ""
		return &found
	}
	text := fmt.Sprintf("certificate %s with key %s: %v", c.certFile, c.keyFile, err)
	if c.current.Load() != nil && text != c.failed {
		c.log.Error("the certificate cannot be read again; the old one is kept", "error", text)
	}
	c.failed = text
	return c.current.Load()
}
