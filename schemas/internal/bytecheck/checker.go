package bytecheck

import (
	"regexp"
	"slices"
	"time"
	"unicode/utf8"
)

// Checker is a compiled schema. It is not changed by use and may be shared,
// each goroutine with an Index of its own.
type Checker struct {
	types types // 0: any

	constants []string // const, and enum; none: any value
	listed    bool     // they are those of enum
	minLength int
	pattern   *regexp.Regexp // nil for none
	format    string         // date-time, or "" for none

	members *members
	items   *Checker
	any     []*Checker
}

// types is a set of JSON types.
type types uint8

const (
	typeBoolean types = 1 << iota
	typeNumber
	typeInteger
	typeString
	typeObject
	typeArray
	typeNull
)

// typeNames are their names, in the same order.
var typeNames = [...]string{"boolean", "number", "integer", "string", "object", "array", "null"}

func typeOf(kind Kind) types {
	return [...]types{Null: typeNull, Boolean: typeBoolean, Number: typeNumber, String: typeString, Object: typeObject, Array: typeArray}[kind]
}

func (c *Checker) typed(x *Index, at Node, kind Kind) bool {
	return c.types&typeOf(kind) != 0 || kind == Number && c.types&typeInteger != 0 && x.integer(at)
}

// long says whether a string is as long as it must be. Its length counts
// characters; the escapes need undoing only where more is asked than that there
// are some.
func (c *Checker) long(x *Index, at Node) bool {
	of := &x.nodes[at]
	return c.minLength == 0 || c.minLength == 1 && of.end-of.start > uint32(len(`""`)) ||
		c.minLength > 1 && utf8.RuneCount(x.Text(at)) >= c.minLength
}

// isTime says whether a text is a time as RFC 3339 has it.
func isTime(text []byte) bool {
	var t time.Time
	return t.UnmarshalText(text) == nil
}

func (c *Checker) constant(x *Index, at Node) bool {
	if x.nodes[at].kind != String {
		return false
	}
	text := x.Text(at)
	return slices.Contains(c.constants, string(text))
}
