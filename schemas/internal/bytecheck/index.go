package bytecheck

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"math/bits"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may be nested; what is deeper counts
// as broken. It is the limit of encoding/json.
const MaxDepth = 10000

// Kind is what a value is.
type Kind uint8

// The kinds of values.
const (
	Null Kind = iota
	Boolean
	Number
	String
	Object
	Array
)

// Node is a value's place in an Index. The whole document is node 0.
type Node uint32

// node is a value, or the key of an object. What an object or array holds
// stands right behind it: of an object key, value, key, value.
type node struct {
	start, end uint32 // of its bytes
	next       Node   // the first node that is not inside of this one
	kind       Kind
	flags      uint8
}

const (
	escaped  uint8 = 1 << iota // a string with escapes
	high                       // a string with bytes beyond ASCII, or close to some
	fraction                   // a number with a fraction or an exponent
)

// Index says where the values of a JSON text lie. Its zero value is ready; it
// is for one goroutine at a time, and holds the text until the next Read.
type Index struct {
	text  []byte
	nodes []node

	slots   []Node // of the objects that are being checked, see object.go
	strange []Strange
}

// bad is the end of what is no JSON.
const bad = -1

// Read notes where the values of a text lie. It is false where the text is not
// one JSON document as encoding/json reads it, and for texts of 2 GiB and more.
func (x *Index) Read(text []byte) bool {
	x.text, x.nodes, x.slots, x.strange = text, x.nodes[:0], x.slots[:0], x.strange[:0]
	if len(text) > math.MaxInt32 {
		return false
	}
	end := x.value(space(text, 0), 0)
	return end != bad && space(text, end) == len(text)
}

// Large says that the Index has grown so much that it is better not kept.
func (x *Index) Large() bool { return cap(x.nodes) > 1<<16 || cap(x.slots) > 1<<16 }

// Forget lets go of the text.
func (x *Index) Forget() { x.text = nil }

// Kind returns what a value is.
func (x *Index) Kind(n Node) Kind { return x.nodes[n].kind }

// Raw returns a value's text, as a part of the whole.
func (x *Index) Raw(n Node) []byte { return x.text[x.nodes[n].start:x.nodes[n].end] }

// Text returns what a string or key means: without quotes, escapes undone, and
// U+FFFD for what is no Unicode. It is a part of the whole where it can be.
func (x *Index) Text(n Node) []byte {
	of := &x.nodes[n]
	inner := x.text[of.start+1 : of.end-1]
	if of.flags == 0 || of.flags == high && utf8.Valid(inner) {
		return inner
	}
	return unquote(x.text[of.start:of.end])
}

// unquote is seldom needed and leaves the rules to encoding/json.
func unquote(quoted []byte) []byte {
	var text string
	if err := json.Unmarshal(quoted, &text); err != nil {
		return quoted // cannot be: Read has seen that it is a string
	}
	return []byte(text)
}

// Members calls visit for each member of an object, in order, until it returns
// false.
func (x *Index) Members(object Node, visit func(key, value Node) bool) {
	end := x.nodes[object].next
	for key := object + 1; key < end; key = x.nodes[key+1].next {
		if !visit(key, key+1) {
			return
		}
	}
}

// Member returns the value that an object has under a name: the last one, if
// the name comes twice. It is not ok where there is none or no object.
func (x *Index) Member(object Node, name string) (value Node, ok bool) {
	if x.nodes[object].kind != Object {
		return 0, false
	}
	end := x.nodes[object].next
	for key := object + 1; key < end; key = x.nodes[key+1].next {
		if string(x.Text(key)) == name {
			value, ok = key+1, true
		}
	}
	return value, ok
}

// Items calls visit for each item of an array, in order.
func (x *Index) Items(array Node, visit func(i int, item Node)) {
	end := x.nodes[array].next
	i := 0
	for item := array + 1; item < end; item = x.nodes[item].next {
		visit(i, item)
		i++
	}
}

func space(s []byte, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\t' || s[i] == '\r') {
		i++
	}
	return i
}

// value notes the value that starts at i, with so many arrays and objects open
// around it, and returns the index behind it or bad.
func (x *Index) value(i, depth int) int {
	if i >= len(x.text) {
		return bad
	}
	switch c := x.text[i]; {
	case c == '"':
		return x.str(i)
	case c == '{':
		return x.object(i, depth)
	case c == '-' || c >= '0' && c <= '9':
		end, flags := number(x.text, i)
		return x.scalar(i, end, Number, flags)
	case c == '[':
		return x.array(i, depth)
	case c == 't':
		return x.scalar(i, word(x.text, i, "true"), Boolean, 0)
	case c == 'f':
		return x.scalar(i, word(x.text, i, "false"), Boolean, 0)
	case c == 'n':
		return x.scalar(i, word(x.text, i, "null"), Null, 0)
	}
	return bad
}

