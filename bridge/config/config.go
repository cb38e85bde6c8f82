// Package config is the configuration of the bridge. Config declares each
// setting once: the tags of its field say the key in YAML, the default, the
// bounds, the help, and what it takes to change the setting while the bridge
// runs. Environment variables, flags, checks, the comparison of a reload and the
// table in docs/operations.md are made from these tags.
package config

import (
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/internal/hostguard"
)

// Config is everything that can be set. Load makes one from a file, the
// environment and flags; one made by hand starts from Default and
// DefaultConnector.
//
// The tags of a field are:
//
//	key      its name in YAML, and with it the flag and the variable:
//	         data_dir, --data-dir, BRIDGE_DATA_DIR; "*" takes all other keys of a map
//	default  the default as one would write it; without it the zero value
//	min, max the bounds, both included
//	zero     what 0 means, where 0 is allowed beside the bounds
//	oneof    the words that are allowed, with | between them
//	secret   "file": KEY_file may name a file that holds the value;
//	         "tokens": there are KEY, KEYs, KEY_file and KEY_files
//	short    of a map: the key that a single value in its place stands for
//	flag     "-": it has no flag and no variable
//	flat     "-": it cannot stand at the top of a file without a list of connectors
//	change   what it takes to change it, an Effect; the default is that of the
//	         struct around it, and NewSender for a connector
//	value    what stands for the value in --help
//	unset    what holds where there is no default, for the table
//	help     one or two sentences; words in 'single quotes' are code
type Config struct {
	Listen     string   `key:"listen" default:"127.0.0.1:8080" change:"restart" value:"ADDRESS" help:"address that Braze posts to"`
	TLS        TLS      `key:"tls" change:"restart"`
	Admin      string   `key:"admin" default:"127.0.0.1:9090" change:"restart" value:"ADDRESS" help:"address of the operator's page, status, health, metrics and the commands that ask a running bridge"`
	AdminToken string   `key:"admin_token" secret:"file" change:"reload" unset:"none" value:"TOKEN" help:"token that everything on the admin address needs, as a bearer token or by a login on the page, except '/livez' and '/readyz'. Set it where the address is not on loopback"`
	AdminHosts []string `key:"admin_hosts" change:"reload" unset:"none" value:"NAMES" help:"names that the admin address answers to without a token, beside IP addresses, 'localhost' and names without a dot; '.example.com' stands for all below it"`
	DataDir    string   `key:"data_dir" default:"./data" change:"restart" value:"DIRECTORY" help:"directory that keeps the events, on a local disk; one process at a time. Not used where every queue is on PostgreSQL"`
	Queue      Queue    `key:"queue" short:"url" change:"restart"`
	// AppendTimeout bounds the wait for the commit of a batch.
	AppendTimeout time.Duration `key:"append_timeout" default:"5s" min:"100ms" max:"1m" change:"restart" help:"how long a request waits until its batch is on disk; then it gets 503 with 'Retry-After', and Braze retries. What is stored later all the same makes the retry a duplicate"`
	Retain        Retain        `key:"retain" change:"restart"`
	ScrubEvery    time.Duration `key:"scrub_every" default:"24h" min:"1s" max:"8784h" zero:"never" change:"restart" help:"time in which all that is on disk is read once, to find damage"`
	Glossary      string        `key:"glossary" unset:"the built-in one" change:"reload" value:"FILE" help:"a newer glossary of event types than the built-in one, in JSON"`
	// MaxBody counts bytes after decompression. Its minimum leaves room for the
	// largest event that Braze sends (921,600 bytes) in a batch of its own.
	MaxBody Size `key:"max_body" default:"16MiB" min:"1MiB" max:"1GiB" change:"restart" help:"largest request, uncompressed; a larger one is answered 413, and Braze sends smaller ones"`
	// MaxRequests and MaxConnections are for the public address.
	MaxRequests    int           `key:"max_requests" min:"1" max:"1000000" zero:"the default of 1024" change:"restart" help:"requests in flight at once; more are answered 503, and Braze retries"`
	MaxConnections int           `key:"max_connections" min:"1" max:"1000000" zero:"the default of 1000" change:"restart" help:"connections at once; beyond it the oldest that has shown no good token makes room, else the one that has been idle longest"`
	Grace          time.Duration `key:"grace" default:"15s" min:"0s" max:"1h" change:"restart" help:"how long requests and deliveries in flight may take once the bridge gets SIGTERM"`
	Log            Log           `key:"log" change:"restart"`
	// Open is for connectors that say nothing themselves and have no token.
	Open       bool        `key:"open" default:"false" change:"reload" help:"connectors without a token take events from anyone"`
	Connectors []Connector `key:"connectors" flag:"-"`
}

