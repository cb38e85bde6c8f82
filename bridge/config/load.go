package config

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"
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
	// Flags holds what was given on the command line, by Setting.Flag.
	Flags map[string]string
}

// Load reads a configuration and checks all of it. Where it is wrong the error
// is an *Error with every mistake. It returns with the end of ctx even where a
// file cannot be read to its end, such as a pipe without a writer.
func Load(ctx context.Context, src Source) (cfg Config, err error) {
	done := make(chan struct{})
	var read Config
	var failed error
	go func() {
		defer close(done)
		read, failed = load(src)
	}()
	select {
	case <-ctx.Done():
		return Config{}, fmt.Errorf("read the configuration: %w", context.Cause(ctx))
	case <-done:
		return read, failed
	}
}

func load(src Source) (Config, error) {
	if src.Env == nil {
		src.Env = func(string) (string, bool) { return "", false }
	}
	d := decoder{mistakes: newMistakes(), file: src.File, env: src.Env, over: entries{}}
	var top entries
	if src.File != "" {
		if root := d.readFile(); root != nil && !d.bad["config"] {
			top = d.entries(root, "")
		}
	}
	if d.bad["config"] {
		return Config{}, d.err()
	}
	d.origins[""] = origin{name: src.File}
	cfg, key := d.config(top, src)
	check := checker{mistakes: d.mistakes, key: key}
	check.config(cfg)
	if err := d.err(); err != nil {
		return Config{}, err
	}
	return cfg, nil
}

// keyFunc names the key that a field of the i-th connector was read from.
type keyFunc func(i int, field string) string

func listKey(i int, field string) string { return join(indexed("connectors", i), field) }

// config reads everything. Without a list the keys of the one connector stand
// beside those of the bridge.
func (d *decoder) config(top entries, src Source) (Config, keyFunc) {
	settings, cfg := Settings(), Default()
	list, listed := top["connectors"]
	count := 1
	if listed {
		count = len(d.follow(list.Node).Content)
	}
	d.overrides(settings, src, func(s Setting) (path string, ok bool) {
		switch {
		case !s.connector, !listed:
			return s.path, true
		case count == 1:
			return listKey(0, s.inList), true
		}
		return s.Key, false
	})
	known := d.fields(top, reflect.ValueOf(&cfg).Elem(), "", false)
	if !listed {
		one := DefaultConnector()
		known = append(known, d.fields(top, reflect.ValueOf(&one).Elem(), "", true)...)
		cfg.Connectors = []Connector{one}
	}
	d.unknown(top, "", known, settings)
	for i := range cfg.Connectors {
		c := &cfg.Connectors[i]
		if _, said := d.origins[listKey(i, "open")]; !said {
			c.Open = cfg.Open && len(c.Tokens) == 0
		}
	}
	if listed {
		return cfg, listKey
	}
	for _, s := range settings {
		if _, given := d.origins[s.path]; !given && s.Flag != "" && src.File == "" {
			d.origins[s.path] = origin{name: "--" + s.Flag}
		}
	}
	return cfg, func(_ int, field string) string { return flatKey(field) }
}

// overrides notes what variables and flags say, by the path of the setting.
// Beside a file with several connectors a flag of a connector is a mistake, and
// a variable is left alone, because the file may refer to it.
func (d *decoder) overrides(settings []Setting, src Source, path func(Setting) (string, bool)) {
	for _, s := range settings {
		if s.Flag == "" {
			continue
		}
		at, fits := path(s)
		value, given := src.Flags[s.Flag]
		from := origin{name: "--" + s.Flag}
		otherwise := func(other Setting) bool { _, given := src.Flags[other.Flag]; return given && s.same(other) }
		if !given && fits && !slices.ContainsFunc(settings, otherwise) {
			value, given = src.Env(s.Env)
			given = given && value != ""
			from.name = s.Env
		}
		switch {
		case given && fits:
			d.over[at] = entry{&yaml.Node{Kind: yaml.ScalarNode, Value: value}, from}
		case given:
			d.origins[at] = from
			d.add(at, "cannot be given beside a file with several connectors")
		}
	}
}
