package currents

import (
	"encoding/binary"
	"math/bits"
	"strings"
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

// scanString scans a string from the byte behind its opening quote. It returns
// the index behind the closing one, and whether an escape is in it. Bytes above
// 0x7f pass as they are.
func scanString(body []byte, i int) (end int, escaped bool) {
	for i <= len(body)-8 {
		if m := special(binary.LittleEndian.Uint64(body[i:])); m != 0 {
			i += bits.TrailingZeros64(m) >> 3
			if body[i] == '"' {
				return i + 1, false
			}
			break
		}
		i += 8
	}
	return scanUnusualString(body, i)
}

// scanUnusualString goes on with a string at an escape, at a control character or
// near the end of the body.
func scanUnusualString(body []byte, i int) (end int, escaped bool) {
	for i < len(body) {
		switch c := body[i]; {
		case c == '\\':
			n, _ := escape(body, i)
			if n < 0 {
				return n, false
			}
			i += n
			escaped = true
			continue
		case c == '"':
			return i + 1, escaped
		case c < ' ':
			return ^i, false
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
	return ^len(body), false
}

// escape reads the escape at body[i], a backslash. It returns its length and
// the UTF-16 unit it stands for, or the complement of the offset of the first
// wrong byte.
func escape(body []byte, i int) (n int, unit uint16) {
	if i+1 >= len(body) {
		return ^len(body), 0
	}
	const letters, units = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	if at := strings.IndexByte(letters, body[i+1]); at >= 0 {
		return 2, uint16(units[at])
	}
	if body[i+1] != 'u' {
		return ^(i + 1), 0
	}
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

func hexDigit(c byte) (uint16, bool) {
	switch {
	case c-'0' <= 9:
		return uint16(c - '0'), true
	case c|0x20-'a' <= 5:
		return uint16(c|0x20-'a') + 10, true
	}
	return 0, false
}