// TLS names the PEM files of a certificate, with its chain, and of its key. Both
// are read again when the configuration is, and when they change.
type TLS struct {
	Cert string `key:"cert" unset:"none" value:"FILE" help:"PEM file of the certificate for 'listen', with its chain; read again when it changes. Without one that address speaks plain HTTP"`
	Key  string `key:"key" unset:"none" value:"FILE" help:"PEM file of the certificate's key"`
}

// Queue is where events wait for delivery.
type Queue struct {
	// URL is SQLite, or a URL of PostgreSQL as in libpq.
	URL string `key:"url" default:"sqlite" value:"QUEUE" help:"where events wait: 'sqlite', a file in 'data_dir', or 'postgres://USER@HOST:PORT/DB?…' with libpq's parameters, several hosts included"`
	// Password is for PostgreSQL; empty: as libpq finds it.
	Password string `key:"password" secret:"file" unset:"PGPASSWORD, then .pgpass" value:"PASSWORD" help:"password for PostgreSQL; it cannot stand in the URL"`
	MaxSize  Size   `key:"max_size" min:"16MiB" max:"4096TiB" zero:"all there is" help:"what the store may take on disk"`
	// DropDamagedLog is for one start.
	DropDamagedLog bool          `key:"drop_damaged_log" default:"false" help:"start without what is behind a damaged place of the log of 'queue.db', instead of refusing to"`
	AckWait        time.Duration `key:"ack_wait" default:"30s" min:"1s" max:"1h" help:"on PostgreSQL, time after which another bridge takes over what a dead one held"`
}

// SQLite is the Queue.URL of the embedded store.
const SQLite = "sqlite"

// Retain says how long delivered events are kept. Undelivered ones are kept
// until they are delivered.
type Retain struct {
	Age time.Duration `key:"age" default:"72h" min:"0s" max:"87600h" zero:"not at all" help:"how long delivered events are kept for replay"`
	// Size is over all connectors.
	Size Size `key:"size" default:"20GiB" min:"1MiB" max:"4096TiB" zero:"no limit" help:"how much of them is kept on disk; the oldest go first. What is not delivered is always kept"`
}

// Log says how the bridge writes its log to standard error.
type Log struct {
	Format string `key:"format" default:"text" oneof:"text|json" help:"form of the log on standard error"`
	Level  string `key:"level" default:"info" oneof:"debug|info|warn|error" help:"the least that is logged"`
}

// Words of Connector's settings.
const (
	// Events sends finished messages to /v1/batch: lossless, and cheap for
	// RudderStack.
	Events = "events"
	// Webhook sends Braze's own batches to /v1/webhook, for a source of type
	// Braze, whose mapping then applies.
	Webhook = "webhook"

	Deliver = "deliver" // with its anonymousId alone
	Dead    = "dead"    // to the dead letters
	Drop    = "drop"    // counted as filtered
)

