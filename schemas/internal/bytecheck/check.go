package bytecheck

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

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

// Document is a JSON document as a list of the places of its values. It may read one
// after the other, and needs no memory for those that are no larger.
type Document struct {
	text   []byte
	nodes  []node // each value before those inside of it, without the elements of arrays: there may be millions
	values []int  // see walk
}

// node says where in the text a value is, and its key if it is a member, in quotes.
type node struct {
	key, keyEnd int
	start, end  int
	next        int // the first node that is not inside of this one
}

// Read reads a text, which must not be changed as long as the document is in use. It is
// not ok where that is not one JSON document as encoding/json reads it.
func (d *Document) Read(text []byte) (ok bool) {
	const kept = 1 << 16
	if cap(d.nodes) > kept {
		d.nodes = nil
	}
	d.text, d.nodes = text, d.nodes[:0]
	end := d.read(node{start: jsonlex.Space(text, 0)}, 0)
	return end != jsonlex.Bad && jsonlex.Space(text, end) == len(text)
}

// read adds a node, of which the start and the key are known, and those inside of it.
func (d *Document) read(n node, depth int) (end int) {
	if n.start >= len(d.text) || depth >= maxDepth && (d.text[n.start] == '{' || d.text[n.start] == '[') {
		return jsonlex.Bad
	}
	at := len(d.nodes)
	d.nodes = append(d.nodes, n)
	switch d.text[n.start] {
	case '{':
		end = jsonlex.List(d.text, n.start, '}', func(key int) int {
			keyEnd, _, start := jsonlex.Key(d.text, key)
			if start == jsonlex.Bad {
				return jsonlex.Bad
			}
			return d.read(node{key: key, keyEnd: keyEnd, start: start}, depth+1)
		})
	case '[':
		end = d.items(n.start, depth+1, func(int) {})
	default:
		end = jsonlex.Scalar(d.text, n.start)
	}
	d.nodes[at].end, d.nodes[at].next = end, len(d.nodes)
	return end
}

// items goes over the elements of the array at start, each of which has nodes only as
// long as it is visited, and returns the index behind the array, or jsonlex.Bad.
func (d *Document) items(start, depth int, visit func(at int)) (end int) {
	return jsonlex.List(d.text, start, ']', func(start int) int {
		at := len(d.nodes)
		end := d.read(node{start: start}, depth)
		if end != jsonlex.Bad {
			visit(at)
		}
		d.nodes = d.nodes[:at]
		return end
	})
}

// key returns the key of a member, in quotes, value a value.
func (d *Document) key(at int) []byte   { return d.text[d.nodes[at].key:d.nodes[at].keyEnd] }
func (d *Document) value(at int) []byte { return d.text[d.nodes[at].start:d.nodes[at].end] }

// Member returns a member of the document, where that is an object: the last one of the
// name, nil for none.
func (d *Document) Member(name string) (value []byte) {
	for at := 1; at < len(d.nodes) && d.nodes[at].keyEnd > 0; at = d.nodes[at].next {
		if string(Text(d.key(at))) == name {
			value = d.value(at)
		}
	}
	return value
}

// Text unquotes a valid JSON string as encoding/json does. It is part of what is given
// if that has no escapes.
func Text(quoted []byte) []byte {
	plain := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(plain, '\\') < 0 && utf8.Valid(plain) {
		return plain
	}
	return []byte(jsonlex.Text(string(quoted)))
}

// Check says where a document breaks the schema, sorted by path, and with all lists the
// members that the schema does not name, of the objects of which it names some. The
// details of these are what was there. Where an object has a name twice, both are
// listed, in their order.
func (d *Document) Check(c *Checker, all bool) (found, unknown []Finding) {
	w := walk{Document: d, all: all, values: d.values[:0]}
	w.check(c, 0)
	d.values = w.values
	slices.SortFunc(w.found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Rule, b.Rule))
	})
	return w.found, w.unknown
}

// walk goes over a document and its schema together. The paths of the findings start at
// the value that is being checked.
type walk struct {
	*Document

	all     bool  // list unknown members too
	values  []int // by the places of their names: the members of the objects that are being checked; 0 is none
	found   []Finding
	unknown []Finding
}

func (w *walk) say(rule, expected, got string) {
	w.found = append(w.found, Finding{"", rule, "expected " + expected + ", got " + got})
}

// inside checks a value inside of another one.
func (w *walk) inside(c *Checker, name string, at int) {
	found, unknown := len(w.found), len(w.unknown)
	if w.check(c, at); len(w.found)+len(w.unknown) > found+unknown {
		below(name, w.found[found:])
		below(name, w.unknown[unknown:])
	}
}

