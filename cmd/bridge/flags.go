package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/currentsbridge/currentsbridge/bridge"
)

const configHelp = `
The configuration comes from the flags, the environment (BRIDGE_LISTEN for
--listen) and a YAML file, in this order of precedence. Without a list of
connectors in a file, the flags describe one connector, called default. Without
a token the bridge starts only with --open, or open: true in the file. A file
may do without secrets: ${NAME} stands for a variable, and token_file,
write_key_file and salt_file name files that hold them, as do password_file and
token_file of a queue on NATS.

  listen: 127.0.0.1:8080
  tls: {cert: /etc/bridge/tls.crt, key: /etc/bridge/tls.key}
  admin: 127.0.0.1:9090
  data_dir: ./data
  queue: {store: pebble, max_size: 50GiB}       # or a cluster, see docs/scaling.md:
  # queue: {store: "nats://n1:4222,n2:4222,n3:4222", credentials: /etc/bridge/nats.creds}
  retain: {age: 72h, size: 20GiB}
  log: {format: text, level: info}
  connectors:
    - name: brand-a
      token: ${BRAZE_TOKEN}
      rudder_url: https://example.dataplane.rudderstack.com
      write_key_file: /run/secrets/write_key
      filter: {deny: [users.messages.sms.*], deny_properties: {is_test: true}}
      pii: {preset: hash, fields: {ip_pool: drop}}
      salt: ${SALT}
`

// configFlag is a flag that is a key of the configuration.
type configFlag struct {
	name, key, value, usage string
}

// configFlags lists them. Their defaults are bridge.DefaultConfig's; a flag that
// is not given says nothing.
func configFlags() []configFlag {
	cfg := bridge.DefaultConfig()
	return slices.Concat(intakeFlags(cfg), queueFlags(cfg), limitFlags(cfg), connectorFlags(), []configFlag{
		{"log-format", "log.format", cfg.Log.Format, "text or json"},
		{"log-level", "log.level", cfg.Log.Level, "debug, info, warn or error"},
	})
}

func intakeFlags(cfg bridge.Config) []configFlag {
	return []configFlag{
		{"listen", "", cfg.Listen, "`ADDRESS` that Braze posts to"},
		{"tls-cert", "tls.cert", "", "PEM `FILE` of the certificate for it; without one it speaks plain HTTP"},
		{"tls-key", "tls.key", "", "PEM `FILE` of the certificate's key"},
		{"admin", "", cfg.Admin, "`ADDRESS` of status, health and metrics"},
		{"admin-token", "", "", "bearer `TOKEN` that the admin side needs, but for /livez and /readyz"},
		{"admin-token-file", "", "", "`FILE` that holds it"},
		{"admin-hosts", "", "", "`NAMES` that it answers to without a token beside localhost, IP addresses and names without a dot, with commas between them"},
		{"data-dir", "", cfg.DataDir, "`DIRECTORY` that keeps the events"},
	}
}

func queueFlags(cfg bridge.Config) []configFlag {
	return []configFlag{
		{"queue", "", cfg.Queue.Store, "`STORE` of the events: pebble, or nats://HOST:PORT[,HOST:PORT] (or tls://)"},
		{"queue-max-size", "queue.max_size", "0", "`SIZE` that the store may take; on NATS, what waits of each connector; 0: all there is"},
		{"queue-credentials", "queue.credentials", "", "`FILE` of credentials for NATS, made by nsc"},
		{"queue-user", "queue.user", "", "`USER` for NATS"},
		{"queue-password", "queue.password", "", "`PASSWORD` that goes with it"},
		{"queue-password-file", "queue.password_file", "", "`FILE` that holds it"},
		{"queue-token", "queue.token", "", "`TOKEN` for NATS"},
		{"queue-token-file", "queue.token_file", "", "`FILE` that holds it"},
		{"queue-tls-ca", "queue.tls.ca", "", "PEM `FILE` of certificates that NATS's are verified with (default the system's)"},
		{"queue-tls-cert", "queue.tls.cert", "", "PEM `FILE` of a certificate to show to NATS"},
		{"queue-tls-key", "queue.tls.key", "", "PEM `FILE` of its key"},
		{"queue-tls-server-name", "queue.tls.server_name", "", "`NAME` in NATS's certificates, where it is not the host"},
		{"queue-prefix", "queue.prefix", "", "`WORD` that the streams on NATS begin with (default currents)"},
		{"queue-replicas", "queue.replicas", "0", "`NUMBER` of servers that keep each stream; 0: three in a cluster, one elsewhere"},
		{"queue-repeats", "queue.repeats", "0", "`DURATION` for which NATS remembers batches; 0: two minutes"},
		{"queue-ack-wait", "queue.ack_wait", "0", "`DURATION` after which a dead bridge's work is taken over; 0: ten seconds"},
	}
}

