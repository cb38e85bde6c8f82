package currents

import (
	"bytes"
	"strconv"
)

// safeDigits is how many significant digits a decimal number may have that
// always survives a trip through a float64 of common size.
const safeDigits = 15

// scanNumber scans a number (RFC 8259, section 6) that starts at i.
func scanNumber(body []byte, i int) (end int, flags Flags) {
	start := i
	if body[i] == '-' {
		i++
	}
	whole := i
	if i = digits(body, i); i == whole {
		return ^i, 0
	}
	if body[whole] == '0' && i > whole+1 {
		return ^(whole + 1), 0 // no leading zeros
	}
	plain := true
	if i < len(body) && body[i] == '.' {
		from := i + 1
		if i = digits(body, from); i == from {
			return ^i, 0
		}
	}
	if i < len(body) && body[i]|0x20 == 'e' {
		plain = false
		i++
		if i < len(body) && (body[i] == '+' || body[i] == '-') {
			i++
		}
		from := i
		if i = digits(body, from); i == from {
			return ^i, 0
		}
	}
	if (!plain || i-whole > safeDigits) && numberChanges(body[start:i]) {
		return i, FlagNumber
	}
	return i, 0
}

func digits(body []byte, i int) int {
	for i < len(body) && body[i]-'0' <= 9 {
		i++
	}
	return i
}

// numberChanges reports whether a number comes out of a float64 as another
// one: an integer beyond 2^53, too many digits, too large, too small.
func numberChanges(raw []byte) bool {
	if !bytes.ContainsAny(raw, ".eE") {
		n, err := strconv.ParseInt(string(raw), 10, 64)
		return err != nil || n < -1<<53 || n > 1<<53
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return true // out of range
	}
	var buf [32]byte
	return !sameDecimal(raw, strconv.AppendFloat(buf[:0], f, 'e', -1, 64))
}

// sameDecimal reports whether two numbers are written with the same
// significant digits at the same power of ten.
func sameDecimal(a, b []byte) bool {
	na, nb := decimalOf(a), decimalOf(b)
	if na.zero || nb.zero {
		return na.zero == nb.zero
	}
	if na.exp != nb.exp {
		return false
	}
	for {
		da, db := na.next(), nb.next()
		if da != db {
			return false
		}
		if da == 0 {
			return true
		}
	}
}

// SameNumber reports whether two valid JSON numbers have the same value, however
// they are written: 1, 1.0 and 10e-1 do. It is exact and takes no more time for
// huge ones. An exponent of more than 15 digits is taken for a value that no
// other number has, unless the number is 0.
func SameNumber(a, b []byte) bool {
	na, nb := decimalOf(a), decimalOf(b)
	if na.zero || nb.zero {
		return na.zero == nb.zero
	}
	return (a[0] == '-') == (b[0] == '-') && exponentFits(a) && exponentFits(b) && sameDecimal(a, b)
}

func exponentFits(raw []byte) bool {
	e := bytes.IndexAny(raw, "eE")
	return e < 0 || len(raw)-e <= 16
}

// decimal walks the significant digits of a number.
type decimal struct {
	text []byte // from the first significant digit to the last
	exp  int    // power of ten of the first one
	zero bool
}

func decimalOf(raw []byte) decimal {
	mantissa, exp := raw, 0
	if e := bytes.IndexAny(raw, "eE"); e >= 0 {
		mantissa = raw[:e]
		// An exponent that does not fit an int was out of range before.
		exp, _ = strconv.Atoi(string(raw[e+1:]))
	}
	mantissa = bytes.TrimPrefix(mantissa, []byte("-"))
	point := bytes.IndexByte(mantissa, '.')
	if point < 0 {
		point = len(mantissa)
	}
	first := bytes.IndexAny(mantissa, "123456789")
	if first < 0 {
		return decimal{zero: true}
	}
	if first < point {
		exp += point - first - 1
	} else {
		exp -= first - point
	}
	return decimal{text: bytes.TrimRight(mantissa[first:], "0."), exp: exp}
}

// next returns the next digit, or 0 behind the last one. The point is skipped.
func (d *decimal) next() byte {
	if len(d.text) > 0 && d.text[0] == '.' {
		d.text = d.text[1:]
	}
	if len(d.text) == 0 {
		return 0
	}
	c := d.text[0]
	d.text = d.text[1:]
	return c
}

// isZero reports whether a valid number is 0 to JavaScript, and so counts as
// nothing: 0, -0, 0.00, 0e9, 1e-400.
func isZero(raw []byte) bool {
	small := len(raw) > 300 || bytes.ContainsAny(raw, "eE") // may be too small for a float64
	for _, c := range raw {
		if c|0x20 == 'e' {
			break
		}
		if c-'1' > 8 {
			continue
		}
		if !small {
			return false
		}
		f, err := strconv.ParseFloat(string(raw), 64)
		return err == nil && f == 0
	}
	return true
}