// Connector is one Current of Braze and the RudderStack source its events go to.
type Connector struct {
	Name   string   `key:"name" flat:"-" unset:"'default' where there is one" change:"restart" help:"last part of its path, '/currents/NAME', and its name in status, metrics and logs: letters, digits, dots, dashes and underscores, 64 at most"`
	Tokens []string `key:"token" secret:"tokens" change:"reload" value:"TOKEN" help:"bearer token that Braze sends; several while one is being replaced"`
	// Open takes requests from anyone. Then there must be no token.
	Open bool   `key:"open" flat:"-" change:"reload" unset:"the bridge's 'open'" help:"take events from anyone, instead of a token"`
	Mode string `key:"mode" default:"events" oneof:"events|webhook" help:"'events': finished messages to '/v1/batch', lossless. 'webhook': Braze's own batches to '/v1/webhook', where RudderStack's Braze source maps them"`
	// RudderURL is without /v1/….
	RudderURL             string `key:"rudder_url" unset:"needed" value:"URL" help:"RudderStack's data plane, without '/v1/…'"`
	WriteKey              string `key:"write_key" secret:"file" unset:"needed" value:"KEY" help:"write key of the source in RudderStack"`
	MissingExternalUserID string `key:"missing_external_user_id" default:"deliver" oneof:"deliver|dead|drop" change:"reload" help:"events of people who have none: 'deliver', 'dead' (to the dead letters) or 'drop' (counted as filtered). It acts when a batch comes, and what it decides is stored with the event"`
	// NoIdentity is for events without any user, such as agentconsole.ToolInvocation.
	NoIdentity string `key:"no_identity" default:"dead" oneof:"dead|drop" change:"reload" help:"events without any user id, which RudderStack cannot take: 'dead' (to the dead letters) or 'drop' (counted as filtered)"`
	WrongToken int    `key:"wrong_token" default:"401" oneof:"401|503" change:"reload" help:"status for a batch with a wrong token or none. Braze drops what is answered 401 and retries what is answered 503, for as long as the token is wrong; its probe always gets 401"`
	Filter     Filter `key:"filter"`
	PII        PII    `key:"pii" short:"preset"`
	Salt       string `key:"salt" secret:"file" unset:"none" value:"SALT" help:"for 'hash': SHA-256 over the salt and the value"`
	Names      Names  `key:"names" short:"preset"`
	// ProfileUpdates and UserOrphan change messages, as Names does, and need the mode Events.
	ProfileUpdates string `key:"profile_updates" default:"track" oneof:"track|identify" help:"what 'users.profile.Update' becomes"`
	UserOrphan     string `key:"user_orphan" default:"track" oneof:"track|alias" help:"what an event that merges one user into another becomes"`
	DedupeWindow   int    `key:"dedupe_window" default:"1000000" min:"0" max:"100000000" change:"restart" help:"event ids that are remembered to catch duplicates, about 40 bytes each"`
	// Concurrency times BatchEvents is the most that a crash can send twice.
	Concurrency int `key:"concurrency" default:"4" min:"1" max:"256" help:"requests to RudderStack at once; times 'batch_events' it is the most that a crash can send twice"`
	BatchEvents int `key:"batch_events" default:"1000" min:"1" max:"100000" help:"events in one request"`
	// MaxBody's minimum is about what Braze puts into one batch: fewer events
	// would cost RudderStack a request each. One larger event is sent alone all the same.
	MaxBody           Size    `key:"max_body" flat:"-" min:"64KiB" max:"64MiB" zero:"what RudderStack takes: 3.5 MB, webhook 3 MB" help:"largest request to RudderStack, which takes 4,096,000 bytes"`
	RequestsPerSecond float64 `key:"requests_per_second" min:"0.01" max:"100000" zero:"no limit" help:"requests that begin in a second"`
	Gzip              string  `key:"gzip" default:"auto" oneof:"auto|off" help:"'auto': compress requests where RudderStack says that it can decompress; 'off': never"`
	CAFile            string  `key:"ca_file" unset:"the system's" value:"FILE" help:"PEM file of certificates to verify RudderStack's with"`
	AcceptAny2XX      bool    `key:"accept_any_2xx" default:"false" help:"take any answer 2XX for delivered, for a proxy that changes the body. Otherwise only RudderStack's own body counts"`
	// Timeout's minimum: a request that is cut off is sent again, and what
	// RudderStack had taken of it comes twice.
	Timeout          time.Duration `key:"timeout" default:"25s" min:"1s" max:"1h" help:"longest time for one request; what is cut off is sent again"`
	Backoff          Backoff       `key:"backoff"`
	GiveUpAfter      time.Duration `key:"give_up_after" default:"1h" min:"1m" max:"720h" help:"how long an event that fails alone, beside others that are accepted, is retried before it is a dead letter"`
	ConnectionMaxAge time.Duration `key:"connection_max_age" default:"2m" min:"1s" max:"24h" help:"age after which a connection to RudderStack is renewed, so that a changed address is found"`
	// Queue is the connector's own; nil: the bridge's.
	Queue *Queue `key:"queue" short:"url" flat:"-" flag:"-" change:"restart" unset:"the bridge's" help:"a queue of its own, as 'queue' above"`
}

