package delivery

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// What is sent to RudderStack; see config.Connector.
const (
	// Events sends finished messages to /v1/batch. Nothing of an event is
	// changed on RudderStack's side and it costs RudderStack a third of Webhook.
	Events = config.Events
	// Webhook sends events as Braze does to /v1/webhook, and RudderStack's own
	// Braze source maps them. That source answers 200 and silently drops some
	// events, so intake sorts those out before they come here.
	Webhook = config.Webhook
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

// What a request may have where no setting says it.
const (
	// defaultMaxBody leaves room below RudderStack's limit of 4,096,000 bytes a
	// request for what proxies and a smaller setting may take.
	defaultMaxBody = 3_500_000
	// defaultMaxBodyWebhook is smaller because RudderStack applies the limit a
	// second time to what its Braze source makes of the request, which is about
	// 14 % more and, with small events, up to a third.
	defaultMaxBodyWebhook = 3_000_000
)

// Queue is what delivery needs of a connector's queue; see queue.Queue. Release is called
// once for every claimed record.
type Queue interface {
	Claim(ctx context.Context, limit queue.Limit) ([]*queue.Record, error)
	Settle(ctx context.Context, s queue.Settlement) error
	Release(records ...*queue.Record)
	Load(ctx context.Context, seq uint64) (*queue.Record, error)
	FetchReplay(ctx context.Context, limit queue.Limit) (queue.Replay, []*queue.Record, error)
	SettleReplay(ctx context.Context, p queue.ReplayProgress) error
}

// Config says what a Sender delivers, where to and how. Queue and Mapper are needed.
type Config struct {
	config.Connector // as the configuration has checked it
	Queue            Queue
	Mapper           *mapping.Mapper
	RootCAs          *x509.CertPool // verify the destination's certificate; nil: the system's
	Grace            time.Duration  // how long requests in flight may take once Run ends

	Transport http.RoundTripper // default newTransport with RootCAs
	Random    *rand.Rand        // draws waits and samples; of this Sender alone; default: with a random seed
	Logger    *slog.Logger      // default slog.Default()
	Metrics   *Metrics          // default: some that are not registered
}

// withDefaults returns c with its zeros filled in.
func (c Config) withDefaults() Config {
	maxBody := int64(defaultMaxBody)
	if c.Mode == Webhook {
		maxBody = defaultMaxBodyWebhook
	}
	c.MaxBody = cmp.Or(c.MaxBody, config.Size(maxBody))
	c.Random = cmp.Or(c.Random, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())))
	c.Logger = cmp.Or(c.Logger, slog.Default())
	if c.Metrics == nil {
		c.Metrics = NewMetrics(nil, c.Name)
	}
	return c
}

// claim is how much is claimed at once. Messages are larger than events; what does
// not fit becomes a small request of its own, so a little less is claimed than fits.
func (c Config) claim() queue.Limit {
	return queue.Limit{Events: c.BatchEvents, Bytes: int(c.MaxBody - c.MaxBody/8)}
}

func (c Config) poster() (*poster, error) {
	request, version, err := c.requests()
	if err != nil {
		return nil, err
	}
	template := newTransport(c.Concurrency+1, c.RootCAs) // a replay's request comes beside the others
	return &poster{
		request: request, version: version, secret: c.WriteKey, timeout: c.Timeout,
		connections: pool{fixed: c.Transport, template: template, maxAge: c.ConnectionMaxAge},
	}, nil
}

// requests returns the request that all others are cloned from, and the one that
// asks the destination what it can. That has no write key: /version answers anyone.
func (c Config) requests() (post, version *http.Request, err error) {
	base, err := url.Parse(c.RudderURL)
	if err != nil {
		return nil, nil, errors.New("delivery: the URL cannot be parsed") // without the URL, which may hold a secret
	}
	if base.Path == "" {
		base.Path = "/" // else JoinPath makes a relative path
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
	post = &http.Request{Method: http.MethodPost, URL: target, Header: header}
	about := http.Header{"Accept": {"application/json"}, "User-Agent": {userAgent}}
	return post, &http.Request{Method: http.MethodGet, URL: base.JoinPath("version"), Header: about}, nil
}

const userAgent = "currentsbridge"

// Names of a destination's state, as /status and the metrics show them.
const (
	StateOK          = "ok"          // it accepts, or nothing is known against it
	StateBackingOff  = "backing-off" // no answer, or one that asks for a retry later
	StatePaused      = "paused"      // refusals: wrong key, wrong address, disabled source, a redirect
	StateMisdirected = "misdirected" // 2XX, but not from RudderStack
)

// State is how a destination does.
type State struct {
	Name      string
	LastError string    // what went wrong last; empty in StateOK
	Since     time.Time // when Name became what it is
	NextTry   time.Time // no request begins before that; zero: one may begin at any time
	Parked    int       // pending events under suspicion: they fail while others are accepted
}
