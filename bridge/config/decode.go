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
	file string
	env  func(string) (string, bool)
	over entries // what variables and flags say, by path
}

func (d *decoder) get(m entries, path, key string) (entry, bool) {
	if over, ok := d.over[join(path, key)]; ok {
		return over, true
	}
	e, ok := m[key]
	return e, ok
}

// fields reads the keys of a map into the fields of a struct and returns the
// keys that it knows; none where all are known.
func (d *decoder) fields(m entries, v reflect.Value, path string) (known []string) {
	for f, into := range v.Fields() {
		key := f.Tag.Get("key")
		switch {
		case f.Tag.Get("secret") != "":
			keys := spellings(f.Tag)
			d.secret(m, into, path, keys)
			known = append(known, keys...)
		case key == "*":
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
			known = append(known, key)
			if e, ok := d.get(m, path, key); ok {
				d.value(e, into, join(path, key), f.Tag)
			} else if into.Kind() == reflect.Struct {
				d.fields(nil, into, join(path, key)) // variables and flags may speak of it
			}
		}
	}
	return known
}

// unknown notes keys that nothing knows here; elsewhere are keys of a connector.
func (d *decoder) unknown(m entries, path string, known, elsewhere []string) {
	for _, key := range sortedKeys(m) {
		if slices.Contains(known, key) {
			continue
		}
		at, near := join(path, key), nearest(key, known)
		d.origins[at] = m[key].at
		switch {
		case slices.Contains(elsewhere, key):
			d.add(at, "belongs to a connector where there is a list of connectors")
		case near != "":
			d.add(at, "is not known here; did you mean %s?", near)
		default:
			d.add(at, "is not known here; the keys are %s", strings.Join(known, ", "))
		}
	}
}

// value reads a value of any kind; of its field's tags short and null count.
func (d *decoder) value(e entry, v reflect.Value, path string, tag reflect.StructTag) {
	d.origins[path] = e.at
	n := follow(e.Node)
	short := tag.Get("short")
	switch {
	case n.Tag == "!!null" && tag.Get("null") == "":
		d.add(path, "has no value")
	case v.Kind() == reflect.Pointer:
		queue := withDefaults(Queue{})
		v.Set(reflect.ValueOf(&queue))
		d.value(e, v.Elem(), path, tag)
	case v.Kind() == reflect.Struct && short != "" && n.Kind == yaml.ScalarNode:
		d.fields(entries{short: e}, v, path)
	case v.Kind() == reflect.Struct:
		if m, ok := d.entries(n, path); ok {
			if known := d.fields(m, v, path); known != nil {
				d.unknown(m, path, known, nil)
			}
		}
	case v.Kind() == reflect.Map:
		if m, ok := d.entries(n, path); ok {
			v.Set(reflect.MakeMap(v.Type()))
			for _, key := range sortedKeys(m) {
				d.item(m[key], v, path, key)
			}
		}
	case v.Kind() == reflect.Slice && n.Kind != yaml.ScalarNode:
		d.list(n, v, path, "")
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

// item reads one value of a map whose keys are free: text, or a value or a list of
// values, where null is a value too.
func (d *decoder) item(e entry, table reflect.Value, path, key string) {
	v, at := reflect.New(table.Type().Elem()).Elem(), join(path, key)
	if v.Kind() == reflect.Slice {
		d.origins[at] = e.at
		n := follow(e.Node)
		if n.Kind != yaml.SequenceNode {
			n = &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{n}}
		}
		d.list(n, v, at, `null:"a value"`)
	} else {
		d.value(e, v, at, "")
	}
	table.SetMapIndex(reflect.ValueOf(key), v)
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, path string, tag reflect.StructTag) {
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
		d.value(entry{item, origin{d.file, item.Line}}, v.Index(i), indexed(path, i), tag)
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
	for _, key := range keys {
		at := join(path, key)
		e, written := d.get(m, path, key)
		if !written {
			continue
		}
		d.origins[at] = e.at
		if first != "" {
			beside := d.shown(join(path, first))
			d.add(at, "cannot stand beside %s", beside[strings.LastIndex(beside, ".")+1:])
			continue
		}
		first = key
		texts := make([]string, 1)
		if strings.HasSuffix(key, "s") {
			d.value(e, reflect.ValueOf(&texts).Elem(), at, "")
		} else {
			d.value(e, reflect.ValueOf(&texts[0]).Elem(), at, "")
		}
		lines := v.Kind() == reflect.Slice
		switch {
		case d.bad[at]:
			texts = nil
		case strings.Contains(key, "_file"):
			texts = d.secretFiles(texts, at, lines, join(path, keys[0]))
		}
		if lines {
			v.Set(reflect.ValueOf(texts))
		} else {
			v.SetString(strings.Join(texts, ""))
			d.bad[join(path, keys[0])] = d.bad[at]
		}
	}
}

// secretFiles reads secrets out of files and notes where each of them stands:
// what is wrong with the value is wrong in the file.
func (d *decoder) secretFiles(files []string, at string, lines bool, key string) (secrets []string) {
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
		d.origins[tokenKey(len(places), i, key)] = place
	}
	return secrets
}

// tokenKey names the key that the i-th of n tokens is written as: token, or tokens[1].
func tokenKey(n, i int, key string) string {
	if n == 1 {
		return key
	}
	return indexed(key+"s", i)
}
