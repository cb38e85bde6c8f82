package bridge

import (
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// check looks at every value. What rewrites messages must be refused here for
// a connector in webhook mode: RudderStack's own mapping makes the messages
// there.
func (c Config) check(p *problems, key keyFunc) {
	checkAddress(p, "listen", c.Listen)
	checkAddress(p, "admin", c.Admin)
	if c.Listen == c.Admin && !strings.HasSuffix(c.Listen, ":0") {
		p.add("admin", "must be another address than listen: the operator's pages are not for Braze")
	}
	c.TLS.check(p, "tls")
	if c.AdminToken != "" && !bearerToken.MatchString(c.AdminToken) {
		p.add("admin_token", badToken)
	}
	c.checkStore(p)
	between(p, "max_body", c.MaxBody, 1, 1<<30, formatSize)
	between(p, "max_requests", c.MaxRequests, 0, 1_000_000, strconv.Itoa)
	between(p, "max_connections", c.MaxConnections, 0, 1_000_000, strconv.Itoa)
	between(p, "grace", c.Grace, 0, time.Hour, time.Duration.String)
	if len(c.Connectors) == 0 {
		p.add("connectors", "is empty; at least one connector is needed")
	}
	for i := range c.Connectors {
		c.Connectors[i].check(p, func(field string) string { return key(i, field) })
	}
	c.checkUnique(p, key)
}

// checkStore looks at what is needed to open the store, and at the log.
func (c Config) checkStore(p *problems) {
	if strings.TrimSpace(c.DataDir) == "" {
		p.add("data_dir", "is empty; it must be the directory that keeps the events")
	}
	c.Queue.check(p)
	atLeast(p, "retain.size", c.Retain.Size, 0)
	between(p, "scrub_every", c.ScrubEvery, 0, 366*24*time.Hour, time.Duration.String)
	oneWord(p, "log.format", c.Log.Format, "text", "json")
	oneWord(p, "log.level", c.Log.Level, "debug", "info", "warn", "error")
}

// check loads the certificate, as the bridge would; key is what its keys stand below.
func (t TLS) check(p *problems, key string) {
	switch {
	case t == TLS{}:
	case t.Cert == "":
		p.add(key+".key", "needs %s.cert, the PEM file of the certificate that it belongs to", key)
	case t.Key == "":
		p.add(key+".cert", "needs %s.key, the PEM file of the key that belongs to it", key)
	default:
		if _, err := tls.LoadX509KeyPair(t.Cert, t.Key); err != nil {
			p.add(key+".cert", "the certificate and %s.key cannot be used: %v", key, err)
		}
	}
}

func checkAddress(p *problems, key, address string) {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		p.add(key, "must be an address such as 127.0.0.1:8080, not %q", address)
	}
}

func oneWord[T ~string](p *problems, key string, value T, words ...T) {
	if !slices.Contains(words, value) {
		p.add(key, "must be %s, not %q", oneOf(words), string(value))
	}
}

func atLeast(p *problems, key string, value, low int64) {
	if value < low {
		p.add(key, "must be at least %s", formatSize(low))
	}
}

func between[T int | int64 | time.Duration](p *problems, key string, value, low, high T, format func(T) string) {
	if value < low || value > high {
		p.add(key, "must be between %s and %s, not %s", format(low), format(high), format(value))
	}
}

func indexed(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i) }
