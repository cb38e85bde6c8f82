package bridge

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// section reads the keys of one map of a configuration. A key that is absent
// leaves what is there, the default; one that is wrong is noted.
type section struct {
	problems *problems
	path     string
	values   tree
	known    []string
	rename   func(string) string // of keys that are written otherwise here; nil: none
}

func (s *section) key(name string) string { return join(s.path, s.name(name)) }

// name returns how a key is written here.
func (s *section) name(key string) string {
	if s.rename == nil {
		return key
	}
	return s.rename(key)
}

func (s *section) bad(name, format string, args ...any) {
	s.problems.add(s.key(name), format, args...)
}

// get returns what was written for a key, if anything.
func (s *section) get(name string) (any, bool) {
	written := s.name(name)
	s.known = append(s.known, written)
	value, ok := s.values[written]
	if ok && value == nil {
		s.bad(name, "has no value")
		return nil, false
	}
	return value, ok
}

// scalar reads the text of a scalar; what says what it should have been.
func (s *section) scalar(name, what string) (string, bool) {
	value, ok := s.get(name)
	if !ok {
		return "", false
	}
	text, ok := value.(string)
	if !ok {
		s.bad(name, "must be %s, not %s", what, kind(value))
	}
	return text, ok
}

func kind(value any) string {
	if _, ok := value.([]any); ok {
		return "a list"
	}
	return "a map"
}

func (s *section) text(name string, into *string) {
	if text, ok := s.scalar(name, "text"); ok {
		*into = text
	}
}

func (s *section) size(name string, into *int64) {
	text, ok := s.scalar(name, "a size such as 16MiB")
	if !ok {
		return
	}
	n, err := parseSize(text)
	if err != nil {
		s.bad(name, "%v", err)
		return
	}
	*into = n
}

func (s *section) duration(name string, into *time.Duration) {
	text, ok := s.scalar(name, "a duration such as 30s")
	if !ok {
		return
	}
	d, err := parseDuration(text)
	if err != nil {
		s.bad(name, "%v", err)
		return
	}
	*into = d
}

func (s *section) truth(name string, into *bool) {
	text, ok := s.scalar(name, "true or false")
	if !ok {
		return
	}
	switch strings.ToLower(text) {
	case "true":
		*into = true
	case "false":
		*into = false
	default:
		s.bad(name, "must be true or false, not %q", text)
	}
}

func (s *section) whole(name string, into *int) {
	text, ok := s.scalar(name, "a whole number")
	if !ok {
		return
	}
	n, err := strconv.Atoi(strings.ReplaceAll(text, "_", ""))
	if err != nil {
		s.bad(name, "must be a whole number, not %q", text)
		return
	}
	*into = n
}

func (s *section) number(name string, into *float64) {
	text, ok := s.scalar(name, "a number")
	if !ok {
		return
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		s.bad(name, "must be a number, not %q", text)
		return
	}
	*into = n
}

// either reads one of two words; the second one is what into means.
func (s *section) either(name, no, yes string, into *bool) {
	text, ok := s.scalar(name, oneOf([]string{no, yes}))
	if !ok {
		return
	}
	if text != no && text != yes {
		s.bad(name, "must be %s, not %q", oneOf([]string{no, yes}), text)
		return
	}
	*into = text == yes
}

// list reads a list of scalars, or one text with commas between them.
func (s *section) list(name string, into *[]string) {
	text, ok := s.values[s.name(name)].(string)
	if !ok {
		s.texts(name, into)
		return
	}
	s.known = append(s.known, s.name(name))
	*into = nil
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			*into = append(*into, item)
		}
	}
}

// alternatives reads a value or a list of values; null is one too.
func (s *section) alternatives(name string, into *[]string) {
	value, ok := s.get(name)
	if !ok {
		return
	}
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	for i, item := range list {
		switch item := item.(type) {
		case nil:
			*into = append(*into, "null")
		case string:
			*into = append(*into, item)
		default:
			s.bad(indexed(name, i), "must be a value, not %s", kind(item))
			*into = append(*into, "") // that there is none is not what is wrong
		}
	}
}

// oneOf lists words for a message.
func oneOf[T ~string](words []T) string {
	var b strings.Builder
	for i, w := range words {
		switch {
		case i == 0:
		case i == len(words)-1:
			b.WriteString(" or ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(string(w))
	}
	return b.String()
}

// texts reads a list of scalars.
func (s *section) texts(name string, into *[]string) {
	value, ok := s.get(name)
	if !ok {
		return
	}
	list, ok := value.([]any)
	if !ok {
		s.bad(name, "must be a list, not %s", kindOrText(value))
		return
	}
	*into = nil
	for i, item := range list {
		text, ok := item.(string)
		if !ok {
			s.bad(fmt.Sprintf("%s[%d]", name, i), "must be text")
			continue
		}
		*into = append(*into, text)
	}
}

func kindOrText(value any) string {
	if _, ok := value.(string); ok {
		return "a single value"
	}
	return kind(value)
}

// sub reads a map below this one; it is empty where the key is absent.
func (s *section) sub(name string) *section {
	below := &section{problems: s.problems, path: s.key(name)}
	value, ok := s.get(name)
	if !ok {
		return below
	}
	if below.values, ok = value.(tree); !ok {
		s.bad(name, "must be a map of keys, not %s", kindOrText(value))
	}
	return below
}

// subs reads a list of maps.
func (s *section) subs(name string) []*section {
	value, ok := s.get(name)
	if !ok {
		return nil
	}
	list, ok := value.([]any)
	if !ok {
		s.bad(name, "must be a list, not %s", kindOrText(value))
		return nil
	}
	out := make([]*section, len(list))
	for i, item := range list {
		at := fmt.Sprintf("%s[%d]", name, i)
		out[i] = &section{problems: s.problems, path: s.key(at)}
		if out[i].values, ok = item.(tree); !ok {
			s.bad(at, "must be a map of keys, not %s", kindOrNothing(item))
		}
	}
	return out
}

func kindOrNothing(value any) string {
	if value == nil {
		return "nothing"
	}
	return kindOrText(value)
}

// done notes the keys that nothing has asked for. Call it last.
func (s *section) done() {
	for _, name := range slices.Sorted(maps.Keys(s.values)) {
		if !slices.Contains(s.known, name) {
			s.bad(name, "is not known here; the keys are %s", strings.Join(s.known, ", "))
		}
	}
}
