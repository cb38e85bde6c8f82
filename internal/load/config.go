// Package load sends Currents batches to a target at a given rate and reports
// latencies and losses.
//
// The model is open: every batch has an intended instant that follows from the
// rate alone, not from how fast the target answers, and the wait of a batch that
// starts late is part of its time (no coordinated omission). With the rate Max there
// are no instants: that model is closed. docs/load.md says what is measured.
package load

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/currentsbridge/currentsbridge/mockbraze"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// Defaults of a Config.
const (
	DefaultDuration      = time.Minute
	DefaultConnections   = 16
	DefaultTimeout       = 30 * time.Second
	DefaultVerifyTimeout = 30 * time.Second
)

// longest is the longest run; see tick.
const longest = 96 * time.Hour

// Config is a run. URL and Pace are needed; the rest may stay zero.
type Config struct {
	// URL is where the batches are posted: a bridge's /currents, or RudderStack's
	// webhook with its writeKey. Without a scheme it is http. The query is never
	// shown.
	URL   string
	Token string // sent as Authorization: Bearer; empty sends none
	Pace  Pace
	// Duration is how long batches are started, warm-up included. Zero is the
	// length of a ramp; without one and without Events it is DefaultDuration.
	Duration    time.Duration
	Events      uint64        // to be sent, warm-up included; zero is no limit
	WarmUp      time.Duration // at the start, left out of the figures
	Batch       int           // events a batch holds; zero is mockbraze.MaxBatch, the most
	Connections int           // batches in flight at once; zero is DefaultConnections
	Timeout     time.Duration // of an answer; zero is DefaultTimeout
	Types       []string      // the event types to go round, as patterns; none means all current ones
	// Body makes the body of a batch of Batch events instead, for benchmarks. It may
	// be called from many goroutines at once.
	Body     func() []byte
	Glossary *schemas.Glossary // nil is the one that is built in
	RootCAs  *x509.CertPool    // of URL and Verify; nil is the system's
	// Seed decides ids and contents; equal seeds send the same ids. Zero takes a
	// random one, below 2^53 so that every JSON reader gets it right.
	Seed       uint64
	Thresholds []Condition
	// Verify is the address of a mockrudder's /_mock at the far end; empty: events
	// are not verified. VerifyTimeout is how long to wait for missing ones after the
	// load; zero is DefaultVerifyTimeout.
	Verify        string
	VerifyTimeout time.Duration
	// PublicTarget allows a target outside of private networks.
	PublicTarget bool
	// Dial makes the connections, for tests without a network. With it any target is
	// allowed.
	Dial DialFunc
}

func (c Config) withDefaults() Config {
	c.Duration = cmp.Or(c.Duration, c.Pace.Length())
	if c.Events == 0 {
		c.Duration, c.Events = cmp.Or(c.Duration, DefaultDuration), math.MaxUint64
	}
	c.Batch = cmp.Or(c.Batch, mockbraze.MaxBatch)
	c.Connections = cmp.Or(c.Connections, DefaultConnections)
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	c.VerifyTimeout = cmp.Or(c.VerifyTimeout, DefaultVerifyTimeout)
	if c.Seed == 0 {
		c.Seed = 1 + rand.Uint64N(1<<53-1)
	}
	return c
}

func (c *Config) check() error {
	var failed error
	wrong := func(is bool, format string, args ...any) {
		if is {
			failed = errors.Join(failed, fmt.Errorf(format, args...))
		}
	}
	wrong(c.Pace.String() == "0", "a rate is needed")
	wrong(c.Duration < 0, "the duration cannot be negative")
	wrong(c.Duration > longest, "a run is at most %s long, not %s", longest, c.Duration)
	wrong(c.Batch < 1 || c.Batch > mockbraze.MaxBatch, "a batch holds 1 to %d events, not %d", mockbraze.MaxBatch, c.Batch)
	wrong(c.Connections < 1 || c.Connections > 10_000, "connections are 1 to 10000, not %d", c.Connections) // a typing mistake
	wrong(c.Timeout < 0, "the timeout cannot be negative")
	wrong(c.WarmUp < 0, "the warm-up cannot be negative")
	wrong(c.Duration > 0 && c.WarmUp >= c.Duration, "the warm-up of %s leaves nothing of a run of %s", c.WarmUp, c.Duration)
	for _, t := range c.Thresholds {
		wrong(c.Verify == "" && t.about("lost", "duplicated"), "threshold %q: what was lost or duplicated is known only with --verify", t)
		wrong(c.closed() && t.about("late", "dropped"), "threshold %q: nothing is late or dropped with the rate max, where no instants are kept", t)
	}
	return failed
}

func (c *Config) closed() bool { return c.Pace.closed() }
