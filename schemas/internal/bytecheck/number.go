package bytecheck

import (
	"strconv"
	"strings"

	"github.com/currentsbridge/currentsbridge/internal/jsonlex"
)

// integer says whether a number is whole; 1.0 and 1e2 are. It looks at the
// digits: as a fraction of big integers 1e999999 would cost 50 ms.
func (x *Index) integer(n Node) bool {
	if x.nodes[n].flags&jsonlex.Fraction == 0 {
		return true
	}
	digits, power, _ := strings.Cut(strings.ToLower(string(x.Raw(n))), "e")
	exponent, _ := strconv.Atoi(power) // one that fits no int is the nearest, none is 0
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(digits, "-"), ".")
	if fraction = strings.TrimRight(fraction, "0"); fraction != "" {
		return exponent >= len(fraction)
	}
	significant := strings.TrimRight(whole, "0")
	return significant == "" || len(whole)-len(significant) >= -exponent
}
