package bridge

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// Problem is one mistake in a configuration.
type Problem struct {
	Where string // FILE:LINE, --flag or BRIDGE_VARIABLE, where known
	Key   string // such as connectors[1].rudder_url
	Text  string // what is wrong, and what would be right
}

// String is the problem in one line, with the key in front of the text.
func (p Problem) String() string {
	var b strings.Builder
	if p.Where != "" {
		b.WriteString(p.Where + ": ")
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Text)
	return strings.Join(strings.Fields(b.String()), " ")
}

// ConfigError holds every mistake of a configuration.
type ConfigError struct {
	Problems []Problem
}

// Error lists the problems, one a line.
func (e *ConfigError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	if len(lines) == 1 {
		return lines[0]
	}
	return fmt.Sprintf("the configuration has %d mistakes:\n%s", len(lines), strings.Join(lines, "\n"))
}

// origin is where a value was written.
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

// problems collects mistakes, at most one for each key and none for what is
// written below a key that is wrong itself: the first one found is the cause of
// the others.
type problems struct {
	origins map[string]origin
	list    []Problem
	bad     map[string]bool
	lines   []int
}

func newProblems(origins map[string]origin) *problems {
	return &problems{origins: origins, bad: map[string]bool{}}
}

// add notes a mistake of a key.
func (p *problems) add(key, format string, args ...any) {
	for outer := key; outer != ""; outer = parent(outer) {
		if p.bad[outer] {
			return
		}
	}
	p.bad[key] = true
	at := p.where(key)
	p.list = append(p.list, Problem{Where: at.String(), Key: key, Text: fmt.Sprintf(format, args...)})
	p.lines = append(p.lines, at.line)
}

// anyBad tells whether one of the keys is known to be wrong.
func (p *problems) anyBad(keys ...string) bool {
	return slices.ContainsFunc(keys, func(key string) bool { return p.bad[key] })
}

// where finds the place of a key, or of what it would be written in.
func (p *problems) where(key string) origin {
	for ; key != ""; key = parent(key) {
		if at, ok := p.origins[key]; ok {
			return at
		}
	}
	return origin{}
}

// parent names what a key is written in: a for a.b and a[1].
func parent(key string) string {
	return key[:max(0, strings.LastIndexAny(key, ".["))]
}

// err returns the mistakes in the order of the file, or nil.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	sort.Stable(byLine{p})
	return &ConfigError{Problems: p.list}
}

type byLine struct{ *problems }

func (b byLine) Len() int           { return len(b.list) }
func (b byLine) Less(i, j int) bool { return b.lines[i] < b.lines[j] }
func (b byLine) Swap(i, j int) {
	b.list[i], b.list[j] = b.list[j], b.list[i]
	b.lines[i], b.lines[j] = b.lines[j], b.lines[i]
}