// below puts a name before the paths of findings.
func below(name string, found []Finding) {
	for i := range found {
		found[i].Path = "/" + strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1") + found[i].Path
	}
}

func (w *walk) check(c *Checker, at int) {
	value := w.value(at)
	kind := kindOf(value)
	if c.types != 0 && c.types&kind == 0 && (kind != number || c.types&integer == 0 || !whole(string(value))) {
		w.say("type", c.types.String(), Short(value))
		return
	}
	switch {
	case kind == object && c.members != nil:
		w.object(c.members, at)
	case kind == array && c.items != nil:
		i := 0
		w.items(w.nodes[at].start, 0, func(item int) {
			w.inside(c.items, strconv.Itoa(i), item)
			i++
		})
	case kind == text:
		w.string(c, value)
	}
	if c.constants != nil && (kind != text || !slices.Contains(c.constants, string(Text(value)))) {
		rule, allowed := "const", strconv.Quote(c.constants[0])
		if c.listed {
			rule, allowed = "enum", "one of "+strings.ReplaceAll(strings.Trim(fmt.Sprintf("%q", c.constants), "[]"), `" "`, `", "`)
		}
		w.say(rule, allowed, Short(value))
	}
	if len(c.any) > 0 && !slices.ContainsFunc(c.any, func(each *Checker) bool { return w.fits(each, at) }) {
		// The schemas of this project ask for nothing else with it.
		w.say("anyOf", "a userId or an anonymousId that is neither null nor blank", "neither")
	}
}

func (w *walk) fits(c *Checker, at int) bool {
	before := len(w.found)
	w.check(c, at)
	fits := len(w.found) == before
	w.found = w.found[:before]
	return fits
}

// object first finds the values of the members that have a name in the list: of a name
// given twice the last one counts.
func (w *walk) object(m *membersOf, at int) {
	first := len(w.values)
	w.values = append(w.values, make([]int, len(m.list))...)
	for inner := at + 1; inner < w.nodes[at].next; inner = w.nodes[inner].next {
		key := w.key(inner)
		place, ok := m.find(key[1 : len(key)-1]) // names have no backslash
		if !ok {
			place, ok = m.find(Text(key))
		}
		if ok {
			w.values[first+place] = inner
		} else if w.all {
			w.unknown = append(w.unknown, Finding{Detail: Short(w.value(inner))})
			below(string(Text(key)), w.unknown[len(w.unknown)-1:])
		}
	}
	for place := range m.list {
		of := &m.list[place]
		switch value := w.values[first+place]; {
		case value != 0 && of.schema != nil:
			w.inside(of.schema, of.name, value)
		case value == 0 && of.required:
			w.say("required", "a value", "none")
			below(of.name, w.found[len(w.found)-1:])
		}
	}
	w.values = w.values[:first]
}

// string names the formats and patterns of this project's schemas in words.
func (w *walk) string(c *Checker, value []byte) {
	if c.nonEmpty && len(value) == len(`""`) {
		w.say("minLength", "text that is not empty", Short(value))
	}
	if c.time && new(time.Time).UnmarshalText(Text(value)) != nil {
		w.say("format", "an RFC 3339 time with a zone", Short(value))
	}
	if c.pattern != nil && !c.pattern.Match(Text(value)) {
		w.say("pattern", "more than white space", Short(value))
	}
}

// kindOf returns the type of a value; that of numbers is number.
func kindOf(value []byte) types {
	switch value[0] {
	case 'n':
		return null
	case 't', 'f':
		return boolean
	case '"':
		return text
	case '{':
		return object
	case '[':
		return array
	}
	return number
}

// whole says whether a number is whole; 1.0 and 1e2 are. It reads the digits:
// as a fraction of big integers 1e999999 would cost 50 ms.
func whole(number string) bool {
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
func Short(value []byte) string {
	const limit = 48
	switch kind := kindOf(value); kind {
	case null:
		return "null"
	case text:
		if runes := []rune(string(Text(value))); len(runes) > limit {
			return "string " + strconv.Quote(string(runes[:limit])) + "…"
		}
		return "string " + strconv.Quote(string(Text(value)))
	case array:
		count := 0
		d := Document{text: value}
		d.items(0, 0, func(int) { count++ })
		return fmt.Sprintf("an array of %d", count)
	case object:
		names := map[string]bool{}
		var d Document
		d.Read(value)
		for at := 1; at < len(d.nodes); at = d.nodes[at].next {
			names[string(Text(d.key(at)))] = true
		}
		return fmt.Sprintf("an object of %d", len(names))
	default:
		if len(value) > limit {
			return kind.String() + " " + string(value[:limit]) + "…"
		}
		return kind.String() + " " + string(value)
	}
}
