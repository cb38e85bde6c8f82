package config

import (
	"errors"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// readFile parses a configuration file. Where it is empty, or wrong as a whole
// (a mistake of the key config), the node is nil.
func (d *decoder) readFile() *yaml.Node {
	d.origins["config"] = origin{}
	file, err := os.Open(d.file)
	if err != nil {
		d.add("config", "%v", err)
		return nil
	}
	defer file.Close()
	d.origins["config"] = origin{name: d.file}
	decoder := yaml.NewDecoder(file)
	var doc yaml.Node
	if err = decoder.Decode(&doc); errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil {
		d.place(doc.Content[0], "")
		err = doc.Decode(new(any)) // finds merges of what is no map, and aliases without end
	}
	if err != nil {
		d.syntax(err)
		return nil
	}
	switch root := doc.Content[0]; {
	case !errors.Is(decoder.Decode(new(yaml.Node)), io.EOF):
		d.add("config", "must hold one YAML document, not several")
	case root.Kind == yaml.MappingNode:
		return root
	case root.Tag != "!!null":
		d.origins["config"] = origin{d.file, root.Line}
		d.add("config", "must be a map of keys, such as listen: 127.0.0.1:8080")
	}
	return nil
}

// place gives each value in a map the line of its key. Of keys that are written
// twice it leaves the first.
func (d *decoder) place(n *yaml.Node, path string) {
	all, seen := n.Content, map[string]bool{}
	if n.Kind == yaml.SequenceNode {
		for i, item := range all {
			d.place(item, indexed(path, i))
		}
		return
	}
	n.Content = nil
	for i := 0; i+1 < len(all); i += 2 {
		key, value, at := all[i], all[i+1], join(path, all[i].Value)
		if seen[key.Value] {
			d.origins[at] = origin{d.file, key.Line}
			d.add(at, "is written twice")
			continue
		}
		seen[key.Value], value.Line = true, key.Line
		d.place(value, at)
		n.Content = append(n.Content, key, value)
	}
}

var yamlLine = regexp.MustCompile(`^line (\d+): `)

// syntax notes what the library says of a file, but for values in it, which may be secrets.
func (d *decoder) syntax(err error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	at := origin{name: d.file}
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		at.line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	switch {
	case strings.HasPrefix(text, "unknown anchor"):
		text = "a value that begins with * needs quotes"
	case strings.HasPrefix(text, "cannot decode"):
		text = "a value is not what its tag says"
	case strings.HasPrefix(text, "invalid map key"):
		text = "a key is a map or a list; a text that begins with { or [ needs quotes"
	}
	d.origins["config"] = at
	d.add("config", "is not YAML: %s", text)
}

// follow returns what an alias stands for. The library has no alias of an alias.
func follow(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func what(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a map"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "nothing"
	}
	return "a single value"
}

type entries map[string]entry

type entry struct {
	*yaml.Node
	at origin // of the key
}

// entries reads a map; ok is false where it is none. What a merge key (<<) brings goes
// below what is written out.
func (d *decoder) entries(n *yaml.Node, path string) (all entries, ok bool) {
	if n = follow(n); n.Kind != yaml.MappingNode {
		d.add(path, "must be a map of keys, not %s", what(n))
		return nil, false
	}
	var values map[string]yaml.Node
	_ = n.Decode(&values) // readFile has tried it
	all = entries{}
	for key, value := range values {
		all[key] = entry{&value, origin{d.file, value.Line}}
	}
	return all, true
}

var (
	reference = regexp.MustCompile(`\$?\$\{[^}]*\}`)
	variable  = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?\}$`)
)

// expand replaces ${NAME} and ${NAME:-otherwise} by the environment variable;
// $${ stands for ${ itself.
func (d *decoder) expand(text, path string) string {
	return reference.ReplaceAllStringFunc(text, func(ref string) string {
		if strings.HasPrefix(ref, "$$") {
			return ref[1:]
		}
		m := variable.FindStringSubmatch(ref)
		if m == nil {
			// The text may be part of a secret, so it is not shown.
			d.add(path, "has a ${…} that is no reference to an environment variable; write ${NAME}, or $${ for the text ${")
			return ""
		}
		optional := strings.Contains(ref, ":-")
		value, ok := d.env(m[1])
		if !ok && !optional {
			d.add(path, "the environment variable %s is not set", m[1])
		}
		if value == "" && optional {
			return m[2]
		}
		return value
	})
}
