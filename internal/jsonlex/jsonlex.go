// Package jsonlex scans JSON text without decoding it: it checks the grammar (RFC
// 8259, as Go's encoding/json reads it) and finds where values are. A Walker goes
// over objects and arrays.
//
// It serves the packages that encoding/json cannot serve: bridge/currents reads
// batches and schemas/internal/bytecheck validates without decoding;
// mockrudder/brazesource reads as JavaScript does; mockrudder/internal/gateway reads
// as RudderStack's gateway does; mockrudder/check finds the events in streams of any
// size, broken ones too. Other code uses encoding/json. AppendString is for code that
// writes JSON as bytes.
package jsonlex

import (
	"math/bits"
	"strings"
	"unicode/utf8"
)

// chars are JSON text.
type chars interface{ ~string | ~[]byte }

// Bad is returned instead of an index where the text is not JSON.
const Bad = -1

// Space returns the first index at or after i that is not white space.
func Space[T chars](s T, i int) int {
	for i < len(s) && s[i] <= ' ' && (s[i] == ' ' || s[i] == '\n' || s[i] == '\t' || s[i] == '\r') {
		i++
	}
	return i
}

const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// String returns the index behind the string whose opening quote is at i, or Bad,
// and whether it has escapes. It looks at eight bytes at a time. Bytes that are not
// UTF-8 pass.
func String[T chars](s T, i int) (end int, escaped bool) {
	for i++; i <= len(s)-8; i += 8 {
		if found := special(eight(s[i:])); found != 0 {
			if i += bits.TrailingZeros64(found) / 8; s[i] == '"' { // nearly always
				return i + 1, false
			}
			break
		}
	}
	return rest(s, i)
}

// rest goes on with a string at an escape, at a control character or near the end.
func rest[T chars](s T, i int) (end int, escaped bool) {
	for i < len(s) {
		switch c := s[i]; {
		case c == '"':
			return i + 1, escaped
		case c == '\\':
			escaped = true
			if i = escape(s, i+1); i == Bad {
				return Bad, false
			}
			continue
		case c < ' ':
			return Bad, false
		}
		for i++; i <= len(s)-8 && special(eight(s[i:])) == 0; {
			i += 8
		}
	}
	return Bad, false
}

func eight[T chars](s T) uint64 {
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// special marks, by their top bit, the bytes that are a quote, a backslash or below a
// space. The lowest mark is always right; those above it may not be.
func special(eight uint64) uint64 {
	quote := eight ^ ones*2 // the quote (0x22) becomes a space, control characters stay below it
	slash := eight ^ ones*'\\'
	return ((quote - ones*('"'-1)) | (slash - ones)) &^ eight & tops
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

func hex(c byte) bool { return c-'0' <= 9 || c|0x20-'a' <= 5 }

// Scalar returns the index behind the string, number or word that starts at i, or Bad.
func Scalar[T chars](s T, i int) int {
	var word string
	switch s[i] {
	case '"':
		end, _ := String(s, i)
		return end
	case 't':
		word = "true"
	case 'f':
		word = "false"
	case 'n':
		word = "null"
	default:
		end, _ := number(s, i)
		return end
	}
	if len(s)-i < len(word) || string(s[i:i+len(word)]) != word {
		return Bad
	}
	return i + len(word)
}

// number returns the index behind the number that starts at i, or Bad, and whether it
// has an exponent.
func number[T chars](s T, i int) (end int, exponent bool) {
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
	if i < len(s) && s[i]|0x20 == 'e' {
		if i++; i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		return digits(s, i), true
	}
	return i, false
}

// digits returns the index behind one or more digits at i, or Bad.
func digits[T chars](s T, i int) int {
	start := i
	for i < len(s) && s[i]-'0' <= 9 {
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
		if i = Space(s, i); i >= len(s) || s[i] != ',' {
			break
		}
		i = Space(s, i+1)
	}
	if i < len(s) && s[i] == closing {
		return i + 1
	}
	return Bad
}

// Key returns the index behind the quoted key at i, whether it has escapes, and where
// its value starts. That is Bad where there is no key with a colon.
func Key[T chars](s T, i int) (end int, escaped bool, value int) {
	if i >= len(s) || s[i] != '"' {
		return Bad, false, Bad
	}
	if end, escaped = String(s, i); end == Bad {
		return Bad, false, Bad
	}
	if value = Space(s, end); value >= len(s) || s[value] != ':' {
		return Bad, false, Bad
	}
	return end, escaped, Space(s, value+1)
}

// AppendString appends s as a JSON string, with no more escapes than JSON asks
// for. What is no UTF-8 becomes U+FFFD.
func AppendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	i := 0
	for ; i <= len(s)-8 && special(eight(s[i:]))|eight(s[i:])&tops == 0; i += 8 {
	}
	for ; i < len(s) && s[i] >= ' ' && s[i] < utf8.RuneSelf && s[i] != '"' && s[i] != '\\'; i++ {
	}
	if i == len(s) {
		return append(append(dst, s...), '"')
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		if at := strings.IndexByte("\n\r\t\"\\", c); at >= 0 {
			dst = append(dst, '\\', `nrt"\`[at])
		} else {
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(dst, s[start:]...), '"')
}
