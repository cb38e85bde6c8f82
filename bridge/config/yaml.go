package config

import (
	"bytes"
	"errors"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	maxFile   = 4 << 20 // bytes of a file
	maxMerges = 10_000  // maps that are merged into others
)

// readFile parses a configuration file. Where it is empty, or wrong as a whole
// (a mistake of the key config), the node is nil.
func (d *decoder) readFile() *yaml.Node {
	d.origins["config"] = origin{}
	data, err := readBounded(d.file, maxFile)
	if err != nil {
		d.add("config", "%v", err)
		return nil
	}
	d.origins["config"] = origin{name: d.file}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := decoder.Decode(&doc); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		d.syntax(err)
		return nil
	}
	// Aliases are followed, so that a few hundred bytes could stand for billions of
	// values. The library notices that where it reads values instead of nodes.
	if err := doc.Decode(new(any)); err != nil && endless.MatchString(err.Error()) {
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

var (
	endless  = regexp.MustCompile(`excessive aliasing$|contains itself$`)
	yamlLine = regexp.MustCompile(`^line (\d+): `)
)

func (d *decoder) syntax(err error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	at := origin{name: d.file}
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		at.line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	// A value that begins with a star is taken for the name of an anchor, and may
	// be a secret.
	if strings.HasPrefix(text, "unknown anchor") {
		text = "a value that begins with * needs quotes"
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

// what names the kind of a node for a message.
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

// entries are the values of a map, by key.
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
	all = entries{}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := origin{d.file, key.Line}
		switch _, twice := all[key.Value]; {
		case key.Tag == "!!merge" && follow(value).Kind == yaml.SequenceNode:
			merged = append(merged, follow(value).Content...)
		case key.Tag == "!!merge":
			merged = append(merged, value)
		case twice:
			d.origins[join(path, key.Value)] = at
			d.add(join(path, key.Value), "is written twice")
		default:
			all[key.Value] = entry{value, at}
		}
	}
	if !strings.HasSuffix(path, "<<") {
		path = join(path, "<<")
	}
	for _, source := range merged {
		// The library looks for endless aliases up to its first mistake only.
		if d.merges++; d.merges > maxMerges {
			d.add("config", "merges more than %d maps, or one of them into itself", maxMerges)
			return all, false
		}
		more, _ := d.entries(source, path)
		for key, value := range more {
			if _, there := all[key]; !there {
				all[key] = value
			}
		}
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

// readBounded reads a file, or what a pipe gives, up to a size.
func readBounded(name string, limit int64) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, errors.New(name + " is larger than " + Size(limit).String())
	}
	return data, err
}
