package intake

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Certificates is a certificate with its key, read again when their files
// change: as certbot and Kubernetes renew them, by other files under the same
// names, by links that point elsewhere, or in place. Make one with
// NewCertificates. It is safe for concurrent use.
type Certificates struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
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
	c := &Certificates{certFile: certFile, keyFile: keyFile, log: log, looked: time.Now()}
	var err error
	c.current, err = c.read()
	return c, err
}

func (c *Certificates) read() (*tls.Certificate, error) {
	made, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", c.certFile, c.keyFile, err)
	}
	return &made, nil
}

// TLS returns a configuration for a server that shows the certificate: TLS 1.2
// or newer, HTTP/2 and HTTP/1.1.
func (c *Certificates) TLS() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.get(time.Now()), nil },
	}
}

// get returns the certificate, read anew where it is time to.
func (c *Certificates) get(now time.Time) *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.looked) < lookAgain {
		return c.current
	}
	c.looked = now
	found, err := c.read()
	switch {
	case err != nil && err.Error() != c.failed:
		c.failed = err.Error()
		c.log.Error("the certificate cannot be read again; the old one is kept", "error", err)
	case err == nil:
		c.failed = ""
		if !bytes.Equal(found.Leaf.Raw, c.current.Leaf.Raw) {
			c.log.Info("a new certificate is in use", "file", c.certFile, "not_after", found.Leaf.NotAfter)
		}
		c.current = found
	}
	return c.current
}
