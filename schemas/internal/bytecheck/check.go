package bytecheck

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/jsonlex"
)

// Finding is one place of a document that breaks a schema, or is unknown to it.
type Finding struct {
	Path   string // JSON pointer (RFC 6901)
	Rule   string // the schema's keyword; empty: a member that the schema does not name
	Detail string // what was expected and what was there
}

// Check says where a document breaks the schema, sorted by path, and with all lists
// the members that the schema does not name, of the objects of which it names some.
// The details of these are what was there. Where an object has a name twice, both are
// listed, in their order.
func (c *Checker) Check(x *Index, all bool) (found, unknown []Finding) {
	w := walk{x: x, all: all}
	w.value(c, 0)
	slices.SortFunc(w.found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Rule, b.Rule))
	})
	return w.found, w.unknown
}

// walk goes over a value and its schema together.
type walk struct {
	x       *Index
	all     bool     // list unknown members too
	path    []string // names of members, and numbers of items, down to the place
	found   []Finding
	unknown []Finding
}

func (w *walk) here() string {
	var path strings.Builder
	for _, name := range w.path {
		path.WriteString("/" + strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1"))
	}
	return path.String()
}

func (w *walk) say(rule, expected, got string) {
	w.found = append(w.found, Finding{w.here(), rule, "expected " + expected + ", got " + got})
}

// within does something one step further down.
func (w *walk) within(name string, do func()) {
	w.path = append(w.path, name)
	do()
	w.path = w.path[:len(w.path)-1]
}

func (w *walk) value(c *Checker, at Node) {
	kind := w.x.Kind(at)
	if c.types != nil && !c.typed(w.x, at, kind) {
		w.say("type", strings.Join(c.types, " or "), w.x.Short(at))
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
	if c.constants != nil && (kind != String || !slices.Contains(c.constants, string(w.x.Text(at)))) {
		rule, allowed := "const", strconv.Quote(c.constants[0])
		if c.listed {
			rule, allowed = "enum", "one of "+strings.ReplaceAll(strings.Trim(fmt.Sprintf("%q", c.constants), "[]"), `" "`, `", "`)
		}
		w.say(rule, allowed, w.x.Short(at))
	}
	if len(c.any) > 0 && !slices.ContainsFunc(c.any, func(each *Checker) bool { return w.fits(each, at) }) {
		// The schemas of this project ask for nothing else with it.
		w.say("anyOf", "a userId or an anonymousId that is neither null nor blank", "neither")
	}
}

func (w *walk) fits(c *Checker, at Node) bool {
	before := len(w.found)
	w.value(c, at)
	fits := len(w.found) == before
	w.found = w.found[:before]
	return fits
}

// object first finds the values of the members that have a name in the list: of
// a name given twice the last one counts. The whole document is the value of no
// member, so that 0 says that there is none.
func (w *walk) object(m *members, at Node) {
	x := w.x
	first := len(x.slots)
	x.slots = slices.Grow(x.slots, len(m.list))[:first+len(m.list)]
	clear(x.slots[first:])
	for key, value := range x.Members(at) {
		name := x.Text(key)
		if place, ok := m.places[string(name)]; ok {
			x.slots[first+place] = value
		} else if w.all {
			w.within(string(name), func() { w.unknown = append(w.unknown, Finding{Path: w.here(), Detail: x.Short(value)}) })
		}
	}
	for _, place := range m.required {
		if x.slots[first+place] == 0 {
			w.within(m.list[place].name, func() { w.say("required", "a value", "none") })
		}
	}
	for place, of := range m.list {
		if value := x.slots[first+place]; value != 0 && of.schema != nil {
			w.within(of.name, func() { w.value(of.schema, value) })
		}
	}
	x.slots = x.slots[:first]
}

// text names the formats and patterns of this project's schemas in words.
func (w *walk) text(c *Checker, at Node) {
	if c.nonEmpty && len(w.x.Raw(at)) == len(`""`) {
		w.say("minLength", "text that is not empty", w.x.Short(at))
	}
	matches := c.pattern == nil || c.pattern.Match(w.x.Text(at))
	switch {
	case c.time && (!matches || !isTime(w.x.Text(at))):
		w.say("format", "an RFC 3339 time with a zone", w.x.Short(at))
	case !matches && !c.time:
		w.say("pattern", "more than white space", w.x.Short(at))
	}
}

func (c *Checker) typed(x *Index, at Node, kind Kind) bool {
	return slices.Contains(c.types, kindNames[kind]) || kind == Number && slices.Contains(c.types, "integer") && x.integer(at)
}

func isTime(text []byte) bool {
	var t time.Time
	return t.UnmarshalText(text) == nil
}

// integer says whether a number is whole; 1.0 and 1e2 are. It reads the digits:
// as a fraction of big integers 1e999999 would cost 50 ms.
func (x *Index) integer(n Node) bool {
	if x.nodes[n].flags&jsonlex.Fraction == 0 {
		return true
	}
	digits, power, _ := strings.Cut(strings.ToLower(string(x.Raw(n))), "e")
	exponent, _ := strconv.Atoi(power) // one that fits no int is the nearest, none is 0
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(digits, "-"), ".")
	if fraction = strings.TrimRight(fraction, "0"); fraction != "" {
		return exponent >= len(fraction)
	}
	significant := strings.TrimRight(whole, "0")
	return significant == "" || len(whole)-len(significant) >= -exponent
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
