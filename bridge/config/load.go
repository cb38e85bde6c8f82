package config

import (
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
// is an *Error with every mistake.
func Load(src Source) (Config, error) {
	if src.Env == nil {
		src.Env = func(string) (string, bool) { return "", false }
	}
	d := decoder{mistakes: newMistakes(), file: src.File, env: src.Env, over: entries{}}
	var top entries
	if src.File != "" {
		if root := d.readFile(); root != nil {
			top, _ = d.entries(root, "")
		}
	}
	if d.bad["config"] {
		return Config{}, d.err()
	}
	d.origins[""] = origin{name: src.File}
	cfg := d.config(top, src)
	d.check(cfg)
	if err := d.err(); err != nil {
		return Config{}, err
	}
	return cfg, nil
}

// config reads everything. Without a list the keys of the one connector stand
// beside those of the bridge.
func (d *decoder) config(top entries, src Source) Config {
	cfg := Default()
	list, listed := top["connectors"]
	d.flat = !listed
	d.overrides(src, listed && len(follow(list.Node).Content) != 1)
	one := entries{}
	var ofConnectors []string
	for f := range reflect.TypeFor[Connector]().Fields() {
		for _, key := range spellings(f.Tag) {
			if f.Tag.Get("flat") != "" {
				continue
			}
			beside := flatKey(key)
			ofConnectors = append(ofConnectors, beside)
			if e, ok := top[beside]; ok && !listed {
				one[key] = e
				delete(top, beside)
			}
		}
	}
	known := d.fields(top, reflect.ValueOf(&cfg).Elem(), "")
	if listed {
		d.unknown(top, "", known, ofConnectors)
	} else {
		d.unknown(top, "", append(known, ofConnectors...), nil)
		cfg.Connectors = []Connector{DefaultConnector()}
		d.fields(one, reflect.ValueOf(&cfg.Connectors[0]).Elem(), "connectors[0]")
	}
	for i := range cfg.Connectors {
		c := &cfg.Connectors[i]
		if _, said := d.origins[listKey(i, "open")]; !said {
			c.Open = cfg.Open && len(c.Tokens) == 0
		}
	}
	for _, s := range Settings() {
		if _, given := d.origins[s.path]; !given && s.Flag != "" && src.File == "" {
			d.origins[s.path] = origin{name: "--" + s.Flag}
		}
	}
	return cfg
}

// overrides notes what variables and flags say, by the path of the setting. Beside
// a list that has not one connector a flag of a connector is a mistake, and a
// variable is left alone, because the file may refer to it.
func (d *decoder) overrides(src Source, several bool) {
	settings := Settings()
	for _, s := range settings {
		if s.Flag == "" {
			continue
		}
		value, given := src.Flags[s.Flag]
		from, misplaced := origin{name: "--" + s.Flag}, several && s.connector
		otherwise := func(other Setting) bool { _, given := src.Flags[other.Flag]; return given && s.same(other) }
		if !given && !misplaced && !slices.ContainsFunc(settings, otherwise) {
			value, given = src.Env(s.Env)
			given = given && value != ""
			from.name = s.Env
		}
		switch {
		case given && misplaced:
			d.origins[s.Key] = from
			d.add(s.Key, "cannot be given beside a file with several connectors")
		case given:
			d.over[s.path] = entry{&yaml.Node{Kind: yaml.ScalarNode, Value: value}, from}
		}
	}
}
