package mapping

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/currentsbridge/currentsbridge/internal/jsonlex"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// names gives event types the names that they have in RudderStack.
type names struct {
	exact    table
	texts    [][]byte  // by number in exact: the name as a JSON string
	patterns []pattern // the longest first
}

// pattern names all event types that begin with prefix.
type pattern struct{ prefix, name string }

// newNames returns nil where every type keeps its name.
func newNames(o Names, g *schemas.Glossary, wrong *mistakes) *names {
	if !o.Readable && len(o.Map) == 0 {
		return nil
	}
	n := &names{}
	for _, from := range slices.Sorted(maps.Keys(o.Map)) {
		to := o.Map[from]
		checkName(from, to, wrong)
		if prefix, ok := strings.CutSuffix(from, "*"); ok {
			n.patterns = append(n.patterns, pattern{prefix, to})
			continue
		}
		n.set(from, to)
	}
	slices.SortStableFunc(n.patterns, func(a, b pattern) int { return cmp.Compare(len(b.prefix), len(a.prefix)) })
	for i := range g.Events {
		e := &g.Events[i]
		if n.exact.find([]byte(e.Name)) >= 0 {
			continue
		}
		if name := n.match([]byte(e.Name)); name != "" {
			n.set(e.Name, name)
		} else if o.Readable && e.RudderName != "" {
			n.set(e.Name, e.RudderName)
		}
	}
	return n
}

func checkName(from, to string, wrong *mistakes) {
	option := "names.map." + from
	switch {
	case from == "":
		wrong.add(option, "the event type is empty; write a type, or * for all")
	case strings.Contains(strings.TrimSuffix(from, "*"), "*"):
		wrong.add(option, "a pattern may have a star at its end only")
	}
	switch {
	case strings.TrimSpace(to) == "":
		wrong.add(option, "the name is empty; leave the entry out to keep Braze's name")
	case !utf8.ValidString(to):
		wrong.add(option, "the name is not valid UTF-8")
	}
}

func (n *names) set(eventType, name string) {
	n.exact.add(eventType)
	n.texts = append(n.texts, jsonlex.AppendString(nil, name))
}

// match returns the name that the longest fitting pattern gives; empty: none.
func (n *names) match(eventType []byte) string {
	for _, p := range n.patterns {
		if len(eventType) >= len(p.prefix) && string(eventType[:len(p.prefix)]) == p.prefix {
			return strings.ReplaceAll(p.name, "*", string(eventType[len(p.prefix):]))
		}
	}
	return ""
}

// append appends the name for a raw event type. What is no string passes as it
// is, as does a type without a name of its own.
func (n *names) append(dst, eventType []byte) []byte {
	if eventType[0] != '"' {
		return append(dst, eventType...)
	}
	var buf [64]byte
	text := plainText(eventType, buf[:0])
	if i := n.exact.find(text); i >= 0 {
		return append(dst, n.texts[i]...)
	}
	if name := n.match(text); name != "" {
		return jsonlex.AppendString(dst, name)
	}
	return append(dst, eventType...)
}
