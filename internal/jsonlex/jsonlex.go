// Package jsonlex scans JSON text without decoding it: it checks the grammar (RFC
// 8259, as Go's encoding/json reads it) and finds where values are. A Walker goes
// over objects and arrays.
//
// It serves the packages that encoding/json cannot serve:
// schemas/internal/bytecheck validates without decoding; mockrudder/brazesource
// reads as JavaScript does; mockrudder/internal/gateway reads as RudderStack's
// gateway does; mockrudder/check finds the events in streams of any size, broken
// ones too. Other code uses encoding/json. AppendString is for code that writes
// JSON as bytes.
package jsonlex

import "math/bits"

// chars are JSON text.
type chars interface{ ~string | ~[]byte }

// Bad is returned instead of an index where the text is not JSON.
const Bad = -1

// Flags describe a string or number.
type Flags uint8

const (
	// Escaped is a string with escapes.
	Escaped Flags = 1 << iota
	// High is a string with bytes beyond ASCII. It may be set for one that has
	// such bytes close behind its end.
	High
	// Fraction is a number with a fraction or an exponent.
	Fraction
)

// Space returns the first index at or after i that is not white space.
func Space[T chars](s T, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\t' || s[i] == '\r') {
		i++
	}
	return i
}

// Word returns the index behind the word that starts at i, or Bad where it is
// another one.
func Word[T chars](s T, i int, word string) int {
	if len(s)-i < len(word) || string(s[i:i+len(word)]) != word {
		return Bad
	}
	return i + len(word)
}

const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// String returns the index behind the string whose opening quote is at i, or
// Bad. It looks at eight bytes at a time.
func String[T chars](s T, i int) (end int, flags Flags) {
	for i++; ; {
		for i+8 <= len(s) {
			part := s[i : i+8]
			eight := uint64(part[0]) | uint64(part[1])<<8 | uint64(part[2])<<16 | uint64(part[3])<<24 |
				uint64(part[4])<<32 | uint64(part[5])<<40 | uint64(part[6])<<48 | uint64(part[7])<<56
			if eight&tops != 0 {
				flags |= High
			}
			if found := special(eight); found != 0 {
				i += bits.TrailingZeros64(found) / 8
				break
			}
			i += 8
		}
		if i >= len(s) {
			return Bad, 0
		}
		switch c := s[i]; {
		case c == '"':
			return i + 1, flags
		case c == '\\':
			flags |= Escaped
			if i = escape(s, i+1); i == Bad {
				return Bad, 0
			}
		case c < ' ':
			return Bad, 0
		default:
			if c >= 0x80 {
				flags |= High
			}
			i++
		}
	}
}

// special marks the bytes that are a quote, a backslash or below a space. The
// lowest mark is always right; those above it may not be.
func special(eight uint64) uint64 {
	quote := eight ^ ones*'"'
	slash := eight ^ ones*'\\'
	return ((quote-ones)&^quote | (slash-ones)&^slash | (eight-ones*' ')&^eight) & tops
}

// escape returns the index behind the escape whose letter is at i, or Bad.
func escape[T chars](s T, i int) int {
	if i >= len(s) {
		return Bad
	}
	switch s[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		if i+4 < len(s) && hex(s[i+1]) && hex(s[i+2]) && hex(s[i+3]) && hex(s[i+4]) {
			return i + 5
		}
	}
	return Bad
}

func hex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// Number returns the index behind the number that starts at i, or Bad.
func Number[T chars](s T, i int) (end int, flags Flags) {
	if s[i] == '-' {
		i++
	}
	if i < len(s) && s[i] == '0' {
		i++
	} else if i = digits(s, i); i == Bad {
		return Bad, 0
	}
	if i < len(s) && s[i] == '.' {
		flags = Fraction
		if i = digits(s, i+1); i == Bad {
			return Bad, 0
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		flags = Fraction
		if i++; i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		return digits(s, i), flags
	}
	return i, flags
}

// digits returns the index behind one or more digits at i, or Bad.
func digits[T chars](s T, i int) int {
	start := i
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	if i == start {
		return Bad
	}
	return i
}

// List goes over the elements between the bracket at i and the closing one, and
// returns the index behind that, or Bad. one gets the index at which each element
// starts and returns the index behind it, or Bad.
func List[T chars](s T, i int, closing byte, one func(start int) int) int {
	if i = Space(s, i+1); i < len(s) && s[i] == closing {
		return i + 1
	}
	for i < len(s) {
		if i = one(i); i == Bad {
			return Bad
		}
		if i = Space(s, i); i >= len(s) {
			return Bad
		}
		switch s[i] {
		case closing:
			return i + 1
		case ',':
			i = Space(s, i+1)
		default:
			return Bad
		}
	}
	return Bad
}

// Key returns the index behind the quoted key at i, and where its value starts.
// That is Bad where there is no key with a colon.
func Key[T chars](s T, i int) (end, value int) {
	if s[i] != '"' {
		return Bad, Bad
	}
	if end, _ = String(s, i); end == Bad {
		return Bad, Bad
	}
	if value = Space(s, end); value >= len(s) || s[value] != ':' {
		return Bad, Bad
	}
	return end, Space(s, value+1)
}
