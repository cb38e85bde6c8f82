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
	noted := len(x.unknown)
	if c.Valid(x, at) {
		return nil
	}
	x.unknown = x.unknown[:noted] // Valid has stopped at the first mistake
	e := explainer{x: x}
	e.value(c, at, "")
	slices.SortFunc(e.found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Rule, b.Rule))
	})
	return slices.CompactFunc(e.found, func(a, b Finding) bool { return a.Path == b.Path && a.Rule == b.Rule })
}

// explainer goes the way of Valid to its end.
type explainer struct {
	x     *Index
	found []Finding
}

func (e *explainer) say(path, rule, expected, got string) {
	e.found = append(e.found, Finding{path, rule, "expected " + expected + ", got " + got})
}

func (e *explainer) value(c *Checker, at Node, path string) {
	kind := e.x.Kind(at)
	if c.types != 0 && !c.typed(e.x, at, kind) {
		e.say(path, "type", c.types.String(), e.x.Short(at))
		return
	}
	switch kind {
	case Object:
		if c.members != nil {
			e.object(c.members, at, path)
		}
	case Array:
		for i, item := range e.x.Items(at) {
			if c.items != nil {
				e.value(c.items, item, path+"/"+strconv.Itoa(i))
			}
		}
	case String:
		e.text(c, at, path)
	}
	if c.constants != nil && !c.constant(e.x, at) {
		rule, allowed := "const", fmt.Sprintf("%q", c.constants[0])
		if c.listed {
			rule, allowed = "enum", "one of "+strings.ReplaceAll(strings.Trim(fmt.Sprintf("%q", c.constants), "[]"), `" "`, `", "`)
		}
		e.say(path, rule, allowed, e.x.Short(at))
	}
	if len(c.any) > 0 && !c.anyValid(e.x, at) { // the schemas of this project ask for nothing else with it
		e.say(path, "anyOf", "a userId or an anonymousId that is neither null nor blank", "neither")
	}
}

func (e *explainer) object(m *members, at Node, path string) {
	first := m.gather(e.x, at)
	for _, place := range m.required {
		if e.x.slots[first+place] == 0 {
			e.say(path+"/"+Escape(m.list[place].name), "required", "a value", "none")
		}
	}
	for place, of := range m.list {
		if value := e.x.slots[first+place]; value != 0 && of.schema != nil {
			e.value(of.schema, value, path+"/"+Escape(of.name))
		}
	}
	e.x.slots = e.x.slots[:first]
}

// text names the formats and patterns of this project's schemas in words.
func (e *explainer) text(c *Checker, at Node, path string) {
	const time = "an RFC 3339 time with a zone"
	if c.minLength > 0 && !c.long(e.x, at) {
		e.say(path, "minLength", "text that is not empty", e.x.Short(at))
	}
	matches := c.pattern == nil || c.pattern.Match(e.x.Text(at))
	switch {
	case c.format != "" && (!matches || !isTime(e.x.Text(at))):
		e.say(path, "format", time, e.x.Short(at))
	case !matches && c.format == "":
		e.say(path, "pattern", "more than white space", e.x.Short(at))
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