func limitFlags(cfg bridge.Config) []configFlag {
	return []configFlag{
		{"retain-age", "retain.age", cfg.Retain.Age.String(), "`DURATION` for which delivered events are kept"},
		{"retain-size", "retain.size", size(cfg.Retain.Size), "`SIZE` on disk that they may take"},
		{"scrub-every", "", cfg.ScrubEvery.String(), "`DURATION` in which all that is on disk is read once; 0: never"},
		{"max-body", "", size(cfg.MaxBody), "`SIZE` of the largest request, unpacked"},
		{"max-requests", "", strconv.Itoa(cfg.MaxRequests), "`NUMBER` of requests under way at once; 0: the default of 1024"},
		{"max-connections", "", strconv.Itoa(cfg.MaxConnections), "`NUMBER` of connections at once; 0: the default of 1000"},
		{"grace", "", cfg.Grace.String(), "`DURATION` for what is under way to finish when the bridge is told to stop"},
	}
}

// connectorFlags are of the one connector that flags can describe.
func connectorFlags() []configFlag {
	c := bridge.DefaultConnector()
	return []configFlag{
		{"braze-token", "", "", "bearer `TOKEN` that Braze sends"},
		{"braze-token-file", "", "", "`FILE` that holds such tokens, one a line"},
		{"rudder-url", "", "", "`URL` of RudderStack's data plane"},
		{"write-key", "", "", "write `KEY` of the source in RudderStack"},
		{"write-key-file", "", "", "`FILE` that holds it"},
		{"mode", "", string(c.Mode), "how events are sent: events (finished messages) or webhook (as Braze does)"},
		{"missing-external-user-id", "", string(c.MissingExternalUserID), "what to do with events of people who have no external_user_id: deliver, dead or drop"},
		{"names", "", "braze", "names of events: braze or rudderstack"},
		{"filter-allow", "filter.allow", "", "deliver only events of these `TYPES` (patterns, with commas between them)"},
		{"filter-deny", "filter.deny", "", "never deliver events of these `TYPES`"},
		{"pii", "", "keep", "personal data: keep, drop or hash"},
		{"salt", "", "", "`SALT` of the hashes"},
		{"salt-file", "", "", "`FILE` that holds it"},
		{"profile-updates", "", "track", "what users.profile.Update becomes: track or identify"},
		{"user-orphan", "", "track", "what an event that merges users becomes: track or alias"},
		{"dedupe-window", "", strconv.Itoa(c.DedupeWindow), "`NUMBER` of event ids that are remembered to catch repeats"},
		{"concurrency", "", strconv.Itoa(c.Concurrency), "`NUMBER` of requests to RudderStack at once"},
		{"batch-events", "", strconv.Itoa(c.BatchEvents), "`NUMBER` of events in one of them"},
		{"requests-per-second", "", "0", "`NUMBER` of them that begin in a second; 0: no limit"},
		{"gzip", "", string(c.Gzip), "auto: pack them where RudderStack says that it can unpack; off: never"},
		{"ca-file", "", "", "PEM `FILE` of certificates that RudderStack's is verified with (default the system's)"},
		{"timeout", "", c.Timeout.String(), "`DURATION` that one of them may take"},
		{"backoff-min", "backoff.min", c.Backoff.Min.String(), "`DURATION` of the first wait while RudderStack is away, at most"},
		{"backoff-max", "backoff.max", c.Backoff.Max.String(), "`DURATION` of any wait, at most"},
	}
}

func size(n int64) string { return fmt.Sprintf("%dMiB", n>>20) }

func addConfigFlags(fs *pflag.FlagSet) {
	fs.SortFlags = false
	fs.String("config", "", "YAML file to read `FILE`")
	for _, f := range configFlags() {
		fs.String(f.name, f.value, f.usage)
	}
	fs.Bool("open", false, "take events without a token, from anyone")
}

// load reads the configuration that flags, environment and file give.
func load(fs *pflag.FlagSet) (bridge.Config, error) {
	src, err := source(fs)
	if err != nil {
		return bridge.Config{}, err
	}
	return bridge.Load(src)
}

// source says where the configuration comes from. The environment is not bound
// to the flags here, because it has its own place between them and the file.
func source(fs *pflag.FlagSet) (bridge.Source, error) {
	file, err := fs.GetString("config")
	if err != nil {
		return bridge.Source{}, err
	}
	if !fs.Changed("config") {
		file = os.Getenv("BRIDGE_CONFIG")
	}
	keys := map[string]string{}
	for _, f := range configFlags() {
		keys[f.name] = f.key
	}
	given := map[string]string{}
	fs.Visit(func(f *pflag.Flag) {
		if f.Name == "config" {
			return
		}
		key := keys[f.Name]
		if key == "" {
			key = strings.ReplaceAll(f.Name, "-", "_")
		}
		given[key] = f.Value.String()
	})
	return bridge.Source{File: file, Env: os.LookupEnv, Flags: given}, nil
}
