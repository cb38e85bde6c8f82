package currents

import (
	"bytes"
	"slices"
	"strconv"
)

// SameNumber reports whether two valid JSON numbers have the same value, however
// they are written: 1, 1.0 and 10e-1 do. It is exact and takes no more time for
// huge ones. An exponent of more than 15 digits is taken for a value that no
// other number has, unless the number is 0.
func SameNumber(a, b []byte) bool {
	digitsA, expA, fitsA := decimal(a)
	digitsB, expB, fitsB := decimal(b)
	if len(digitsA) == 0 || len(digitsB) == 0 {
		return len(digitsA) == len(digitsB)
	}
	return (a[0] == '-') == (b[0] == '-') && expA == expB && fitsA && fitsB && bytes.Equal(digitsA, digitsB)
}

// decimal returns the significant digits of a number, none for 0, and the power of ten
// that they are a fraction of; fits reports whether that can be said.
func decimal(raw []byte) (digits []byte, exp int, fits bool) {
	mantissa, fits := bytes.TrimPrefix(raw, []byte("-")), true
	if e := bytes.IndexAny(mantissa, "eE"); e >= 0 {
		fits = len(mantissa)-e <= 16
		exp, _ = strconv.Atoi(string(mantissa[e+1:])) // what does not fit an int does not fit 15 digits
		mantissa = mantissa[:e]
	}
	whole, fraction, _ := bytes.Cut(mantissa, []byte("."))
	if digits = whole; len(fraction) > 0 {
		digits = slices.Concat(whole, fraction)
	}
	significant := bytes.TrimLeft(digits, "0")
	exp += len(whole) - (len(digits) - len(significant))
	return bytes.TrimRight(significant, "0"), exp, fits
}
