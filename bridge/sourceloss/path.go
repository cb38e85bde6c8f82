package sourceloss

import (
	"bytes"
	"math"
	"strconv"
	"unicode"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
)

// What the source does with a key of properties: it is a path for two JavaScript
// libraries, get-value and set-value. Where they throw, the event is dropped
// silently. This file finds every path that may make them throw; where that
// depends on more than keys, it rather finds too many.

// properties is what the keys of properties do.
type properties struct {
	// A key is empty, has a dot, slash or backslash, or is a whole number, and so
	// moves values around; or properties is lost as a whole.
	changed    bool
	unsafe     bool
	largeIndex bool
	// What makes JavaScript throw where it comes together: paths that make an array,
	// and what may be written to an array's length; values that are objects or arrays,
	// and paths into an array's functions.
	index, length, nested, arrayFunction bool
}

// throws reports whether the source drops the event. literalLength: a key of the
// event itself leads to a length.
func (p *properties) throws(literalLength bool) bool {
	return p.unsafe || p.index && (p.length || literalLength) || p.arrayFunction && (p.index || p.nested)
}

// unusual reports whether a key, written without escapes, may be one that read has to look at.
func unusual(key []byte) bool {
	if len(key) == 0 || bytes.IndexByte(key, '.') >= 0 || bytes.IndexByte(key, '/') >= 0 {
		return true
	}
	switch c := key[0]; {
	case c <= ' ', c >= 0x80, c == '+', c == '-', '0' <= c && c <= '9': // may begin a whole number
		return true
	}
	switch string(key) {
	case "__proto__", "constructor", "prototype", "length":
		return true
	}
	return false
}

