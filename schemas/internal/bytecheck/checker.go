package bytecheck

import (
	"bytes"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/xeipuuv/gojsonschema"
)

// Checker is a compiled schema. It is not changed by use and may be shared,
// each goroutine with an Index of its own.
type Checker struct {
	types   types // 0: any
	never   bool  // the schema false
	trivial bool  // there is nothing beyond types and never

	constants []constant // const, and enum beside it
	lengths   limits
	pattern   pattern
	format    string

	minimum, maximum, above, below, multipleOf *big.Rat

	members    *members
	additional *Checker
	properties limits // how many

	items  *Checker
	counts limits // of items

	all, any, one       []*Checker
	not                 *Checker
	when, then, without *Checker // if, then, else
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

// limits are two ends; without a second one there is none.
type limits struct {
	min, max int
	bounded  bool
}

func (l limits) hold(n int) bool { return n >= l.min && (!l.bounded || n <= l.max) }

func (l limits) given() bool { return l.min > 0 || l.bounded }

// Valid says whether the value at a place of the index keeps to the schema.
func (c *Checker) Valid(x *Index, at Node) bool {
	of := &x.nodes[at]
	if c.never || c.types != 0 && !c.typed(x, at, of.kind) {
		return false
	}
	if c.trivial {
		return true
	}
	switch of.kind {
	case Object:
		if !c.object(x, at) {
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
		if !c.number(x, at) {
			return false
		}
	}
	for i := range c.constants {
		if !c.constants[i].equal(x, at) {
			return false
		}
	}
	return c.combined(x, at)
}

func (c *Checker) typed(x *Index, at Node, kind Kind) bool {
	return c.types&typeOf(kind) != 0 || kind == Number && c.types&typeInteger != 0 && x.integer(at)
}

func (c *Checker) array(x *Index, at Node) bool {
	if c.items == nil && !c.counts.given() {
		return true
	}
	n := 0
	end := x.nodes[at].next
	for item := at + 1; item < end; item = x.nodes[item].next {
		if c.items != nil && !c.items.Valid(x, item) {
			return false
		}
		n++
	}
	return c.counts.hold(n)
}

// text checks a string. Its length counts characters; the escapes need undoing
// only where more is asked than that there are some.
func (c *Checker) text(x *Index, at Node) bool {
	of := &x.nodes[at]
	if c.lengths == (limits{min: 1}) {
		if of.end-of.start <= uint32(len(`""`)) {
			return false
		}
	} else if c.lengths.given() && !c.lengths.hold(utf8.RuneCount(x.Text(at))) {
		return false
	}
	if c.pattern.given() && !c.pattern.matches(x.Text(at)) {
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

func (c *Checker) number(x *Index, at Node) bool {
	if c.minimum == nil && c.maximum == nil && c.above == nil && c.below == nil && c.multipleOf == nil && c.format == "" {
		return true
	}
	n := x.rat(at)
	switch {
	case n == nil,
		c.minimum != nil && n.Cmp(c.minimum) < 0,
		c.maximum != nil && n.Cmp(c.maximum) > 0,
		c.above != nil && n.Cmp(c.above) <= 0,
		c.below != nil && n.Cmp(c.below) >= 0,
		c.multipleOf != nil && !new(big.Rat).Quo(n, c.multipleOf).IsInt():
		return false
	}
	// gojsonschema holds numbers against formats too; most refuse them.
	return c.format == "" || gojsonschema.FormatCheckers.IsFormat(c.format, n)
}

func (c *Checker) combined(x *Index, at Node) bool {
	for _, each := range c.all {
		if !each.Valid(x, at) {
			return false
		}
	}
	if len(c.any) > 0 && !anyValid(c.any, x, at) {
		return false
	}
	if len(c.one) > 0 {
		n := 0
		for _, each := range c.one {
			if each.Valid(x, at) {
				n++
			}
		}
		if n != 1 {
			return false
		}
	}
	if c.not != nil && c.not.Valid(x, at) {
		return false
	}
	if c.when == nil {
		return true
	}
	next := c.without
	if c.when.Valid(x, at) {
		next = c.then
	}
	return next == nil || next.Valid(x, at)
}

func anyValid(list []*Checker, x *Index, at Node) bool {
	for _, each := range list {
		if each.Valid(x, at) {
			return true
		}
	}
	return false
}

// constant is the values of a const or enum.
type constant struct {
	null, yes, no bool // the values null, true and false
	texts         [][]byte
	numbers       []float64
}

func (c *constant) equal(x *Index, at Node) bool {
	switch x.nodes[at].kind {
	case Null:
		return c.null
	case Boolean:
		if x.text[x.nodes[at].start] == 't' {
			return c.yes
		}
		return c.no
	case String:
		if len(c.texts) == 0 {
			return false
		}
		text := x.Text(at)
		for _, each := range c.texts {
			if bytes.Equal(text, each) {
				return true
			}
		}
	case Number:
		// gojsonschema compares what float64 makes of numbers, and has no answer
		// for those beyond.
		n, err := strconv.ParseFloat(x.clamped(at), 64)
		for _, each := range c.numbers {
			if err == nil && math.Float64bits(n) == math.Float64bits(each) {
				return true
			}
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
