package config

import (
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// decoder sets the fields of a Config by their tags, from what a file says, and
// above that from variables and flags. A key that is absent leaves the default.
type decoder struct {
	*mistakes
	file   string
	env    func(string) (string, bool)
	over   entries // what variables and flags say, by path
	values int     // of the file, read so far
}

// get returns what was written for a key, if anything.
func (d *decoder) get(m entries, path, key string) (entry, bool) {
	if over, ok := d.over[join(path, key)]; ok {
		return over, true
	}
	e, ok := m[key]
	return e, ok
}

// fields reads the keys of a map into the fields of a struct and returns the
// keys that it knows; none where all are known. flat is for the connector whose
// keys stand at the top.
func (d *decoder) fields(m entries, v reflect.Value, path string, flat bool) (known []string) {
	for _, f := range fieldsOf(v.Type()) {
		into := v.Field(f.index)
		switch {
		case flat && f.get("flat") != "":
		case f.get("secret") != "":
			keys := f.spellings(flat)
			d.secret(m, into, path, keys)
			known = append(known, keys...)
		case f.key == "*":
			rest := reflect.MakeMap(into.Type())
			for _, key := range sortedKeys(m) {
				if !slices.Contains(known, key) {
					d.item(m[key], rest, path, key)
				}
			}
			if rest.Len() > 0 {
				into.Set(rest)
			}
			return nil
		default:
			known = append(known, f.key)
			if e, ok := d.get(m, path, f.key); ok {
				d.value(e, into, join(path, f.key), f)
			} else if into.Kind() == reflect.Struct {
				d.fields(nil, into, join(path, f.key), false) // variables and flags may speak of it
			}
		}
	}
	return known
}

// unknown notes keys that nothing knows here; elsewhere are settings that may
// have been meant.
func (d *decoder) unknown(m entries, path string, known []string, elsewhere []Setting) {
	for _, key := range sortedKeys(m) {
		if slices.Contains(known, key) {
			continue
		}
		at, near := join(path, key), nearest(key, known)
		d.origins[at] = m[key].at
		switch {
		case slices.ContainsFunc(elsewhere, func(s Setting) bool { return s.connector && s.single && strings.HasPrefix(s.Key+".", key+".") }):
			d.add(at, "belongs to a connector where there is a list of connectors")
		case near != "":
			d.add(at, "is not known here; did you mean %s?", near)
		default:
			d.add(at, "is not known here; the keys are %s", strings.Join(known, ", "))
		}
	}
}

// value reads a value of any kind.
func (d *decoder) value(e entry, v reflect.Value, path string, f field) {
	d.origins[path] = e.at
	n := d.follow(e.Node)
	if n.Tag == "!!null" && f.get("null") == "" {
		d.add(path, "has no value")
		return
	}
	short := f.get("short")
	switch {
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		setDefaults(v.Elem())
		d.value(e, v.Elem(), path, f)
	case v.Kind() == reflect.Struct && short != "" && n.Kind == yaml.ScalarNode:
		d.fields(entries{short: e}, v, path, false)
	case v.Kind() == reflect.Struct && n.Kind == yaml.MappingNode:
		m := d.entries(n, path)
		if known := d.fields(m, v, path, false); known != nil {
			d.unknown(m, path, known, nil)
		}
	case v.Kind() == reflect.Struct:
		d.add(path, "must be a map of keys, not %s", what(n))
	case v.Kind() == reflect.Map:
		d.table(n, v, path)
	case v.Kind() == reflect.Slice && n.Kind != yaml.ScalarNode:
		d.list(n, v, path, field{})
	case n.Kind != yaml.ScalarNode || v.Type() == reflect.TypeFor[[]Connector]():
		d.add(path, "must be %s, not %s", expected(v), what(n))
	default:
		text := n.Value
		if n.Line > 0 { // not of variables and flags
			text = d.expand(text, path)
		}
		if err := parse(v, text); err != nil {
			d.add(path, "%v", err)
		}
	}
}

// table reads a map whose keys are free.
func (d *decoder) table(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.add(path, "must be a map of keys, not %s", what(n))
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	m := d.entries(n, path)
	for _, key := range sortedKeys(m) {
		d.item(m[key], v, path, key)
	}
}

// item reads one value of such a map: text, or a value or a list of values,
// where null is a value too.
func (d *decoder) item(e entry, table reflect.Value, path, key string) {
	v, at := reflect.New(table.Type().Elem()).Elem(), join(path, key)
	if v.Kind() == reflect.Slice {
		d.origins[at] = e.at
		n := d.follow(e.Node)
		if n.Kind != yaml.SequenceNode {
			n = &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{n}}
		}
		d.list(n, v, at, field{tag: `null:"a value"`})
	} else {
		d.value(e, v, at, field{})
	}
	table.SetMapIndex(reflect.ValueOf(key), v)
}