// read judges a key of properties, escapes undone, and its raw value.
func (p *properties) read(key, value []byte) {
	if len(key) == 0 || bytes.ContainsAny(key, `./\`) {
		p.changed = true
	}
	if bytes.IndexByte(key, '/') >= 0 {
		return // one key at the top of the message
	}
	if len(key) == 0 || key[len(key)-1] == '.' {
		p.index = true // the value takes its parent's place, and may be an array
	}
	var buf [64]byte
	path := segments{rest: key, buf: buf[:0]}
	for n := 0; path.next(); n++ {
		p.segment(&path, n, value)
	}
}

// segment judges the path's n-th segment, from 0, on the way to a value.
func (p *properties) segment(s *segments, n int, value []byte) {
	switch word := string(s.segment); word {
	case "__proto__", "constructor", "prototype":
		p.unsafe = true
		return
	case "length", "name", "arguments", "caller":
		switch {
		case s.method: // a function's cannot be written
			p.unsafe = true
		case s.arrayMethod:
			p.arrayFunction = true
		case word != "length":
		case n > 0 && !s.last(): // an array's cannot be an object
			p.unsafe = true
		case n > 0 || !s.last() || !isLength(value):
			p.length = true
		}
		return
	}
	s.method = s.method || isMethod(s.segment)
	s.arrayMethod = s.arrayMethod || isArrayMethod(s.segment)
	if index, whole := wholeNumber(s.segment); whole {
		p.changed, p.index = true, true
		p.largeIndex = p.largeIndex || index >= tooLargeIndex
	}
}

// tooLargeIndex is the index from which an array that the source fills with null
// is taken to be too large: with 5,000,000 it answers 413 after 5 s, with
// 20,000,000 it closes the connection after 11 s.
const tooLargeIndex = 1_000_000

// segments splits a path as set-value does: at dots, where a backslash takes
// the next character as it is.
type segments struct {
	rest    []byte
	buf     []byte
	segment []byte
	// A function that every object, or every array, has may be on the way.
	method, arrayMethod bool
}

func (s *segments) last() bool { return len(s.rest) == 0 }

// next goes to the next segment. An empty last one falls away.
func (s *segments) next() bool {
	if len(s.rest) == 0 {
		return false
	}
	s.segment = s.buf[:0]
	for i := 0; i < len(s.rest); i++ {
		c := s.rest[i]
		if c == '.' {
			s.rest = s.rest[i+1:]
			return true
		}
		if c == '\\' {
			if i++; i == len(s.rest) {
				s.segment = append(s.segment, "undefined"...) // what JavaScript adds there
				break
			}
			c = s.rest[i]
		}
		s.segment = append(s.segment, c)
	}
	s.rest = nil
	return true
}

// isMethod reports whether every JavaScript object has a function of that name.
func isMethod(name []byte) bool {
	switch string(name) {
	case "toString", "toLocaleString", "valueOf", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable",
		"__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__":
		return true
	}
	return false
}

// isArrayMethod reports whether every JavaScript array has a function of that name.
func isArrayMethod(name []byte) bool {
	switch string(name) {
	case "at", "concat", "copyWithin", "entries", "every", "fill", "filter", "find", "findIndex", "findLast", "findLastIndex",
		"flat", "flatMap", "forEach", "includes", "indexOf", "join", "keys", "lastIndexOf", "map", "pop", "push", "reduce",
		"reduceRight", "reverse", "shift", "slice", "some", "sort", "splice", "toReversed", "toSorted", "toSpliced",
		"unshift", "values", "with":
		return true
	}
	return false
}

// maxArrays is how deep hidesToString looks into arrays; each level reads all
// that is inside it once more.
const maxArrays = 8

// hidesToString reports whether a raw value cannot become text in JavaScript,
// as an event type and a time must: an object with a key toString, or an array
// with such an object in it. Deep arrays count without a closer look.
func hidesToString(raw []byte, depth int) bool {
	if len(raw) == 0 || raw[0] != '{' && raw[0] != '[' {
		return false
	}
	for f := currents.Fields(raw); f.Next(); {
		if f.KeyIs("toString") {
			return true
		}
	}
	if raw[0] == '[' && depth > maxArrays {
		return true
	}
	for i := 1; raw[0] == '['; {
		for raw[i] <= ' ' || raw[i] == ',' {
			i++
		}
		if raw[i] == ']' {
			return false
		}
		end := currents.ValueEnd(raw, i)
		if hidesToString(raw[i:end], depth+1) {
			return true
		}
		i = end
	}
	return false
}

// isLength reports whether JavaScript takes a raw value for an array's length.
func isLength(raw []byte) bool {
	switch raw[0] {
	case 'n', 't', 'f': // 0 or 1
		return true
	case '{', '[':
		return false
	case '"':
		var buf [32]byte
		text, _ := currents.AppendText(buf[:0], raw)
		text = bytes.TrimFunc(text, IsSpace)
		f, ok := jsNumber(text)
		return len(text) == 0 || ok && isLength32(f)
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	return err == nil && isLength32(f)
}

func isLength32(f float64) bool { return f == math.Trunc(f) && f >= 0 && f < 1<<32 }

// wholeNumber reports whether JavaScript's Number reads a segment as a whole
// number, as in 1, -1, 0x10, 1e2 or " 7 ".
func wholeNumber(segment []byte) (number float64, whole bool) {
	f, ok := jsNumber(bytes.TrimFunc(segment, IsSpace))
	return f, ok && f == math.Trunc(f)
}

// jsNumber is JavaScript's Number for text without a point in it and without
// white space at its ends. ok is false for what is no number, or infinite.
func jsNumber(text []byte) (f float64, ok bool) {
	if len(text) > 2 && text[0] == '0' {
		switch text[1] | 0x20 {
		case 'x':
			return inBase(text[2:], 16)
		case 'o':
			return inBase(text[2:], 8)
		case 'b':
			return inBase(text[2:], 2)
		}
	}
	unsigned := text
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		unsigned = text[1:]
	}
	digits := len(unsigned) - len(bytes.TrimLeft(unsigned, "0123456789"))
	if digits == 0 || digits < len(unsigned) && unsigned[digits]|0x20 != 'e' {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(text), 64) // no names or underscores get here
	return f, err == nil
}

func inBase(text []byte, base int) (f float64, ok bool) {
	for _, c := range text {
		digit, err := strconv.ParseUint(string(c), base, 8)
		if err != nil {
			return 0, false
		}
		f = f*float64(base) + float64(digit)
	}
	return f, !math.IsInf(f, 0)
}

// IsSpace reports whether a character is white space to JavaScript: Unicode's, without
// the next line character and with the byte-order mark.
func IsSpace(r rune) bool {
	return r != 0x85 && (unicode.IsSpace(r) || r == 0xfeff)
}
