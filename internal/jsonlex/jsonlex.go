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

import (
	"math/bits"
	"strings"
)

// Bad is returned instead of an index where the text is not JSON.
const Bad = -1

// Space returns the first index at or after i that is not white space.
func Space(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\t' || s[i] == '\r') {
		i++
	}
	return i
}

// word returns the index behind the word that starts at i, or Bad where it is
// another one.
func word(s string, i int, word string) int {
	if !strings.HasPrefix(s[i:], word) {
		return Bad
	}
	return i + len(word)
}

const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// quoted returns the index behind the string whose opening quote is at i, or
// Bad. It looks at eight bytes at a time.
func quoted(s string, i int) (end int) {
	for i++; ; {
		for i+8 <= len(s) {
			part := s[i : i+8]
			eight := uint64(part[0]) | uint64(part[1])<<8 | uint64(part[2])<<16 | uint64(part[3])<<24 |
				uint64(part[4])<<32 | uint64(part[5])<<40 | uint64(part[6])<<48 | uint64(part[7])<<56
			if found := special(eight); found != 0 {
				i += bits.TrailingZeros64(found) / 8
				break
			}
			i += 8
		}
		if i >= len(s) {
			return Bad
		}
		switch c := s[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			if i = escape(s, i+1); i == Bad {
				return Bad
			}
		case c < ' ':
			return Bad
		default:
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
func escape(s string, i int) int {
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

// number returns the index behind the number that starts at i, or Bad, and whether
// it has an exponent.
func number(s string, i int) (end int, exponent bool) {
	if s[i] == '-' {
		i++
	}
	if i < len(s) && s[i] == '0' {
		i++
	} else if i = digits(s, i); i == Bad {
		return Bad, false
	}
	if i < len(s) && s[i] == '.' {
		if i = digits(s, i+1); i == Bad {
			return Bad, false
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		if i++; i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		return digits(s, i), true
	}
	return i, false
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

// list goes over the elements between the bracket at i and the closing one, and
// returns the index behind that, or Bad. one gets the index at which each element
// starts and returns the index behind it, or Bad.
func list(s string, i int, closing byte, one func(start int) int) int {
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

// key returns the index behind the quoted key at i, and where its value starts.
// That is Bad where there is no key with a colon.
func key(s string, i int) (end, value int) {
	if s[i] != '"' {
		return Bad, Bad
	}
	if end = quoted(s, i); end == Bad {
		return Bad, Bad
	}
	if value = Space(s, end); value >= len(s) || s[value] != ':' {
		return Bad, Bad
	}
	return end, Space(s, value+1)
}
