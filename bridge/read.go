package bridge

import (
	"maps"
	"slices"

	"github.com/currentsbridge/currentsbridge/bridge/mapping"
)

// keyFunc names the key that a field of the i-th connector was read from.
type keyFunc func(i int, field string) string

func listKey(i int, field string) string {
	return join(indexed("connectors", i), field)
}

// flatKey is for the one connector whose keys stand beside the bridge's own.
func flatKey(_ int, field string) string { return flatName(field) }

func flatName(field string) string {
	switch field {
	case "token", "tokens", "token_file", "token_files":
		return "braze_" + field
	}
	return field
}

// readConfig reads everything. missing says where the one connector's keys are
// looked for when they are not there.
func readConfig(root *section, missing func(key string) origin) (Config, keyFunc) {
	cfg := DefaultConfig()
	readTop(root, &cfg)
	var open bool
	root.truth("open", &open)
	if sections := root.subs("connectors"); root.values["connectors"] != nil || root.problems.bad["connectors"] {
		for _, s := range sections {
			c := DefaultConnector()
			if len(sections) > 1 {
				c.Name = ""
			}
			s.text("name", &c.Name)
			readConnector(s, &c, open)
			s.truth("open", &c.Open)
			s.size("max_body", &c.MaxBody)
			s.done()
			cfg.Connectors = append(cfg.Connectors, c)
		}
		return cfg, listKey
	}
	single := DefaultConnector()
	root.rename = flatName
	readConnector(root, &single, open)
	root.rename = nil
	for _, key := range connectorKeys() {
		if _, given := root.problems.origins[key]; !given {
			root.problems.origins[key] = missing(key)
		}
	}
	cfg.Connectors = []Connector{single}
	return cfg, flatKey
}

// readTop reads what is not of a connector.
func readTop(root *section, cfg *Config) {
	root.text("listen", &cfg.Listen)
	root.text("admin", &cfg.Admin)
	tls := root.sub("tls")
	tls.text("cert", &cfg.TLS.Cert)
	tls.text("key", &cfg.TLS.Key)
	tls.done()
	root.secret("admin_token", &cfg.AdminToken)
	root.text("data_dir", &cfg.DataDir)
	queue := root.sub("queue")
	queue.text("store", &cfg.Queue.Store)
	queue.size("max_size", &cfg.Queue.MaxSize)
	readNATS(queue, &cfg.Queue.NATS)
	queue.done()
	retain := root.sub("retain")
	retain.duration("age", &cfg.Retain.Age)
	retain.size("size", &cfg.Retain.Size)
	retain.done()
	root.duration("scrub_every", &cfg.ScrubEvery)
	root.size("max_body", &cfg.MaxBody)
	root.whole("max_requests", &cfg.MaxRequests)
	root.whole("max_connections", &cfg.MaxConnections)
	root.duration("grace", &cfg.Grace)
	log := root.sub("log")
	log.text("format", &cfg.Log.Format)
	log.text("level", &cfg.Log.Level)
	log.done()
}

// readNATS reads what only a queue on NATS needs.
func readNATS(s *section, into *NATS) {
	s.text("credentials", &into.Credentials)
	s.text("user", &into.User)
	s.secret("password", &into.Password)
	s.secret("token", &into.Token)
	tls := s.sub("tls")
	tls.text("ca", &into.TLS.CA)
	tls.text("cert", &into.TLS.Cert)
	tls.text("key", &into.TLS.Key)
	tls.text("server_name", &into.TLS.ServerName)
	tls.done()
	s.text("prefix", &into.Prefix)
	s.whole("replicas", &into.Replicas)
	s.duration("repeats", &into.Repeats)
	s.duration("ack_wait", &into.AckWait)
}

// readConnector reads the keys that a connector of a list and the only one of a
// flat file share. open is what is said for the whole bridge.
func readConnector(s *section, c *Connector, open bool) {
	s.tokens(&c.Tokens)
	c.Open = open && c.Tokens == nil
	s.text("mode", (*string)(&c.Mode))
	s.text("rudder_url", &c.RudderURL)
	s.secret("write_key", &c.WriteKey)
	s.text("missing_external_user_id", (*string)(&c.MissingExternalUserID))
	readNames(s, &c.Names)
	readFilter(s, &c.Filter)
	readPersonal(s, &c.Personal)
	s.either("profile_updates", "track", "identify", &c.Identify)
	s.either("user_orphan", "track", "alias", &c.Alias)
	s.whole("dedupe_window", &c.DedupeWindow)
	s.whole("concurrency", &c.Concurrency)
	s.whole("batch_events", &c.BatchEvents)
	s.number("requests_per_second", &c.RequestsPerSecond)
	s.text("gzip", (*string)(&c.Gzip))
	s.text("ca_file", &c.CAFile)
	s.duration("timeout", &c.Timeout)
	backoff := s.sub("backoff")
	backoff.duration("min", &c.Backoff.Min)
	backoff.duration("max", &c.Backoff.Max)
	backoff.done()
}

// readNames reads names: braze, rudderstack, or a map of event types to names
// whose key preset is one of the two.
func readNames(s *section, into *mapping.Names) {
	if _, written := s.values[s.name("names")].(tree); !written {
		s.either("names", "braze", "rudderstack", &into.Readable)
		return
	}
	names := s.sub("names")
	names.either("preset", "braze", "rudderstack", &into.Readable)
	into.Map = map[string]string{}
	for _, typ := range slices.Sorted(maps.Keys(names.values)) {
		if typ == "preset" {
			continue
		}
		name := ""
		names.text(typ, &name)
		into.Map[typ] = name
	}
}

func readFilter(s *section, into *mapping.Filter) {
	filter := s.sub("filter")
	filter.list("allow", &into.Allow)
	filter.list("deny", &into.Deny)
	into.AllowProperties = readRules(filter.sub("allow_properties"))
	into.DenyProperties = readRules(filter.sub("deny_properties"))
	filter.done()
}

// readRules reads a map of properties to a value or a list of values.
func readRules(s *section) []mapping.PropertyRule {
	var rules []mapping.PropertyRule
	for _, property := range slices.Sorted(maps.Keys(s.values)) {
		rule := mapping.PropertyRule{Property: property}
		s.alternatives(property, &rule.Values)
		rules = append(rules, rule)
	}
	return rules
}

// readPersonal reads pii: an action, or a preset and actions for fields.
func readPersonal(s *section, into *mapping.Personal) {
	var salt string
	s.secret("salt", &salt)
	if salt != "" {
		into.Salt = []byte(salt)
	}
	if _, written := s.values[s.name("pii")].(tree); !written {
		s.text("pii", (*string)(&into.Preset))
		return
	}
	pii := s.sub("pii")
	pii.text("preset", (*string)(&into.Preset))
	fields := pii.sub("fields")
	for _, name := range slices.Sorted(maps.Keys(fields.values)) {
		var action string
		fields.text(name, &action)
		if into.Fields == nil {
			into.Fields = map[string]mapping.Action{}
		}
		into.Fields[name] = mapping.Action(action)
	}
	pii.done()
}
