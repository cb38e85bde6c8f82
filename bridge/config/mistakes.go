package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Mistake is something in a configuration that is wrong.
type Mistake struct {
	Where string // FILE:LINE, --flag or BRIDGE_VARIABLE, where known
	Key   string // such as connectors[1].rudder_url
	Text  string // what is wrong, and what would be right; never a secret

	line int
}

// String is the mistake in one line, with the key in front of the text.
func (m Mistake) String() string {
	parts := slices.DeleteFunc([]string{m.Where, m.Key, m.Text}, func(part string) bool { return part == "" })
	return strings.Join(strings.Fields(strings.Join(parts, ": ")), " ")
}

// Error holds every mistake of a configuration.
type Error struct {
	Mistakes []Mistake
}

// Error lists the mistakes, one a line.
func (e *Error) Error() string {
	lines := make([]string, len(e.Mistakes))
	for i, m := range e.Mistakes {
		lines[i] = m.String()
	}
	if len(lines) == 1 {
		return lines[0]
	}
	return fmt.Sprintf("the configuration has %d mistakes:\n%s", len(lines), strings.Join(lines, "\n"))
}

type origin struct {
	name string // the file, the flag or the variable
	line int    // 0: not in a file
}

func (o origin) String() string {
	if o.line == 0 {
		return o.name
	}
	return fmt.Sprintf("%s:%d", o.name, o.line)
}

// mistakes collects what is wrong: at most one for each key, and none for what
// is written below a key that is wrong itself, since the first one found is the
// cause of the others.
type mistakes struct {
	origins map[string]origin // by key, such as connectors[0].filter.deny[1]
	list    []Mistake
	bad     map[string]bool
	flat    bool // the keys of the one connector stand beside those of the bridge
}

func newMistakes() *mistakes {
	return &mistakes{origins: map[string]origin{}, bad: map[string]bool{}}
}

func (m *mistakes) add(key, format string, args ...any) {
	for outer := key; outer != ""; outer = parent(outer) {
		if m.bad[outer] {
			return
		}
	}
	m.bad[key] = true
	at := m.where(key)
	m.list = append(m.list, Mistake{Where: at.String(), Key: m.shown(key), Text: fmt.Sprintf(format, args...), line: at.line})
}

func (m *mistakes) shown(key string) string {
	if own, ofConnector := strings.CutPrefix(key, listKey(0, "")); ofConnector && m.flat {
		return flatKey(own)
	}
	return key
}

// where finds the place of a key, or of what it would be written in.
func (m *mistakes) where(key string) origin {
	for ; key != ""; key = parent(key) {
		if at, ok := m.origins[key]; ok {
			return at
		}
	}
	return m.origins[""]
}

// parent names what a key is written in: a for a.b and a[1].
func parent(key string) string {
	return key[:max(0, strings.LastIndexAny(key, ".["))]
}

func (m *mistakes) err() error {
	if len(m.list) == 0 {
		return nil
	}
	slices.SortStableFunc(m.list, func(a, b Mistake) int { return cmp.Compare(a.line, b.line) })
	return &Error{Mistakes: m.list}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func indexed(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i) }

func oneOf(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
