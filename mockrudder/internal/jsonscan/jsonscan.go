// Package jsonscan walks JSON text without decoding it: it checks the grammar
// (RFC 8259, as Go's encoding/json understands it) and tells where values lie.
// The gateway uses it to take a batch apart at little cost for each message.
package jsonscan

import (
	"encoding/json"
	"math/bits"
	"strings"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may be nested; what is deeper counts
// as broken. It is the limit of encoding/json, which decodes what was scanned.
const MaxDepth = 10000

// Bad is what the functions of this package return instead of an end where the
// text is no JSON.
const Bad = -1

// Space returns the first index at or after i that holds no white space.
func Space(s string, i int) int {
	for i < len(s) {
		switch s[i] {
		case ' ', '\n', '\r', '\t':
			i++
		default:
			return i
		}
	}
	return i
}

// Value returns the index behind the JSON value that starts at i, or Bad.
// depth is how many arrays and objects are open around it.
func Value(s string, i, depth int) int {
	if i < 0 || i >= len(s) {
		return Bad
	}
	switch c := s[i]; {
	case c == '"':
		return String(s, i)
	case c == '{':
		return Object(s, i, depth, func(_ string, start int) int { return Value(s, start, depth+1) })
	case c == '[':
		return Array(s, i, depth, func(start int) int { return Value(s, start, depth+1) })
	case c == '-' || c >= '0' && c <= '9':
		return number(s, i)
	case c == 't':
		return literal(s, i, "true")
	case c == 'f':
		return literal(s, i, "false")
	case c == 'n':
		return literal(s, i, "null")
	}
	return Bad
}

// Valid says whether s is one JSON value with nothing but white space around it.
func Valid(s string) bool {
	end := Value(s, Space(s, 0), 0)
	return end != Bad && Space(s, end) == len(s)
}

// String returns the index behind the string whose opening quote is at i, or Bad.
func String(s string, i int) int {
	for i++; ; i++ {
		if i = plain(s, i); i >= len(s) {
			return Bad
		}
		switch c := s[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			if i++; i >= len(s) {
				return Bad
			}
			switch s[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if i+4 >= len(s) || !hex(s[i+1]) || !hex(s[i+2]) || !hex(s[i+3]) || !hex(s[i+4]) {
					return Bad
				}
				i += 4
			default:
				return Bad
			}
		case c < ' ':
			return Bad
		}
	}
}

// plain returns the first index at or after i where less than eight bytes are
// left, or where a quote, a backslash or a control character stands. It looks at
// eight bytes at a time.
func plain(s string, i int) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for i+8 <= len(s) {
		part := s[i : i+8]
		eight := uint64(part[0]) | uint64(part[1])<<8 | uint64(part[2])<<16 | uint64(part[3])<<24 |
			uint64(part[4])<<32 | uint64(part[5])<<40 | uint64(part[6])<<48 | uint64(part[7])<<56
		quote, slash := eight^ones*'"', eight^ones*'\\'
		// The lowest mark is always right; those above it may not be.
		marks := ((quote-ones)&^quote | (slash-ones)&^slash | (eight-ones*' ')&^eight) & tops
		if marks != 0 {
			return i + bits.TrailingZeros64(marks)/8
		}
		i += 8
	}
	return i
}

func hex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func literal(s string, i int, word string) int {
	if len(s)-i < len(word) || s[i:i+len(word)] != word {
		return Bad
	}
	return i + len(word)
}

func number(s string, i int) int {
	if s[i] == '-' {
		i++
	}
	switch {
	case i >= len(s):
		return Bad
	case s[i] == '0':
		i++
	default:
		if i = digits(s, i); i == Bad {
			return Bad
		}
	}
	if i < len(s) && s[i] == '.' {
		if i = digits(s, i+1); i == Bad {
			return Bad
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		if i++; i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		return digits(s, i)
	}
	return i
}

// digits returns the index behind one or more digits at i, or Bad.
func digits(s string, i int) int {
	start := i
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	if i == start {
		return Bad
	}
	return i
}

// Object walks the object whose brace is at i and returns the index behind it,
// or Bad. visit gets each key, its escapes undone, and where its value starts;
// it returns where the value ends, or Bad.
func Object(s string, i, depth int, visit func(key string, start int) int) int {
	if depth >= MaxDepth {
		return Bad
	}
	if i = Space(s, i+1); i < len(s) && s[i] == '}' {
		return i + 1
	}
	for i < len(s) && s[i] == '"' {
		keyEnd := String(s, i)
		if keyEnd == Bad {
			return Bad
		}
		key := s[i:keyEnd]
		if i = Space(s, keyEnd); i >= len(s) || s[i] != ':' {
			return Bad
		}
		if i = visit(Text(key), Space(s, i+1)); i == Bad {
			return Bad
		}
		if i = Space(s, i); i >= len(s) {
			return Bad
		}
		switch s[i] {
		case '}':
			return i + 1
		case ',':
			i = Space(s, i+1)
		default:
			return Bad
		}
	}
	return Bad
}

// Array walks the array whose bracket is at i and returns the index behind it,
// or Bad. visit gets where each element starts and returns where it ends, or Bad.
func Array(s string, i, depth int, visit func(start int) int) int {
	if depth >= MaxDepth {
		return Bad
	}
	if i = Space(s, i+1); i < len(s) && s[i] == ']' {
		return i + 1
	}
	for i < len(s) {
		if i = visit(i); i == Bad {
			return Bad
		}
		if i = Space(s, i); i >= len(s) {
			return Bad
		}
		switch s[i] {
		case ']':
			return i + 1
		case ',':
			i = Space(s, i+1)
		default:
			return Bad
		}
	}
	return Bad
}

// Text undoes the escapes of a valid JSON string given with its quotes. What is
// no Unicode, such as half a surrogate pair, becomes U+FFFD. A string without
// escapes is returned as a part of the text, not copied.
func Text(quoted string) string {
	plain := quoted[1 : len(quoted)-1]
	if strings.IndexByte(plain, '\\') < 0 && utf8.ValidString(plain) {
		return plain
	}
	var text string
	if err := json.Unmarshal([]byte(quoted), &text); err != nil {
		return plain
	}
	return text
}
