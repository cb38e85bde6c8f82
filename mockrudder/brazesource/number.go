package brazesource

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// formatNumber is JavaScript's String(n), but for NaN.
func formatNumber(n float64) string {
	switch {
	case math.IsInf(n, 1):
		return "Infinity"
	case math.IsInf(n, -1):
		return "-Infinity"
	case n == 0:
		return "0"
	}
	text, _ := json.Marshal(n) // as JavaScript's number to string conversion
	return string(text)
}

// trim is JavaScript's trim.
func trim(s string) string { return strings.TrimFunc(s, isSpace) }

func isSpace(r rune) bool {
	switch r {
	case '\t', '\n', '\v', '\f', '\r', ' ', 0xA0, 0xFEFF, 0x2028, 0x2029:
		return true
	}
	return r > utf8.RuneSelf && unicode.Is(unicode.Zs, r)
}

// parseNumber is JavaScript's Number(s), but NaN for Infinity: neither is an index or a
// length.
func parseNumber(s string) float64 {
	s = trim(s)
	if s == "" {
		return 0
	}
	if len(s) > 2 && s[0] == '0' && strings.IndexByte("xXoObB", s[1]) >= 0 {
		n, err := strconv.ParseUint(s, 0, 64)
		if errors.Is(err, strconv.ErrSyntax) || strings.Contains(s, "_") { // Go takes 0x_1
			return math.NaN()
		}
		return float64(n) // at most 2^64, which is beyond any array index
	}
	if strings.Trim(s, "+-.0123456789eE") != "" { // Go takes more, such as inf
		return math.NaN()
	}
	n, err := strconv.ParseFloat(s, 64)
	if errors.Is(err, strconv.ErrSyntax) {
		return math.NaN()
	}
	return n // an overflow gives an infinity, as it should
}

// parseInt is JavaScript's parseInt(s, 10).
func parseInt(s string) float64 {
	s = trim(s)
	unsigned := s
	if s != "" && (s[0] == '+' || s[0] == '-') {
		unsigned = s[1:]
	}
	behind := strings.TrimLeft(unsigned, "0123456789")
	n, err := strconv.ParseFloat(s[:len(s)-len(behind)], 64)
	if errors.Is(err, strconv.ErrSyntax) {
		return math.NaN()
	}
	return n
}
