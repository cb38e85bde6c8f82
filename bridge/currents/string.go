package currents

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// SWAR constants: a one, or the top bit, in each byte of a word.
const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// special marks, by their top bit, the bytes of x that end a run of plain
// string bytes: a quote, a backslash, a control character. The lowest mark is
// exact; those above it may be false, because a borrow can only come from
// below.
func special(x uint64) uint64 {
	q := x ^ 0x02*ones // the quote (0x22) becomes 0x20, control characters stay below it
	s := x ^ '\\'*ones
	return ((q - 0x21*ones) | (s - ones)) &^ x & tops
}

// scanString scans a string from the byte behind its opening quote and returns
// the index behind the closing one. Bytes above 0x7f pass as they are.
func scanString(body []byte, i int) (end int, flags Flags) {
	for i <= len(body)-8 {
		if m := special(binary.LittleEndian.Uint64(body[i:])); m != 0 {
			i += bits.TrailingZeros64(m) >> 3
			if body[i] == '"' {
				return i + 1, 0
			}
			return scanOddString(body, i)
		}
		i += 8
	}
	return scanOddString(body, i)
}

// scanKey is scanString for a key. It also looks for dots and slashes, which
// mean something in a key (flagPathByte).
func scanKey(body []byte, i int) (end int, flags Flags) {
	start := i
	seen := uint64(0)
	for i <= len(body)-8 {
		x := binary.LittleEndian.Uint64(body[i:])
		m, p := special(x), pathBytes(x)
		if m != 0 {
			n := bits.TrailingZeros64(m)
			i += n >> 3
			if body[i] != '"' {
				break
			}
			if seen|p<<(63-n) != 0 { // only those before the quote
				flags = flagPathByte
			}
			return i + 1, flags
		}
		seen |= p
		i += 8
	}
	end, flags = scanOddString(body, i)
	if end >= 0 && bytes.ContainsAny(body[start:end], "./") {
		flags |= flagPathByte
	}
	return end, flags
}

// pathBytes marks, by their top bit, the dots and slashes of x. The lowest mark
// is exact.
func pathBytes(x uint64) uint64 {
	y := (x | ones) ^ '/'*ones // the dot (0x2e) and the slash (0x2f) become 0
	return (y - ones) &^ y & tops
}

// scanOddString goes on with a string at an escape, at a control character or
// near the end of the body.
func scanOddString(body []byte, i int) (end int, flags Flags) {
	high := false // the last thing was a leading surrogate's escape
	for i < len(body) {
		c := body[i]
		if c == '\\' {
			n, unit := escape(body, i)
			if n < 0 {
				return n, 0
			}
			i += n
			flags |= flagEscape
			if unit == 0 {
				flags |= FlagNul
			}
			if low := unit&0xfc00 == 0xdc00; low != high {
				flags |= FlagSurrogate
			}
			high = unit&0xfc00 == 0xd800
			continue
		}
		if high {
			flags |= FlagSurrogate
			high = false
		}
		if c == '"' {
			return i + 1, flags
		}
		if c < ' ' {
			return ^i, 0
		}
		i++
		for i <= len(body)-8 {
			m := special(binary.LittleEndian.Uint64(body[i:]))
			if m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
		}
	}
	return ^len(body), 0
}

// escape reads the escape at body[i], a backslash. It returns its length and
// the UTF-16 unit it stands for, or the complement of the offset of the first
// wrong byte.
func escape(body []byte, i int) (n int, unit uint16) {
	if i+1 >= len(body) {
		return ^len(body), 0
	}
	switch body[i+1] {
	case '"', '\\', '/':
		return 2, uint16(body[i+1])
	case 'b':
		return 2, '\b'
	case 'f':
		return 2, '\f'
	case 'n':
		return 2, '\n'
	case 'r':
		return 2, '\r'
	case 't':
		return 2, '\t'
	case 'u':
		for j := i + 2; j < i+6; j++ {
			if j >= len(body) {
				return ^len(body), 0
			}
			digit, ok := hexDigit(body[j])
			if !ok {
				return ^j, 0
			}
			unit = unit<<4 | digit
		}
		return 6, unit
	}
	return ^(i + 1), 0
}

func hexDigit(c byte) (uint16, bool) {
	switch {
	case c-'0' <= 9:
		return uint16(c - '0'), true
	case c|0x20-'a' <= 5:
		return uint16(c|0x20-'a') + 10, true
	}
	return 0, false
}
