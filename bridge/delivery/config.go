package delivery

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// Mode says what is sent to RudderStack.
type Mode string

const (
	// Events sends finished messages to /v1/batch. Nothing of an event is
	// changed on RudderStack's side and it costs RudderStack a third of Webhook.
	Events Mode = "events"
	// Webhook sends events as Braze does to /v1/webhook, and RudderStack's own
	// Braze source maps them. That source answers 200 and silently drops some
	// events, so intake sorts those out before they come here.
	Webhook Mode = "webhook"
)

// Gzip says whether bodies are compressed.
type Gzip string

const (
	GzipAuto Gzip = "auto" // where the destination says that it can; the default
	GzipOff  Gzip = "off"
)

// Reasons of the dead letters that delivery makes, beside those of
// currents.Reason. The first five are for events that failed alone while the
// destination accepted others.
const (
	ReasonRefused     = "refused"      // the last response was a 3XX or 4XX
	ReasonTooLarge    = "too_large"    // it was 413
	ReasonServerError = "server_error" // it was 5XX
	ReasonNoAnswer    = "no_answer"    // there was none
	ReasonMisdirected = "misdirected"  // it was 2XX without RudderStack's words
	ReasonSetAside    = "set_aside"    // DeadLetter was called
)

// Defaults of Config.
const (
	DefaultConcurrency = 4
	DefaultMaxEvents   = 1000
	// DefaultMaxBody leaves room below RudderStack's limit of 4,096,000 bytes a
	// request for what proxies and a smaller setting may take.
	DefaultMaxBody = 3_500_000
	// DefaultMaxBodyWebhook is smaller because RudderStack applies the limit a
	// second time to what its Braze source makes of the request, which is about
	// 14 % more and, with small events, up to a third.
	DefaultMaxBodyWebhook = 3_000_000
	// DefaultTimeout and DefaultMaxBackoff together keep the promise that
	// delivery resumes within 30 seconds of the destination's return: waits
	// count from the start of the try that failed, so no more than the greater
	// of the two lies between two tries, even when each try hangs.
	DefaultTimeout    = 25 * time.Second
	DefaultMinBackoff = 500 * time.Millisecond
	DefaultMaxBackoff = 25 * time.Second
	DefaultGrace      = 10 * time.Second
	// DefaultGiveUpAfter is long enough for an operator to repair a firewall's rule:
	// what is parked costs nothing.
	DefaultGiveUpAfter = time.Hour
	// DefaultConnectionMaxAge is how long a change in DNS may go unnoticed.
	DefaultConnectionMaxAge = 2 * time.Minute
)

// Queue is what delivery needs of a connector's queue.
type Queue interface {
	// Claim hands out pending events that are not claimed, oldest first; it waits
	// until there is one or ctx ends.
	Claim(ctx context.Context, limit queue.Limit) ([]*queue.Record, error)
	// Settle stores outcomes. It may name a part of the claimed records; events
	// that it does not name stay claimed.
	Settle(ctx context.Context, s queue.Settlement) error
	// Release gives back the unsettled events of the records. It is called once
	// for every claimed record.
	Release(records ...*queue.Record)
	// Load reads the unsettled events of a claimed record again; the error wraps
	// queue.ErrNotHeld where it is not claimed any more.
	Load(ctx context.Context, seq uint64) (*queue.Record, error)
}

// Replays is what delivery needs of a queue to send history again; see queue.Queue.
type Replays interface {
	FetchReplay(ctx context.Context, limit queue.Limit) (queue.Replay, []*queue.Record, error)
	SettleReplay(ctx context.Context, p queue.ReplayProgress) error
}

// Mapper makes of Braze events what RudderStack gets. It must be safe for
// concurrent use.
type Mapper interface {
	// Keeps tells whether the event is to be delivered; others count as filtered.
	Keeps(event []byte) bool
	// Append appends what is sent for one event to dst and returns the longer
	// slice: its message, or in the mode Webhook the event itself. fallbackID is
	// the messageId of an event without a usable id.
	Append(dst, event []byte, fallbackID string) []byte
}

// Config says what a Sender delivers, where to and how. Queue, Mapper, URL and
// WriteKey are needed; a zero in any other field means its default.
type Config struct {
	Name     string // the connector's name, for the log
	Queue    Queue
	Mapper   Mapper
	URL      string // RudderStack's data plane, without /v1/…
	WriteKey string
	Mode     Mode // default Events

	Concurrency int // requests at once
	MaxEvents   int // in one request
	MaxBody     int // bytes of one request; one event larger than that is sent alone

	Timeout    time.Duration // of one request, from connecting to the end of the response
	MinBackoff time.Duration // upper bound of the first wait; it doubles from there
	MaxBackoff time.Duration // upper bound of any wait, Retry-After and GiveUpAfter apart
	Grace      time.Duration // how long requests in flight may take once Run ends; below 0: none

	// GiveUpAfter is how long an event must have failed alone, while others were
	// accepted, before it goes to the dead letters. Events that get 400 or 413 do
	// not wait that long.
	GiveUpAfter time.Duration
	// AcceptAny2XX takes every 2XX for an acceptance, for proxies that change the
	// body; otherwise only the ok that RudderStack writes is one.
	AcceptAny2XX bool
	// ConnectionMaxAge is how long a connection is used before it is renewed, so
	// that a changed address is found. It is for the default Transport.
	ConnectionMaxAge time.Duration

	// Replays, where it is not nil, is asked for history to be sent again, beside
	// what is pending and within the same limits.
	Replays Replays
	// RequestsPerSecond bounds the requests that begin in a second, evenly spread;
	// halves and probes count. 0: no limit.
	RequestsPerSecond float64
	// Gzip compresses bodies where the destination's /version lists
	// gzip-req-payload; GzipOff never does. MaxBody is the size before
	// compression, as RudderStack's own limit is.
	Gzip Gzip
	// RootCAs verify the destination's certificate; nil: the system's. It is
	// for the default Transport.
	RootCAs *x509.CertPool

	Transport http.RoundTripper // default connection.NewTransport with RootCAs
	Random    func() float64    // jitter, from 0 up to 1; safe for concurrent use; default math/rand
	Logger    *slog.Logger      // default slog.Default()
	Observer  Observer          // default none
}