// Backoff bounds the wait between attempts while RudderStack is unavailable; the
// wait is random, between half of a bound and the bound, which doubles from Min to
// Max.
type Backoff struct {
	Min time.Duration `key:"min" default:"500ms" min:"1ms" max:"1h" help:"bound of the first wait while RudderStack is away; it doubles"`
	Max time.Duration `key:"max" default:"25s" min:"1ms" max:"1h" help:"bound of any such wait"`
}

// Filter says which events are delivered; the others count as filtered.
type Filter struct {
	Allow []string `key:"allow" unset:"all" value:"TYPES" help:"patterns of event types that are delivered, such as 'users.messages.email.*'"`
	Deny  []string `key:"deny" unset:"none" value:"TYPES" help:"patterns of event types that are not; it wins over 'allow'. Filters by type act when a batch comes, before any reason to dead-letter an event"`
	// AllowProperties and DenyProperties map the name of a property to values.
	AllowProperties map[string][]string `key:"allow_properties" flag:"-" unset:"all" help:"a map of properties to a value or a list of them: '{app_id: [a, b]}' keeps back events with another 'app_id' or none"`
	DenyProperties  map[string][]string `key:"deny_properties" flag:"-" unset:"none" help:"the same; it keeps back events that have one of the values"`
}

// PII says what becomes of personal data when it leaves. On disk it stays as it
// came, for as long as events are retained.
type PII struct {
	Preset mapping.Action `key:"preset" default:"keep" oneof:"keep|drop|hash" help:"what becomes of the fields that the glossary flags as personal data, ids apart"`
	// Unknown is for fields that the glossary does not have.
	Unknown mapping.Action            `key:"unknown" default:"as_preset" oneof:"as_preset|keep" help:"what becomes of fields that the glossary does not know: as with personal data, or 'keep' them"`
	Fields  map[string]mapping.Action `key:"fields" flag:"-" unset:"none" help:"exceptions for single fields: '{email_address: drop, user.external_user_id: hash}'"`
}

// Names say what events are called in RudderStack.
type Names struct {
	Preset string            `key:"preset" default:"braze" oneof:"braze|rudderstack" help:"names of events: Braze's types, or RudderStack's readable ones"`
	Map    map[string]string `key:"*" flag:"-" unset:"none" help:"event types and patterns with a name for each: '{users.messages.*: \"Message *\"}'"`
}

// Default is what holds where nothing is said. It has no connector.
func Default() Config { return withDefaults(Config{}) }

// DefaultConnector is what holds for a connector where nothing is said.
func DefaultConnector() Connector { return withDefaults(Connector{Name: "default"}) }

// AdminNames are all names that the admin address may be asked by: the listed
// ones, and the host that it listens on.
func (c Config) AdminNames() []string { return hostguard.WithListen(c.AdminHosts, c.Admin) }

// Scheme is https:// or http://, as the public address speaks it.
func (c Config) Scheme() string {
	if c.TLS != (TLS{}) {
		return "https://"
	}
	return "http://"
}

// QueueOf is the queue that a connector uses: its own, or the bridge's.
func (c Config) QueueOf(connector Connector) Queue {
	if connector.Queue != nil {
		return *connector.Queue
	}
	return c.Queue
}

// Mapping returns the options of the connector's mapper.
func (c Connector) Mapping() mapping.Options {
	return mapping.Options{
		Webhook:  c.Mode == Webhook,
		Names:    mapping.Names{Readable: c.Names.Preset == "rudderstack", Map: c.Names.Map},
		Filter:   mapping.Filter(c.Filter),
		Personal: mapping.Personal{Preset: c.PII.Preset, Unknown: c.PII.Unknown, Fields: c.PII.Fields, Salt: []byte(c.Salt)},
		Identify: c.ProfileUpdates == "identify",
		Alias:    c.UserOrphan == "alias",
	}
}
