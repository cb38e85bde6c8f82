package bridge

import (
	"maps"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
)

// Source is where a configuration comes from. Flags win over the environment,
// the environment over the file, the file over the defaults.
type Source struct {
	// File is the path of a YAML file; empty: none. ${NAME} in its values
	// stands for an environment variable, ${NAME:-x} for x where that is
	// unset or empty.
	File string
	// Env looks up an environment variable, as os.LookupEnv does; nil: none.
	Env func(name string) (string, bool)
	// Flags holds what was given on the command line, by key of the file:
	// data_dir for --data-dir. A dot stands between the keys of nested maps.
	Flags map[string]string
}

// envKeys are the keys that are environment variables too: BRIDGE_DATA_DIR for
// data_dir, BRIDGE_RETAIN_AGE for retain.age.
func envKeys() []string {
	return append(connectorKeys(), "listen", "admin", "data_dir", "queue", "queue.max_size", "retain.age",
		"retain.size", "max_body", "grace", "log.format", "log.level", "open")
}

// connectorKeys describe the one connector of a configuration without a list
// of connectors.
func connectorKeys() []string {
	return []string{"braze_token", "rudder_url", "write_key", "mode"}
}

// Load reads a configuration and checks all of it. Where it is wrong the error
// is a *ConfigError with every mistake.
func Load(src Source) (Config, error) {
	if src.Env == nil {
		src.Env = func(string) (string, bool) { return "", false }
	}
	p := newProblems(map[string]origin{})
	file := tree{}
	if src.File != "" {
		if read := readFile(src.File, src.Env, p); read != nil {
			file = read
		}
		if p.bad["config"] {
			return Config{}, p.err()
		}
	}
	env, flags := src.layers(p.origins)
	overrideConnector(file, env, flags, p)
	merged, err := merge(file, env, flags)
	if err != nil {
		p.add("config", "%v", err)
		return Config{}, p.err()
	}
	root := &section{problems: p, values: merged}
	cfg, key := readConfig(root, func(key string) origin {
		if src.File != "" {
			return origin{name: src.File}
		}
		return flagOrigin(key)
	})
	root.done()
	cfg.check(p, key)
	if err := p.err(); err != nil {
		return Config{}, err
	}
	return cfg, nil
}

