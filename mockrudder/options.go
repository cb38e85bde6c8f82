package mockrudder

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/hostguard"
	"github.com/currentsbridge/currentsbridge/mockrudder/brazesource"
	"github.com/currentsbridge/currentsbridge/mockrudder/internal/gateway"
	"github.com/currentsbridge/currentsbridge/mockrudder/plan"
	"github.com/currentsbridge/currentsbridge/schemas"
)

const (
	// DefaultKeep and DefaultKeepBytes are how many of the newest messages a server
	// keeps, and how many bytes they may take together.
	DefaultKeep      = 100_000
	DefaultKeepBytes = 512 << 20
	// MaxRequestBytes is RudderStack's limit for an uncompressed request, and for
	// the batch that the transformation makes of it.
	MaxRequestBytes = gateway.MaxRequestBytes
	// MaxHeaderBytes is RudderStack's limit for the headers of a request, for
	// http.Server, which answers 431 beyond it.
	MaxHeaderBytes = 524_288
)

// Kind is the kind of a source.
type Kind string

// The kinds of source.
const (
	Braze Kind = gateway.Braze // a webhook source for Braze
	HTTP  Kind = "http"        // for the HTTP API only; the webhook refuses its key
)

// Option changes a server that New or Start makes.
type Option func(*config)

type config struct {
	sources    map[string]*source
	err        error // of an option
	keep       int
	keepBytes  int
	rate       float64 // events in rateWindow; 0 is no limit
	rateWindow time.Duration
	judge      bool
	observe    func(Event)
	seed       uint64
	plan       *plan.Plan        // nil for none
	glossary   *schemas.Glossary // nil for the built-in one
	recording  io.Writer         // nil for none

	allowed []string // host names of the query API beside those that are always allowed
	hosts   *hostguard.Guard
}

type source = gateway.Source

// SourceOption changes a source.
type SourceOption func(*source) error

// WithSource adds a source. Without this option a server has wkBraze, a Braze
// source, and wkHTTP, an HTTP source.
func WithSource(key string, kind Kind, opts ...SourceOption) Option {
	return func(c *config) {
		src := &source{Key: key, Kind: string(kind), Mapper: brazesource.New()}
		var err error
		for _, opt := range opts {
			err = cmp.Or(err, opt(src))
		}
		switch {
		case key == "":
			err = errors.New("a source needs a write key")
		case kind != Braze && kind != HTTP:
			err = fmt.Errorf("source %s: unknown kind %q, want %s or %s", key, kind, Braze, HTTP)
		case c.sources[key] != nil:
			err = fmt.Errorf("source %s is given twice", key)
		case err != nil:
			err = fmt.Errorf("source %s: %w", key, err)
		}
		c.err = cmp.Or(c.err, err)
		c.sources[key] = src
	}
}

// Disabled makes a disabled source: it answers 404.
func Disabled() SourceOption {
	return func(s *source) error {
		s.Disabled = true
		return nil
	}
}

// CustomMapping gives a Braze source a custom mapping from event types to names as JSON: an
// object {"event type":"name"} or, as RudderStack keeps it, a list
// [{"from":"event type","to":"name"}].
func CustomMapping(text []byte) SourceOption {
	return func(s *source) error {
		if names := map[string]string{}; json.Unmarshal(text, &names) == nil {
			list := []map[string]string{}
			for from, to := range names {
				list = append(list, map[string]string{"from": from, "to": to})
			}
			text, _ = json.Marshal(list)
		}
		mapper, err := brazesource.WithCustomMapping(text)
		if err != nil {
			return fmt.Errorf("custom mapping: %w", err)
		}
		s.Mapper = mapper
		return nil
	}
}

// WithKeep sets how many of the newest messages are kept; older ones are only counted.
func WithKeep(n int) Option {
	return func(c *config) { c.keep = n }
}

// WithKeepBytes sets how many bytes the kept messages may take together.
func WithKeepBytes(n int) Option {
	return func(c *config) { c.keepBytes = n }
}

// WithRateLimit answers 429 beyond this number of events in each window, as
// RudderStack does if its operator turned it on. The bucket holds one event more
// than a window: a request with more events is always rejected, one with a header
// X-Rudder-Job-Run-Id never. 0 events, the default, are no limit.
func WithRateLimit(events float64, window time.Duration) Option {
	return func(c *config) { c.rate, c.rateWindow = events, window }
}

// WithoutValidation turns validation off. Validating a valid message takes about as
// long as accepting it, an invalid one much longer.
func WithoutValidation() Option {
	return func(c *config) { c.judge = false }
}

// WithObserver calls observe for each stored message, before its request is
// answered and from many goroutines at once. A slow observer slows the server down.
func WithObserver(observe func(Event)) Option {
	return func(c *config) { c.observe = observe }
}

// WithSeed seeds the random numbers of faults; the default is 1.
func WithSeed(seed uint64) Option {
	return func(c *config) { c.seed = seed }
}

// WithRecording writes every stored message to w, as a line of JSON in the shape of
// the query API, in the order of storing and before its request is answered. There
// is one Write for a request, and never two at once. After an error nothing more is
// written, and requests are answered as before; RecordingError returns the error.
func WithRecording(w io.Writer) Option {
	return func(c *config) { c.recording = w }
}

// WithPlan also validates track messages by a tracking plan; nil is none. Violations make a
// message invalid, with findings whose In is "plan"; an event that the plan does
// not have is drift.
func WithPlan(p *plan.Plan) Option {
	return func(c *config) { c.plan = p }
}

// WithGlossary validates Braze events by another glossary than the built-in one, such
// as a newer one from schemas.LoadFile; nil is the built-in one.
func WithGlossary(g *schemas.Glossary) Option {
	return func(c *config) { c.glossary = g }
}

// WithAllowedHosts allows requests to the query API under /_mock/ for these hosts,
// such as rudder.example.com, or .example.com for all names below it, without a
// port. IP addresses, names without a dot and names that the public DNS never has
// (localhost, host.docker.internal) are always allowed. Any other gets 403, as a web
// page could have such a name resolve to a server on loopback (DNS rebinding). The
// gateway's own paths allow every name.
func WithAllowedHosts(names ...string) Option {
	return func(c *config) { c.allowed = append(c.allowed, names...) }
}

func newConfig(opts []Option) (*config, error) {
	c := &config{sources: map[string]*source{}, keep: DefaultKeep, keepBytes: DefaultKeepBytes, judge: true, seed: 1, rateWindow: time.Second}
	for _, opt := range opts {
		opt(c)
	}
	err := c.err
	switch {
	case err != nil:
	case c.keep < 1:
		err = fmt.Errorf("at least one message must be kept, not %d", c.keep)
	case c.keepBytes < 1:
		err = fmt.Errorf("the kept messages need some bytes, not %d", c.keepBytes)
	case c.rate < 0 || c.rateWindow <= 0:
		err = fmt.Errorf("a rate limit must be a number of events in a time: %v in %s", c.rate, c.rateWindow)
	case c.plan != nil && !c.judge:
		err = errors.New("a tracking plan needs validation")
	default:
		c.hosts, err = hostguard.New("--allow-host (in Go WithAllowedHosts)", c.allowed...)
	}
	if err != nil {
		return nil, fmt.Errorf("mockrudder: %w", err)
	}
	if len(c.sources) == 0 {
		for key, kind := range map[string]Kind{"wkBraze": Braze, "wkHTTP": HTTP} {
			c.sources[key] = &source{Key: key, Kind: string(kind), Mapper: brazesource.New()}
		}
	}
	return c, nil
}
