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
	return append(connectorKeys(), "listen", "tls.cert", "tls.key", "admin", "admin_token", "admin_token_file", "data_dir",
		"queue", "queue.max_size", "queue.credentials", "queue.user", "queue.password", "queue.password_file",
		"queue.token", "queue.token_file", "queue.tls.ca", "queue.tls.cert", "queue.tls.key", "queue.tls.server_name",
		"queue.prefix", "queue.replicas", "queue.repeats", "queue.ack_wait", "retain.age", "retain.size", "scrub_every", "max_body", "max_requests",
		"max_connections", "grace", "log.format", "log.level", "open")
}

// connectorKeys describe the one connector of a configuration without a list
// of connectors. Of a connector's own keys these leave out what needs a map, and
// max_body, which is another key there.
func connectorKeys() []string {
	return []string{"braze_token", "braze_token_file", "rudder_url", "write_key", "write_key_file", "mode",
		"missing_external_user_id", "names", "filter.allow", "filter.deny", "pii", "salt", "salt_file",
		"profile_updates", "user_orphan", "dedupe_window", "concurrency", "batch_events", "requests_per_second",
		"gzip", "ca_file", "timeout", "backoff.min", "backoff.max"}
}

// alternatives are keys that say the same thing in different ways: what is said
// later, in the order of precedence, takes the place of all of them.
func alternatives() [][]string {
	return [][]string{
		{"braze_token", "braze_tokens", "braze_token_file", "braze_token_files"},
		{"token", "tokens", "token_file", "token_files"},
		{"write_key", "write_key_file"},
		{"salt", "salt_file"},
		{"admin_token", "admin_token_file"},
		{"password", "password_file"},
	}
}

// displace removes from lower what upper says in another way, in the maps below
// them too.
func displace(lower, upper tree) {
	for key, value := range upper {
		inner, nested := value.(tree)
		if below, ok := lower[key].(tree); ok && nested {
			displace(below, inner)
		}
	}
	for _, keys := range alternatives() {
		if slices.ContainsFunc(keys, func(key string) bool { _, said := upper[key]; return said }) {
			for _, key := range keys {
				delete(lower, key)
			}
		}
	}
}

// Load reads a configuration and checks all of it. Where it is wrong the error
// is a *ConfigError with every mistake.
func Load(src Source) (Config, error) { return load(src, Config.check) }

// LoadStore is Load for what only opens the store: connectors may be missing,
// and what is wrong with a value is a mistake only where the store or the log
// needs it. Keys must be known all the same.
func LoadStore(src Source) (Config, error) {
	return load(src, func(c Config, p *problems, _ keyFunc) { c.checkStore(p) })
}

func load(src Source, check func(Config, *problems, keyFunc)) (Config, error) {
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
	check(cfg, p, key)
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
	for {
		outer, inner, nested := strings.Cut(key, ".")
		if !nested {
			t[key] = value
			return
		}
		below, ok := t[outer].(tree)
		if !ok {
			below = tree{}
			t[outer] = below
		}
		t, key = below, inner
	}
}

// merge lays the later trees over the earlier ones.
func merge(layers ...tree) (tree, error) {
	k := koanf.New(".")
	for _, layer := range layers {
		if store, ok := layer["queue"].(string); ok {
			layer["queue"] = tree{"store": store}
		}
	}
	for i, layer := range layers {
		for _, upper := range layers[i+1:] {
			displace(layer, upper)
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
	for _, key := range append(connectorKeys(), "braze_tokens", "braze_token_files") {
		if _, ok := file[key]; ok {
			p.add(key, "belongs to a connector where there is a list of connectors")
			delete(file, key)
		}
	}
	for _, layer := range []tree{env, flags} {
		said := tree{}
		for _, key := range connectorKeys() {
			value, ok := take(layer, key)
			switch name := strings.TrimPrefix(key, "braze_"); {
			case !ok:
			case only != nil:
				put(said, name, value)
				p.origins["connectors[0]."+name] = p.origins[key]
			case strings.HasPrefix(p.origins[key].name, "--"):
				p.add(key, "cannot be given beside a file with several connectors")
			}
		}
		overlay(only, said)
	}
}

// overlay lays said over a connector of a file.
func overlay(only, said tree) {
	displace(only, said)
	for name, value := range said {
		inner, nested := value.(tree)
		if below, ok := only[name].(tree); ok && nested {
			maps.Copy(below, inner)
			continue
		}
		only[name] = value
	}
}

// take removes the value of a key, which may be nested, from t.
func take(t tree, key string) (string, bool) {
	outer, inner, nested := strings.Cut(key, ".")
	if nested {
		below, _ := t[outer].(tree)
		value, ok := take(below, inner)
		if ok && len(below) == 0 {
			delete(t, outer)
		}
		return value, ok
	}
	value, ok := t[key].(string)
	if ok {
		delete(t, key)
	}
	return value, ok
}