// layers turns the environment and the flags into trees.
func (src Source) layers(origins map[string]origin) (env, flags tree) {
	env, flags = tree{}, tree{}
	for _, key := range envKeys() {
		name := "BRIDGE_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
		if value, ok := src.Env(name); ok && value != "" {
			put(env, key, value)
			origins[key] = origin{name: name}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(src.Flags)) {
		put(flags, key, src.Flags[key])
		origins[key] = flagOrigin(key)
	}
	return env, flags
}

func flagOrigin(key string) origin {
	return origin{name: "--" + strings.NewReplacer("_", "-", ".", "-").Replace(key)}
}

func put(t tree, key, value string) {
	if key == "queue" { // the short form of queue.store
		key = "queue.store"
	}
	if outer, inner, nested := strings.Cut(key, "."); nested {
		below, ok := t[outer].(tree)
		if !ok {
			below = tree{}
			t[outer] = below
		}
		t, key = below, inner
	}
	t[key] = value
}

// merge lays the later trees over the earlier ones.
func merge(layers ...tree) (tree, error) {
	k := koanf.New(".")
	for _, layer := range layers {
		if store, ok := layer["queue"].(string); ok {
			layer["queue"] = tree{"store": store}
		}
		if err := k.Load(confmap.Provider(layer, ""), nil); err != nil {
			return nil, err
		}
	}
	return k.Raw(), nil
}

// overrideConnector applies what the environment and the flags say of the one
// connector to a file that has a list of connectors: a single one is
// overridden; with several, a flag is a mistake, and a variable is left alone,
// because the file may refer to it.
func overrideConnector(file, env, flags tree, p *problems) {
	written, ok := file["connectors"]
	if !ok {
		return
	}
	list, _ := written.([]any)
	var only tree
	if len(list) == 1 {
		only, _ = list[0].(tree)
	}
	for _, key := range connectorKeys() {
		if _, ok := file[key]; ok {
			p.add(key, "belongs to a connector where there is a list of connectors")
			delete(file, key)
		}
		for _, layer := range []tree{env, flags} {
			value, ok := layer[key]
			if !ok {
				continue
			}
			delete(layer, key)
			switch name := strings.TrimPrefix(key, "braze_"); {
			case only != nil:
				only[name] = value
				p.origins["connectors[0]."+name] = p.origins[key]
				if name == "token" {
					delete(only, "tokens")
				}
			case strings.HasPrefix(p.origins[key].name, "--"):
				p.add(key, "cannot be given beside a file with several connectors")
			}
		}
	}
}

// keyFunc names the key that a field of the i-th connector was read from.
type keyFunc func(i int, field string) string

func listKey(i int, field string) string {
	return join(indexed("connectors", i), field)
}

func flatKey(_ int, field string) string {
	if field == "token" {
		return "braze_token"
	}
	return field
}

// readConfig reads everything. missing says where the one connector's keys are
// looked for when they are not there.
func readConfig(root *section, missing func(key string) origin) (Config, keyFunc) {
	cfg := DefaultConfig()
	root.text("listen", &cfg.Listen)
	root.text("admin", &cfg.Admin)
	root.text("data_dir", &cfg.DataDir)
	queue := root.sub("queue")
	queue.text("store", &cfg.Queue.Store)
	queue.size("max_size", &cfg.Queue.MaxSize)
	queue.done()
	retain := root.sub("retain")
	retain.duration("age", &cfg.Retain.Age)
	retain.size("size", &cfg.Retain.Size)
	retain.done()
	root.size("max_body", &cfg.MaxBody)
	root.duration("grace", &cfg.Grace)
	log := root.sub("log")
	log.text("format", &cfg.Log.Format)
	log.text("level", &cfg.Log.Level)
	log.done()
	var open bool
	root.truth("open", &open)

	single := DefaultConnector()
	token := ""
	root.text("braze_token", &token)
	root.text("rudder_url", &single.RudderURL)
	root.text("write_key", &single.WriteKey)
	root.text("mode", (*string)(&single.Mode))
	if sections := root.subs("connectors"); root.values["connectors"] != nil || root.problems.bad["connectors"] {
		for _, s := range sections {
			cfg.Connectors = append(cfg.Connectors, readConnector(s, len(sections) == 1, open))
		}
		return cfg, listKey
	}
	if _, given := root.values["braze_token"]; given {
		single.Tokens = []string{token}
	}
	single.Open = open && single.Tokens == nil
	for _, key := range connectorKeys() {
		if _, given := root.problems.origins[key]; !given {
			root.problems.origins[key] = missing(key)
		}
	}
	cfg.Connectors = []Connector{single}
	return cfg, flatKey
}

func readConnector(s *section, alone, open bool) Connector {
	c := DefaultConnector()
	if !alone {
		c.Name = ""
	}
	s.text("name", &c.Name)
	token := ""
	s.text("token", &token)
	s.texts("tokens", &c.Tokens)
	if _, given := s.values["token"]; given {
		if c.Tokens != nil {
			s.bad("tokens", "cannot stand beside token; put all of them here")
		}
		c.Tokens = []string{token}
	}
	c.Open = open && c.Tokens == nil
	s.truth("open", &c.Open)
	s.text("mode", (*string)(&c.Mode))
	s.text("rudder_url", &c.RudderURL)
	s.text("write_key", &c.WriteKey)
	s.text("missing_external_user_id", (*string)(&c.MissingExternalUserID))
	s.whole("dedupe_window", &c.DedupeWindow)
	s.whole("concurrency", &c.Concurrency)
	s.whole("batch_events", &c.BatchEvents)
	s.size("max_body", &c.MaxBody)
	s.duration("timeout", &c.Timeout)
	backoff := s.sub("backoff")
	backoff.duration("min", &c.Backoff.Min)
	backoff.duration("max", &c.Backoff.Max)
	backoff.done()
	s.done()
	return c
}
