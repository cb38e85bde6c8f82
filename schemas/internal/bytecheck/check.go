package bytecheck

import (
	"cmp"
	"fmt"
	"iter"
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

// maxDepth is how deep arrays and objects may be nested; what is deeper counts as
// broken. It is the limit of encoding/json.
const maxDepth = 10000

// Read returns the value of a document, without the white space around it, and where
// that is an object, its member of a name: the last one, if the name comes twice. It is
// not ok where the text is not one JSON document as encoding/json reads it.
func Read(document, name string) (value, member string, ok bool) {
	w := jsonlex.Walker{Text: document}
	start := jsonlex.Space(document, 0)
	var end int
	if start < len(document) && document[start] == '{' {
		end = w.Members(start, 0, func(quoted string, at int) int {
			end := w.Value(at, 1)
			if end != jsonlex.Bad && jsonlex.Text(quoted) == name {
				member = document[at:end]
			}
			return end
		})
	} else {
		end = w.Value(start, 0)
	}
	if end == jsonlex.Bad || jsonlex.Space(document, end) < len(document) || w.Deepest > maxDepth {
		return "", "", false
	}
	return document[start:end], member, true
}

// members goes over the names and values of an object, in order.
func members(object string) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		w := jsonlex.Walker{Text: object}
		w.Members(0, 0, func(quoted string, start int) int {
			end := w.Value(start, 0)
			if !yield(jsonlex.Text(quoted), object[start:end]) {
				return jsonlex.Bad
			}
			return end
		})
	}
}

// items goes over the items of an array, in order.
func items(array string) iter.Seq[string] {
	return func(yield func(item string) bool) {
		w := jsonlex.Walker{Text: array}
		w.Array(0, 0, func(start int) int {
			end := w.Value(start, 0)
			if !yield(array[start:end]) {
				return jsonlex.Bad
			}
			return end
		})
	}
}

// Check says where a document's value breaks the schema, sorted by path, and with all
// lists the members that the schema does not name, of the objects of which it names
// some. The details of these are what was there. Where an object has a name twice, both
// are listed, in their order.
func (c *Checker) Check(value string, all bool) (found, unknown []Finding) {
	w := walk{all: all}
	w.value(c, value)
	slices.SortFunc(w.found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Rule, b.Rule))
	})
	return w.found, w.unknown
}

// walk goes over a value and its schema together.
type walk struct {
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

func (w *walk) value(c *Checker, value string) {
	kind := kindOf(value)
	if c.types != nil && !slices.Contains(c.types, kind) && (kind != "number" || !slices.Contains(c.types, "integer") || !integer(value)) {
		w.say("type", strings.Join(c.types, " or "), Short(value))
		return
	}
	switch {
	case kind == "object" && c.members != nil:
		w.object(c.members, value)
	case kind == "array" && c.items != nil:
		i := 0
		for item := range items(value) {
			w.within(strconv.Itoa(i), func() { w.value(c.items, item) })
			i++
		}
	case kind == "string":
		w.text(c, value)
	}
	if c.constants != nil && (kind != "string" || !slices.Contains(c.constants, jsonlex.Text(value))) {
		rule, allowed := "const", strconv.Quote(c.constants[0])
		if c.listed {
			rule, allowed = "enum", "one of "+strings.ReplaceAll(strings.Trim(fmt.Sprintf("%q", c.constants), "[]"), `" "`, `", "`)
		}
		w.say(rule, allowed, Short(value))
	}
	if len(c.any) > 0 && !slices.ContainsFunc(c.any, func(each *Checker) bool { return w.fits(each, value) }) {
		// The schemas of this project ask for nothing else with it.
		w.say("anyOf", "a userId or an anonymousId that is neither null nor blank", "neither")
	}
}

func (w *walk) fits(c *Checker, value string) bool {
	before := len(w.found)
	w.value(c, value)
	fits := len(w.found) == before
	w.found = w.found[:before]
	return fits
}

// object first finds the values of the members that have a name in the list: of a name
// given twice the last one counts.
func (w *walk) object(m *membersOf, object string) {
	values := make([]string, len(m.list))
	for name, value := range members(object) {
		if place, ok := m.places[name]; ok {
			values[place] = value
		} else if w.all {
			w.within(name, func() { w.unknown = append(w.unknown, Finding{Path: w.here(), Detail: Short(value)}) })
		}
	}
	for _, place := range m.required {
		if values[place] == "" {
			w.within(m.list[place].name, func() { w.say("required", "a value", "none") })
		}
	}
	for place, of := range m.list {
		if value := values[place]; value != "" && of.schema != nil {
			w.within(of.name, func() { w.value(of.schema, value) })
		}
	}
}

// text names the formats and patterns of this project's schemas in words.
func (w *walk) text(c *Checker, value string) {
	if c.nonEmpty && value == `""` {
		w.say("minLength", "text that is not empty", Short(value))
	}
	matches := c.pattern == nil || c.pattern.MatchString(jsonlex.Text(value))
	switch {
	case c.time && (!matches || !isTime(jsonlex.Text(value))):
		w.say("format", "an RFC 3339 time with a zone", Short(value))
	case !matches && !c.time:
		w.say("pattern", "more than white space", Short(value))
	}
}

func isTime(text string) bool {
	var t time.Time
	return t.UnmarshalText([]byte(text)) == nil
}

// kindOf names the kind of a value as schemas do.
func kindOf(value string) string {
	switch value[0] {
	case 'n':
		return "null"
	case 't', 'f':
		return "boolean"
	case '"':
		return "string"
	case '{':
		return "object"
	case '[':
		return "array"
	}
	return "number"
}

// integer says whether a number is whole; 1.0 and 1e2 are. It reads the digits:
// as a fraction of big integers 1e999999 would cost 50 ms.
func integer(number string) bool {
	if !strings.ContainsAny(number, ".eE") {
		return true
	}
	digits, power, _ := strings.Cut(strings.ToLower(number), "e")
	exponent, _ := strconv.Atoi(power) // one that fits no int is the nearest, none is 0
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(digits, "-"), ".")
	if fraction = strings.TrimRight(fraction, "0"); fraction != "" {
		return exponent >= len(fraction)
	}
	significant := strings.TrimRight(whole, "0")
	return significant == "" || len(whole)-len(significant) >= -exponent
}

// Short describes a value for a finding: its kind and, where it is small, the value
// itself.
func Short(value string) string {
	const limit = 48
	switch kind := kindOf(value); kind {
	case "null":
		return kind
	case "string":
		text := jsonlex.Text(value)
		if runes := []rune(text); len(runes) > limit {
			return "string " + strconv.Quote(string(runes[:limit])) + "…"
		}
		return "string " + strconv.Quote(text)
	case "array":
		count := 0
		for range items(value) {
			count++
		}
		return fmt.Sprintf("an array of %d", count)
	case "object":
		names := map[string]bool{}
		for name := range members(value) {
			names[name] = true
		}
		return fmt.Sprintf("an object of %d", len(names))
	default:
		if len(value) > limit {
			value = value[:limit] + "…"
		}
		return kind + " " + value
	}
}
