package intake

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// Certificates is a certificate with its key, read again when their files
// change: as certbot and Kubernetes renew them, by other files under the same
// names, by links that point elsewhere, or in place. Make one with
// NewCertificates. It is safe for concurrent use.
type Certificates struct {
	certFile, keyFile string
	log               *slog.Logger
	now               func() time.Time
	current           atomic.Pointer[tls.Certificate]
	next              atomic.Int64 // when to look again, in nanoseconds since the epoch

	// Only who has moved next forward touches these, so one at a time.
	looking atomic.Bool
	seen    pair
	unread  string // the error that reading ended in the last time
}

// pair is what the two files hold.
type pair struct{ cert, key []byte }

// looking once a second is cheap, two small files, and soon enough.
const lookAgain = time.Second

// NewCertificates reads a certificate, with the chain to its authority, and its
// key, both PEM. It fails where the files cannot be read or do not belong
// together. Later changes are taken up at the first TLS handshake a second or
// more after the last look. A bad new pair is logged once and the old one is
// kept. log may be nil.
func NewCertificates(certFile, keyFile string, log *slog.Logger) (*Certificates, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Certificates{certFile: certFile, keyFile: keyFile, log: log, now: time.Now}
	found, err := c.read()
	if err != nil {
		return nil, err
	}
	made, err := c.parse(found)
	if err != nil {
		return nil, err
	}
	c.seen = found
	c.current.Store(made)
	c.next.Store(c.now().Add(lookAgain).UnixNano())
	return c, nil
}

// TLS returns a configuration for a server that shows the certificate: TLS 1.2
// or newer, HTTP/2 and HTTP/1.1.
func (c *Certificates) TLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			c.look()
			return c.current.Load(), nil
		},
	}
}

// look takes up a new pair, if it is time to look and there is one. One
// handshake does it; the others go on with what there is.
func (c *Certificates) look() {
	if c.now().UnixNano() < c.next.Load() || !c.looking.CompareAndSwap(false, true) {
		return
	}
	defer c.looking.Store(false)
	c.next.Store(c.now().Add(lookAgain).UnixNano())
	found, err := c.read()
	if err != nil {
		if c.unread != err.Error() {
			c.unread = err.Error()
			c.log.Error("the certificate cannot be read again; the old one is kept", "error", err)
		}
		return
	}
	c.unread = ""
	if bytes.Equal(found.cert, c.seen.cert) && bytes.Equal(found.key, c.seen.key) {
		return
	}
	c.seen = found // a bad one too, so that it is named once
	made, err := c.parse(found)
	if err != nil {
		c.log.Error("the new certificate is not taken; the old one is kept", "error", err)
		return
	}
	c.current.Store(made)
	c.log.Info("a new certificate is in use", "file", c.certFile, "not_after", made.Leaf.NotAfter)
}

func (c *Certificates) read() (pair, error) {
	cert, err := os.ReadFile(c.certFile)
	if err != nil {
		return pair{}, fmt.Errorf("read the certificate: %w", err)
	}
	key, err := os.ReadFile(c.keyFile)
	if err != nil {
		return pair{}, fmt.Errorf("read the certificate's key: %w", err)
	}
	return pair{cert, key}, nil
}

func (c *Certificates) parse(p pair) (*tls.Certificate, error) {
	made, err := tls.X509KeyPair(p.cert, p.key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", c.certFile, c.keyFile, err)
	}
	return &made, nil
}