func (x *Index) scalar(start, end int, kind Kind, flags uint8) int {
	if end != bad {
		x.nodes = append(x.nodes, node{uint32(start), uint32(end), Node(len(x.nodes) + 1), kind, flags})
	}
	return end
}

func (x *Index) str(i int) int {
	end, flags := str(x.text, i)
	return x.scalar(i, end, String, flags)
}

// open starts an object or array, close ends it.
func (x *Index) open(i int, kind Kind) Node {
	x.nodes = append(x.nodes, node{start: uint32(i), kind: kind})
	return Node(len(x.nodes) - 1)
}

func (x *Index) close(n Node, end int) int {
	x.nodes[n].end, x.nodes[n].next = uint32(end), Node(len(x.nodes))
	return end
}

func (x *Index) object(i, depth int) int {
	if depth >= MaxDepth {
		return bad
	}
	n := x.open(i, Object)
	s := x.text
	if i = space(s, i+1); i < len(s) && s[i] == '}' {
		return x.close(n, i+1)
	}
	for i < len(s) && s[i] == '"' {
		if i = x.str(i); i == bad {
			return bad
		}
		if i = space(s, i); i >= len(s) || s[i] != ':' {
			return bad
		}
		if i = x.value(space(s, i+1), depth+1); i == bad {
			return bad
		}
		if i = space(s, i); i >= len(s) {
			return bad
		}
		switch s[i] {
		case '}':
			return x.close(n, i+1)
		case ',':
			i = space(s, i+1)
		default:
			return bad
		}
	}
	return bad
}

func (x *Index) array(i, depth int) int {
	if depth >= MaxDepth {
		return bad
	}
	n := x.open(i, Array)
	s := x.text
	if i = space(s, i+1); i < len(s) && s[i] == ']' {
		return x.close(n, i+1)
	}
	for i < len(s) {
		if i = x.value(i, depth+1); i == bad {
			return bad
		}
		if i = space(s, i); i >= len(s) {
			return bad
		}
		switch s[i] {
		case ']':
			return x.close(n, i+1)
		case ',':
			i = space(s, i+1)
		default:
			return bad
		}
	}
	return bad
}

func word(s []byte, i int, word string) int {
	if len(s)-i < len(word) || string(s[i:i+len(word)]) != word {
		return bad
	}
	return i + len(word)
}

// str returns the index behind the string whose opening quote is at i, or bad.
// It looks at eight bytes at a time.
func str(s []byte, i int) (end int, flags uint8) {
	for i++; ; {
		for i+8 <= len(s) {
			eight := binary.LittleEndian.Uint64(s[i:])
			if eight&tops != 0 {
				flags |= high
			}
			if found := special(eight); found != 0 {
				i += bits.TrailingZeros64(found) / 8
				break
			}
			i += 8
		}
		if i >= len(s) {
			return bad, 0
		}
		switch c := s[i]; {
		case c == '"':
			return i + 1, flags
		case c == '\\':
			flags |= escaped
			if i = escape(s, i+1); i == bad {
				return bad, 0
			}
		case c < ' ':
			return bad, 0
		default:
			if c >= utf8.RuneSelf {
				flags |= high
			}
			i++
		}
	}
}

const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// special marks the bytes that are a quote, a backslash or below a space. The
// lowest mark is always right; those above it may not be.
func special(eight uint64) uint64 {
	quote := eight ^ ones*'"'
	slash := eight ^ ones*'\\'
	return ((quote-ones)&^quote | (slash-ones)&^slash | (eight-ones*' ')&^eight) & tops
}

// escape returns the index behind the escape whose letter is at i, or bad.
func escape(s []byte, i int) int {
	if i >= len(s) {
		return bad
	}
	switch s[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		if i+4 < len(s) && hex(s[i+1]) && hex(s[i+2]) && hex(s[i+3]) && hex(s[i+4]) {
			return i + 5
		}
	}
	return bad
}

func hex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// number returns the index behind the number at i, or bad.
func number(s []byte, i int) (end int, flags uint8) {
	if s[i] == '-' {
		i++
	}
	switch {
	case i < len(s) && s[i] == '0':
		i++
	default:
		if i = digits(s, i); i == bad {
			return bad, 0
		}
	}
	if i < len(s) && s[i] == '.' {
		flags = fraction
		if i = digits(s, i+1); i == bad {
			return bad, 0
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		flags = fraction
		if i++; i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		return digits(s, i), flags
	}
	return i, flags
}

// digits returns the index behind one or more digits at i, or bad.
func digits(s []byte, i int) int {
	start := i
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	if i == start {
		return bad
	}
	return i
}
