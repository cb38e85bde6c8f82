package bytecheck

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Finding is one place of a value that does not keep to a schema.
type Finding struct {
	Path   string // JSON pointer (RFC 6901) from the value on
	Rule   string // the schema's keyword
	Detail string // what was expected and what was there
}

// Check says where the value at a place of the index does not keep to the
// schema, sorted by path; nothing where it does. Beside that it notes unknown
// members, see NoteUnknown.
func (c *Checker) Check(x *Index, at Node) []Finding {
	w := walk{x: x}
	w.value(c, at)
	slices.SortFunc(w.found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Rule, b.Rule))
	})
	return slices.CompactFunc(w.found, func(a, b Finding) bool { return a.Path == b.Path && a.Rule == b.Rule })
}

// walk goes over a value and its schema together.
type walk struct {
	x     *Index
	path  []string // names of members, and numbers of items, down to the place
	found []Finding
}

func (w *walk) say(rule, expected, got string) {
	var path strings.Builder
	for _, name := range w.path {
		path.WriteString("/" + Escape(name))
	}
	w.found = append(w.found, Finding{path.String(), rule, "expected " + expected + ", got " + got})
}

// within does something one step further down.
func (w *walk) within(name string, do func()) {
	w.path = append(w.path, name)
	do()
	w.path = w.path[:len(w.path)-1]
}

func (w *walk) value(c *Checker, at Node) {
	kind := w.x.Kind(at)
	if c.types != 0 && !c.typed(w.x, at, kind) {
		w.say("type", c.types.String(), w.x.Short(at))
		return
	}
	switch {
	case kind == Object && c.members != nil:
		w.object(c.members, at)
	case kind == Array && c.items != nil:
		for i, item := range w.x.Items(at) {
			w.within(strconv.Itoa(i), func() { w.value(c.items, item) })
		}
	case kind == String:
		w.text(c, at)
	}
	if c.constants != nil && !c.constant(w.x, at) {
		rule, allowed := "const", fmt.Sprintf("%q", c.constants[0])
		if c.listed {
			rule, allowed = "enum", "one of "+strings.ReplaceAll(strings.Trim(fmt.Sprintf("%q", c.constants), "[]"), `" "`, `", "`)
		}
		w.say(rule, allowed, w.x.Short(at))
	}
	fits := func(each *Checker) bool { return len(each.Check(w.x, at)) == 0 }
	if len(c.any) > 0 && !slices.ContainsFunc(c.any, fits) { // the schemas of this project ask for nothing else with it
		w.say("anyOf", "a userId or an anonymousId that is neither null nor blank", "neither")
	}
}

func (w *walk) object(m *members, at Node) {
	first := m.gather(w.x, at)
	for _, place := range m.required {
		if w.x.slots[first+place] == 0 {
			w.within(m.list[place].name, func() { w.say("required", "a value", "none") })
		}
	}
	for place, of := range m.list {
		if value := w.x.slots[first+place]; value != 0 && of.schema != nil {
			w.within(of.name, func() { w.value(of.schema, value) })
		}
	}
	w.x.slots = w.x.slots[:first]
}

// text names the formats and patterns of this project's schemas in words.
func (w *walk) text(c *Checker, at Node) {
	const time = "an RFC 3339 time with a zone"
	if c.minLength > 0 && !c.long(w.x, at) {
		w.say("minLength", "text that is not empty", w.x.Short(at))
	}
	matches := c.pattern == nil || c.pattern.Match(w.x.Text(at))
	switch {
	case c.format != "" && (!matches || !isTime(w.x.Text(at))):
		w.say("format", time, w.x.Short(at))
	case !matches && c.format == "":
		w.say("pattern", "more than white space", w.x.Short(at))
	}
}

// String lists the types as a sentence does, null last.
func (t types) String() string {
	var words []string
	for i, name := range typeNames {
		if t&(1<<i) != 0 {
			words = append(words, name)
		}
	}
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// Escape writes a name as a JSON pointer wants it.
func Escape(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}

// Short describes a value for a finding: its kind and, where it is small, the
// value itself.
func (x *Index) Short(n Node) string {
	const limit = 48
	count := 0
	switch x.Kind(n) {
	case Null:
		return "null"
	case Boolean:
		return "boolean " + string(x.Raw(n))
	case Number:
		text := string(x.Raw(n))
		if len(text) > limit {
			text = text[:limit] + "…"
		}
		return "number " + text
	case String:
		text := x.Text(n)
		if runes := []rune(string(text)); len(runes) > limit {
			return "string " + strconv.Quote(string(runes[:limit])) + "…"
		}
		return "string " + strconv.Quote(string(text))
	case Array:
		for range x.Items(n) {
			count++
		}
		return fmt.Sprintf("an array of %d", count)
	}
	names := map[string]bool{}
	for key := range x.Members(n) {
		names[string(x.Text(key))] = true
	}
	return fmt.Sprintf("an object of %d", len(names))
}
