package bytecheck

import (
	"encoding/json"
	"math/big"
	"strconv"
	"strings"

	"github.com/currentsbridge/currentsbridge/internal/jsonlex"
)

// gojsonschema turns numbers into fractions of big integers: 1e999999 costs it
// 50 ms, a million digits two seconds. These limits are far beyond any number
// that Braze or a float64 knows.
const (
	maxExponent = 400
	maxDigits   = 1000
)

// Clamp brings a number beyond all use within limits. Such a number is judged by what
// is left of it.
func Clamp(n json.Number) json.Number {
	if len(n) > maxDigits {
		n = json.Number(strings.TrimRight(string(n[:maxDigits]), ".eE+-"))
	}
	e := strings.IndexAny(string(n), "eE")
	if e < 0 {
		return n
	}
	// An exponent that fits no int comes as the nearest one, beside the error.
	exponent, _ := strconv.Atoi(string(n[e+1:]))
	if exponent > maxExponent || exponent < -maxExponent {
		exponent = max(-maxExponent, min(exponent, maxExponent))
		return n[:e+1] + json.Number(strconv.Itoa(exponent))
	}
	return n
}

// clamped is the text of a number within the limits.
func (x *Index) clamped(n Node) string { return string(Clamp(json.Number(x.Raw(n)))) }

// rat is a number as an exact fraction, or nil.
func (x *Index) rat(n Node) *big.Rat {
	value, ok := new(big.Rat).SetString(x.clamped(n))
	if !ok {
		return nil
	}
	return value
}

// integer says whether a number is whole; 1.0 and 1e2 are.
func (x *Index) integer(n Node) bool {
	of := &x.nodes[n]
	if of.flags&jsonlex.Fraction == 0 {
		return true // as is what is left of it, however long it was
	}
	value := x.rat(n)
	return value != nil && value.IsInt()
}