// withDefaults returns c with its zeros filled in and an error that names every
// field that is wrong.
func (c Config) withDefaults() (Config, error) {
	fill(&c.Mode, Events)
	fill(&c.Gzip, GzipAuto)
	fill(&c.Concurrency, DefaultConcurrency)
	fill(&c.MaxEvents, DefaultMaxEvents)
	fill(&c.Timeout, DefaultTimeout)
	fill(&c.MinBackoff, DefaultMinBackoff)
	fill(&c.MaxBackoff, max(DefaultMaxBackoff, c.MinBackoff))
	fill(&c.Grace, DefaultGrace)
	fill(&c.GiveUpAfter, DefaultGiveUpAfter)
	fill(&c.ConnectionMaxAge, DefaultConnectionMaxAge)
	if c.Mode == Webhook {
		fill(&c.MaxBody, DefaultMaxBodyWebhook)
	}
	fill(&c.MaxBody, DefaultMaxBody)
	if c.Random == nil {
		c.Random = rand.Float64
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Observer == nil {
		c.Observer = noObserver{}
	}
	return c, errors.Join(c.problems()...)
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (c Config) problems() []error {
	var found []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			found = append(found, fmt.Errorf("delivery: "+format, args...))
		}
	}
	wrong(c.Queue == nil, "no queue")
	wrong(c.Mode != Events && c.Mode != Webhook, "mode %q is neither %q nor %q", c.Mode, Events, Webhook)
	wrong(c.Mapper == nil, "no mapper")
	wrong(c.WriteKey == "", "no write key")
	wrong(strings.ContainsAny(c.WriteKey, ":\r\n"), "the write key holds a colon or a line break")
	wrong(min(c.Concurrency, c.MaxEvents, c.MaxBody) < 0, "a number is negative: concurrency, events or bytes a request")
	wrong(min(c.Timeout, c.GiveUpAfter, c.ConnectionMaxAge) < 0, "a duration is negative: timeout, give-up time or a connection's age")
	wrong(c.Gzip != GzipAuto && c.Gzip != GzipOff, "gzip %q is neither %q nor %q", c.Gzip, GzipAuto, GzipOff)
	wrong(!(c.RequestsPerSecond >= 0) || math.IsInf(c.RequestsPerSecond, 0), "requests a second: %g is no rate", c.RequestsPerSecond)
	wrong(c.MinBackoff < 0 || c.MaxBackoff < c.MinBackoff, "backoff from %s to %s", c.MinBackoff, c.MaxBackoff)
	if _, err := c.base(); err != nil {
		found = append(found, err)
	}
	return found
}

// base returns the URL of RudderStack's data plane.
func (c Config) base() (*url.URL, error) {
	base, err := url.Parse(c.URL)
	if err != nil {
		// Without url.Error's own words, which repeat the URL and what may be secret in it.
		if bad := (*url.Error)(nil); errors.As(err, &bad) {
			err = bad.Err
		}
		return nil, fmt.Errorf("delivery: URL: %w", err)
	}
	switch {
	case base.Scheme != "http" && base.Scheme != "https", base.Host == "":
		return nil, errors.New("delivery: URL is not http://HOST or https://HOST")
	case base.User != nil, base.RawQuery != "", base.Fragment != "":
		return nil, errors.New("delivery: URL holds a user, a query or a fragment; the write key has a setting of its own")
	}
	if base.Path == "" {
		base.Path = "/" // else JoinPath makes a relative path
	}
	return base, nil
}

// requests returns the request that all others are cloned from, and the one that
// asks the destination what it can. That has no write key: /version answers anyone.
func (c Config) requests() (post, version *http.Request, err error) {
	base, err := c.base()
	if err != nil {
		return nil, nil, err
	}
	header := http.Header{"Content-Type": {"application/json"}, "User-Agent": {userAgent}}
	// A double slash or one at the end is 404 to RudderStack; JoinPath leaves none.
	target := base.JoinPath("v1", "batch")
	if c.Mode == Webhook {
		target = base.JoinPath("v1", "webhook")
		target.RawQuery = url.Values{"writeKey": {c.WriteKey}}.Encode()
	} else {
		// The write key is the user name; the password is empty.
		header["Authorization"] = []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(c.WriteKey+":"))}
	}
	about := http.Header{"Accept": {"application/json"}, "User-Agent": {userAgent}}
	return newRequest(http.MethodPost, target, header), newRequest(http.MethodGet, base.JoinPath("version"), about), nil
}

const userAgent = "currentsbridge"

func newRequest(method string, target *url.URL, header http.Header) *http.Request {
	return &http.Request{
		Method: method, URL: target, Host: target.Host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
}
