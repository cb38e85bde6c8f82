package bridge

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// tree is a configuration as it was written: maps, lists, and every scalar as
// its text, or nil where a key has no value. Files, variables and flags all
// become trees, so that one reader with one set of messages is enough.
type tree = map[string]any

// yamlFile turns a YAML file into a tree and remembers the line of each key.
type yamlFile struct {
	name     string
	getenv   func(string) (string, bool)
	problems *problems
}

// readFile reads a configuration file; what is wrong with it goes to problems.
func readFile(name string, getenv func(string) (string, bool), p *problems) tree {
	data, err := os.ReadFile(name)
	if err != nil {
		p.add("config", "%v", err)
		return nil
	}
	f := yamlFile{name: name, getenv: getenv, problems: p}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := decoder.Decode(&doc); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		f.syntax(err)
		return nil
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		p.origins["config"] = origin{name: name}
		p.add("config", "must hold one YAML document, not several")
		return nil
	}
	root, ok := f.value(doc.Content[0], "", 0).(tree)
	if !ok && doc.Content[0].Tag != "!!null" {
		p.origins["config"] = origin{name, doc.Content[0].Line}
		p.add("config", "must be a map of keys, such as listen: 127.0.0.1:8080")
	}
	return root
}

var yamlLine = regexp.MustCompile(`^line (\d+): `)

func (f *yamlFile) syntax(err error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	at := origin{name: f.name}
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		at.line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	// A value that begins with a star is taken for the name of an anchor, and may
	// be a secret.
	if strings.HasPrefix(text, "unknown anchor") {
		text = "a value that begins with * needs quotes"
	}
	f.problems.origins["config"] = at
	f.problems.add("config", "is not YAML: %s", text)
}

// maxDepth ends the walk of a file whose aliases contain themselves.
const maxDepth = 20

func (f *yamlFile) value(n *yaml.Node, path string, depth int) any {
	if path != "" {
		f.problems.origins[path] = origin{f.name, n.Line}
	}
	if depth > maxDepth {
		f.problems.add(path, "is nested too deeply")
		return nil
	}
	switch n.Kind {
	case yaml.AliasNode:
		return f.value(n.Alias, path, depth+1)
	case yaml.MappingNode:
		return f.mapping(n, path, depth)
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			list[i] = f.value(item, fmt.Sprintf("%s[%d]", path, i), depth+1)
		}
		return list
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return nil
		}
		return f.expand(n.Value, path)
	}
	return nil
}

func (f *yamlFile) mapping(n *yaml.Node, path string, depth int) tree {
	out := tree{}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Tag == "!!merge" {
			merged = append(merged, value)
			continue
		}
		at := join(path, key.Value)
		if _, twice := out[key.Value]; twice {
			f.problems.origins[at] = origin{f.name, key.Line}
			f.problems.add(at, "is written twice")
			continue
		}
		out[key.Value] = f.value(value, at, depth+1)
		f.problems.origins[at] = origin{f.name, key.Line}
	}
	for _, m := range merged {
		f.merge(out, m, path, depth)
	}
	return out
}

// merge adds what a YAML merge key (<<) brings, below what is written out.
func (f *yamlFile) merge(out tree, n *yaml.Node, path string, depth int) {
	sources := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		sources = n.Content
	}
	for _, source := range sources {
		// The lines of what is written out must stay, so the merged part is
		// read apart and only what is new is taken over.
		apart := yamlFile{f.name, f.getenv, newProblems(map[string]origin{})}
		m, ok := apart.value(source, path, depth+1).(tree)
		if !ok {
			f.problems.add(join(path, "<<"), "must merge a map")
			continue
		}
		for key, value := range m {
			if _, there := out[key]; !there {
				out[key] = value
				f.problems.origins[join(path, key)] = apart.problems.origins[join(path, key)]
			}
		}
		for _, problem := range apart.problems.list {
			f.problems.add(problem.Key, "%s", problem.Text)
		}
	}
}

var reference = regexp.MustCompile(`\$?\$\{[^}]*\}`)
var variable = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?\}$`)

// expand replaces ${NAME} and ${NAME:-otherwise} by the environment variable;
// $${ stands for ${ itself.
func (f *yamlFile) expand(text, path string) string {
	return reference.ReplaceAllStringFunc(text, func(ref string) string {
		if strings.HasPrefix(ref, "$$") {
			return ref[1:]
		}
		m := variable.FindStringSubmatch(ref)
		if m == nil {
			// The text may be part of a secret, so it is not shown.
			f.problems.add(path, "has a ${…} that is no reference to an environment variable; write ${NAME}, or $${ for the text ${")
			return ""
		}
		value, ok := f.getenv(m[1])
		switch {
		case ok && (value != "" || !strings.Contains(ref, ":-")):
			return value
		case strings.Contains(ref, ":-"):
			return m[2]
		}
		f.problems.add(path, "the environment variable %s is not set", m[1])
		return ""
	})
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
