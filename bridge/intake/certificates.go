package intake

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
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