// list reads the elements of a list. One that is wrong keeps its place.
func (d *decoder) list(n *yaml.Node, v reflect.Value, path string, f field) {
	if n.Kind != yaml.SequenceNode {
		d.add(path, "must be a list, not %s", what(n))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		if c, ok := reflect.TypeAssert[*Connector](v.Index(i).Addr()); ok {
			if *c = DefaultConnector(); len(n.Content) > 1 {
				c.Name = ""
			}
		}
		d.value(entry{item, origin{d.file, item.Line}}, v.Index(i), indexed(path, i), f)
	}
}

// secret reads the one key of several that is written: KEY or KEYs with the
// value, or KEY_file or KEY_files with the names of files that hold it. A file
// of tokens holds one a line.
func (d *decoder) secret(m entries, v reflect.Value, path string, keys []string) {
	first := ""
	if slices.ContainsFunc(keys, func(key string) bool { _, over := d.over[join(path, key)]; return over }) {
		m = nil // it takes the place of the file's, however that is written
	}
	for i, key := range keys {
		at := join(path, key)
		e, written := d.get(m, path, key)
		if !written {
			continue
		}
		d.origins[at] = e.at
		if first != "" {
			d.add(at, "cannot stand beside %s", first)
			continue
		}
		first = key
		var texts []string
		switch list := strings.HasSuffix(key, "s"); {
		case list && (i == 3 || what(e.Node) != "a single value"):
			d.value(e, reflect.ValueOf(&texts).Elem(), at, field{})
		case list:
			d.add(at, "must be a list, not a single value")
		default:
			texts = []string{""}
			d.value(e, reflect.ValueOf(&texts[0]).Elem(), at, field{})
		}
		if strings.Contains(key, "_file") && !d.bad[at] {
			texts = d.secretFiles(texts, at, v.Kind() == reflect.Slice, join(path, keys[0]), join(path, keys[1]))
		}
		if v.Kind() == reflect.Slice {
			v.Set(reflect.ValueOf(texts))
		} else {
			v.SetString(strings.Join(texts, ""))
			d.bad[join(path, keys[0])] = d.bad[at]
		}
	}
}

// secretFiles reads secrets out of files and notes where each of them stands:
// what is wrong with the value is wrong in the file.
func (d *decoder) secretFiles(files []string, at string, lines bool, oneKey, listKey string) (secrets []string) {
	var places []origin
	for _, file := range files {
		text, err := readSecret(file)
		if err != nil {
			d.add(at, "%v", err)
			continue
		}
		parts := []string{text}
		if lines {
			parts = strings.Split(text, "\n")
		}
		for i, part := range parts {
			if part = strings.TrimRight(part, "\r"); strings.TrimSpace(part) != "" {
				secrets = append(secrets, part)
				places = append(places, origin{file, i + 1})
			}
		}
	}
	if len(secrets) == 0 {
		d.add(at, "nothing stands in %s", oneOf(files))
	}
	for i, place := range places {
		d.origins[tokenKey(len(places), i, oneKey, listKey)] = place
	}
	return secrets
}

// tokenKey names the key that holds the i-th of n tokens.
func tokenKey(n, i int, oneKey, listKey string) string {
	if n == 1 {
		return oneKey
	}
	return indexed(listKey, i)
}
