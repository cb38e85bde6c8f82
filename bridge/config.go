// Package bridge takes batches of events from Braze Currents, keeps them on
// disk, and delivers them to RudderStack. It is the composition root: it opens
// the store, and starts the intake, a sender for each connector, and the admin
// address. Each of these lives in a package of its own below this one.
package bridge

import (
	"net"
	"net/netip"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/delivery"
	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// Config is everything that can be set. Load makes one from a file, the
// environment and flags; one made by hand starts from DefaultConfig and
// DefaultConnector.
type Config struct {
	Listen string // address that Braze posts to, host:port
	TLS    TLS    // for Listen; without it that address speaks plain HTTP
	Admin  string // address for the operator, host:port
	// AdminToken is the bearer token that everything on the admin address needs,
	// but /livez and /readyz. Empty: nothing needs one.
	AdminToken string
	DataDir    string // directory of the embedded store; not used where Queue is on NATS
	Queue      Queue
	Retain     Retain
	// ScrubEvery is the time in which everything on disk is read once, so that
	// damage is found before it is met. 0: never. On NATS the servers look after
	// their own files, and this is not used.
	ScrubEvery time.Duration
	// MaxBody is the largest request body that is taken, in bytes, after
	// decompression. Braze sends up to 100 events of at most 900 KB each.
	MaxBody int64
	// MaxRequests and MaxConnections bound what is under way on Listen at one
	// time; 0: intake's defaults.
	MaxRequests, MaxConnections int
	// Grace is how long requests and deliveries under way may take to finish
	// once the bridge is told to stop.
	Grace      time.Duration
	Log        Log
	Connectors []Connector
}

// TLS names the PEM files of a certificate, with its chain, and of its key. Both
// are read again when the configuration is, and when they change.
type TLS struct {
	Cert, Key string
}

// Retain says how long delivered events are kept. Undelivered ones are kept
// until they are delivered.
type Retain struct {
	Age time.Duration // 0: not at all
	// Size is how many bytes at most; 0: as much as Age says. In the embedded
	// store it holds for all connectors together, on NATS for each.
	Size int64
}

// Log says how the bridge writes its log to standard error.
type Log struct {
	Format string // "text" or "json"
	Level  string // "debug", "info", "warn" or "error"
}

// Mode says how events reach RudderStack.
type Mode string

// The two ways into RudderStack.
const (
	// Events sends finished messages to /v1/batch: lossless, and cheap for
	// RudderStack.
	Events Mode = "events"
	// Webhook sends Braze's own batches to /v1/webhook, for a source of type
	// Braze, whose mapping then applies.
	Webhook Mode = "webhook"
)

// Policy says what becomes of an event whose user has no external_user_id.
type Policy string

// What can become of an event without external_user_id.
const (
	Deliver Policy = "deliver" // with its anonymousId alone
	Dead    Policy = "dead"    // to the dead letters
	Drop    Policy = "drop"    // counted as filtered
)

// Connector is one Current of Braze and the RudderStack source its events go to.
type Connector struct {
	// Name is part of the path, /currents/NAME, and names the connector in
	// status, metrics and logs: letters, digits, dots, dashes and underscores,
	// at most 64.
	Name string
	// Tokens are the bearer tokens that are taken; several while one is being
	// replaced. Without one, Open must be true.
	Tokens []string
	Open   bool // take requests from anyone
	Mode   Mode
	// RudderURL is the base URL of the data plane, without /v1/….
	RudderURL string
	WriteKey  string
	// MissingExternalUserID is for events that have a user_id only.
	MissingExternalUserID Policy
	// Filter says which events are delivered; the others count as filtered. It
	// holds at delivery: what it keeps back is on disk like all else.
	Filter mapping.Filter
	// Personal says what becomes of personal data when it leaves. On disk it
	// stays as it came, for as long as events are retained.
	Personal mapping.Personal
	// Names, Identify and Alias change messages and need the mode Events; see
	// mapping.Options.
	Names           mapping.Names
	Identify, Alias bool
	// DedupeWindow is how many event ids are remembered to catch what Braze
	// sends twice; about 50 bytes of memory each. 0: only within one batch.
	DedupeWindow int
	// Concurrency times BatchEvents is the most that a crash can send twice.
	Concurrency int // requests to RudderStack at a time
	BatchEvents int // events in one request at most
	// MaxBody is the most bytes in one request; RudderStack takes 4,096,000.
	// 0: a little less than that, depending on the mode.
	MaxBody int64
	// RequestsPerSecond bounds the requests that begin in a second; 0: no limit.
	RequestsPerSecond float64
	Gzip              delivery.Gzip // whether bodies are packed
	// CAFile is a PEM file of certificates that RudderStack's is verified with,
	// in the place of the system's. Empty: the system's.
	CAFile  string
	Timeout time.Duration // for one request
	Backoff Backoff
}

// Backoff bounds the wait between attempts while RudderStack is away; the wait
// is drawn at random below a bound that doubles from Min to Max.
type Backoff struct {
	Min, Max time.Duration
}

// DefaultConfig is what holds where nothing is said. It has no connector.
func DefaultConfig() Config {
	return Config{
		Listen:     "127.0.0.1:8080",
		Admin:      "127.0.0.1:9090",
		DataDir:    "./data",
		Queue:      Queue{Store: storePebble},
		Retain:     Retain{Age: 72 * time.Hour, Size: 20 << 30},
		ScrubEvery: 24 * time.Hour,
		MaxBody:    16 << 20,
		Grace:      15 * time.Second,
		Log:        Log{Format: "text", Level: "info"},
	}
}

// DefaultConnector is what holds for a connector where nothing is said.
func DefaultConnector() Connector {
	return Connector{
		Name:                  defaultName,
		Mode:                  Events,
		MissingExternalUserID: Deliver,
		DedupeWindow:          queue.DefaultWindow,
		Concurrency:           delivery.DefaultConcurrency,
		BatchEvents:           delivery.DefaultMaxEvents,
		Gzip:                  delivery.GzipAuto,
		Timeout:               delivery.DefaultTimeout,
		Backoff:               Backoff{Min: delivery.DefaultMinBackoff, Max: delivery.DefaultMaxBackoff},
	}
}

const (
	storePebble = "pebble"
	defaultName = "default"
)

// Check looks at everything in c, and at the files that it names. Where something
// is wrong the error is a *ConfigError with every mistake.
func (c Config) Check() error {
	p := newProblems(map[string]origin{})
	c.check(p, listKey)
	return p.err()
}

// Warnings names what is allowed in c and should be meant. It is for whoever
// starts a bridge, and holds no secret.
func (c Config) Warnings() []string {
	var found []string
	if c.AdminToken == "" && !loopback(c.Admin) {
		found = append(found, "admin: "+c.Admin+" can be reached from other machines and needs no token; set admin_token, or listen on 127.0.0.1")
	}
	for _, connector := range c.Connectors {
		if connector.Open {
			found = append(found, "connector "+connector.Name+" takes events from anyone")
		}
	}
	return append(found, c.unused()...)
}

// loopback tells whether only this machine reaches an address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil || host == "localhost" {
		return err == nil
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
