package currents

import (
	"bytes"
	"strconv"
)

// scanNumber scans a number (RFC 8259, section 6) that starts at i.
func scanNumber(body []byte, i int) int {
	if body[i] == '-' {
		i++
	}
	whole := i
	if i = digits(body, i); i == whole {
		return ^i
	}
	if body[whole] == '0' && i > whole+1 {
		return ^(whole + 1) // no leading zeros
	}
	if i < len(body) && body[i] == '.' {
		from := i + 1
		if i = digits(body, from); i == from {
			return ^i
		}
	}
	if i < len(body) && body[i]|0x20 == 'e' {
		i++
		if i < len(body) && (body[i] == '+' || body[i] == '-') {
			i++
		}
		from := i
		if i = digits(body, from); i == from {
			return ^i
		}
	}
	return i
}

func digits(body []byte, i int) int {
	for i < len(body) && body[i]-'0' <= 9 {
		i++
	}
	return i
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
	if (a[0] == '-') != (b[0] == '-') || na.exp != nb.exp || !exponentFits(a) || !exponentFits(b) {
		return false
	}
	for {
		da, db := na.next(), nb.next()
		if da != db || da == 0 {
			return da == db
		}
	}
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

// isZero reports whether a valid number is 0 as a float64, and so counts as
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
