package bytecheck

import (
	"regexp"
	"time"
	"unicode/utf8"

	"github.com/xeipuuv/gojsonschema"
)

// Checker is a compiled schema. It is not changed by use and may be shared,
// each goroutine with an Index of its own.
type Checker struct {
	types   types // 0: any
	trivial bool  // there is nothing beyond types

	constants           []string // const, and enum; none: any value
	minLength, minItems int
	pattern             pattern
	format              string

	members *members
	items   *Checker
	any     []*Checker
}

// types is a set of JSON types.
type types uint8

const (
	typeNull types = 1 << iota
	typeBoolean
	typeNumber
	typeInteger
	typeString
	typeObject
	typeArray
)

func typeOf(kind Kind) types {
	return [...]types{Null: typeNull, Boolean: typeBoolean, Number: typeNumber, String: typeString, Object: typeObject, Array: typeArray}[kind]
}

// Valid says whether the value at a place of the index keeps to the schema.
func (c *Checker) Valid(x *Index, at Node) bool {
	of := &x.nodes[at]
	if c.types != 0 && !c.typed(x, at, of.kind) {
		return false
	}
	if c.trivial {
		return true
	}
	switch of.kind {
	case Object:
		if c.members != nil && !c.members.valid(x, at) {
			return false
		}
	case Array:
		if !c.array(x, at) {
			return false
		}
	case String:
		if !c.text(x, at) {
			return false
		}
	case Number:
		// gojsonschema holds numbers against formats too; most refuse them.
		if c.format != "" && !gojsonschema.FormatCheckers.IsFormat(c.format, x.rat(at)) {
			return false
		}
	}
	return (c.constants == nil || c.constant(x, at)) && (len(c.any) == 0 || c.anyValid(x, at))
}

func (c *Checker) typed(x *Index, at Node, kind Kind) bool {
	return c.types&typeOf(kind) != 0 || kind == Number && c.types&typeInteger != 0 && x.integer(at)
}

func (c *Checker) array(x *Index, at Node) bool {
	n := 0
	end := x.nodes[at].next
	for item := at + 1; item < end; item = x.nodes[item].next {
		if c.items != nil && !c.items.Valid(x, item) {
			return false
		}
		n++
	}
	return n >= c.minItems
}

// text checks a string. Its length counts characters; the escapes need undoing
// only where more is asked than that there are some.
func (c *Checker) text(x *Index, at Node) bool {
	of := &x.nodes[at]
	switch {
	case c.minLength == 1 && of.end-of.start <= uint32(len(`""`)):
		return false
	case c.minLength > 1 && utf8.RuneCount(x.Text(at)) < c.minLength:
		return false
	case c.pattern.given() && !c.pattern.matches(x.Text(at)):
		return false
	}
	return c.format == "" || formatted(c.format, x.Text(at))
}

// formatted asks gojsonschema, which takes more for a date-time than RFC 3339
// does, but all of that.
func formatted(format string, text []byte) bool {
	if format == "date-time" {
		var t time.Time
		if t.UnmarshalText(text) == nil {
			return true
		}
	}
	return gojsonschema.FormatCheckers.IsFormat(format, string(text))
}

func (c *Checker) anyValid(x *Index, at Node) bool {
	for _, each := range c.any {
		if each.Valid(x, at) {
			return true
		}
	}
	return false
}

func (c *Checker) constant(x *Index, at Node) bool {
	if x.nodes[at].kind != String {
		return false
	}
	text := x.Text(at)
	for _, each := range c.constants {
		if string(text) == each {
			return true
		}
	}
	return false
}

// pattern is a regular expression. One that asks for a character out of some is
// looked up in the ranges instead.
type pattern struct {
	expression *regexp.Regexp
	ranges     []rune // pairs of a first and a last
}

func (p *pattern) given() bool { return p.expression != nil }

func (p *pattern) matches(text []byte) bool {
	if p.ranges == nil {
		return p.expression.Match(text)
	}
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		for i := 0; i < len(p.ranges); i += 2 {
			if r >= p.ranges[i] && r <= p.ranges[i+1] {
				return true
			}
		}
		text = text[size:]
	}
	return false
}
