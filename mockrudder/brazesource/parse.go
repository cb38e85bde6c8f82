package brazesource

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/currentsbridge/currentsbridge/internal/jsonlex"
)

// parse reads JSON as JavaScript's JSON.parse does: numbers become float64, of
// duplicate keys the last value counts, at the place of the first, and half a
// surrogate pair is kept.
func parse(text string) (value, bool) {
	if !jsonlex.Valid(text) {
		return nil, false
	}
	return parseValid(text), true
}

// parseValid is parse for text that is known to be valid.
func parseValid(text string) value {
	p := parser{jsonlex.Walker{Text: text}}
	v, _ := p.value(jsonlex.Space(text, 0))
	return v
}

type parser struct{ jsonlex.Walker }

// value reads the value that starts at i and returns the index behind it.
func (p *parser) value(i int) (v value, end int) {
	switch p.Text[i] {
	case '{':
		o := &object{}
		end = p.Members(i, 0, func(quoted string, start int) int {
			v, end := p.value(start)
			o.set(parseString(quoted), v)
			return end
		})
		return o, end
	case '[':
		a := &array{}
		end = p.Array(i, 0, func(start int) int {
			v, end := p.value(start)
			a.set(indexKey(a.length), v)
			return end
		})
		return a, end
	}
	end = p.Value(i, 0)
	return parseScalar(p.Text[i:end]), end
}

func parseScalar(text string) value {
	switch text[0] {
	case '"':
		return parseString(text)
	case 't', 'f':
		return text == "true"
	case 'n':
		return null
	}
	n, _ := strconv.ParseFloat(text, 64) // an overflow gives an infinity, as in JavaScript
	return n
}

// parseString reads a string that is given with its quotes.
func parseString(quoted string) string {
	text := quoted[1 : len(quoted)-1]
	if !utf8.ValidString(text) {
		text = string([]rune(text)) // each invalid byte becomes a U+FFFD of its own, as in Go's JSON
	}
	if strings.IndexByte(text, '\\') < 0 {
		return text
	}
	return unescape(text)
}

// escapes finds the escapes of a string, those of a surrogate pair together.
var escapes = regexp.MustCompile(`\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u[dD][89a-fA-F]..|.)`)

// unescape undoes the escapes of a string. Half a surrogate pair becomes the three bytes
// that halfPair reads.
func unescape(s string) string {
	text, from := make([]byte, 0, len(s)), 0
	for _, at := range escapes.FindAllStringIndex(s, -1) {
		if at[1]-at[0] != len(`\ud800`) {
			continue
		}
		half, _ := strconv.ParseUint(s[at[0]+len(`\u`):at[1]], 16, 16)
		text = append(text, jsonlex.Text(`"`+s[from:at[0]]+`"`)...)
		text = append(text, 0xE0|byte(half>>12), 0x80|byte(half>>6)&0xBF, 0x80|byte(half)&0x3F)
		from = at[1]
	}
	return string(append(text, jsonlex.Text(`"`+s[from:]+`"`)...))
}

// halfPair reads half a surrogate pair at the start of s.
func halfPair(s string) (unit rune, ok bool) {
	if len(s) < 3 || s[0] != 0xED || s[1] < 0xA0 || s[1] > 0xBF || s[2]&0xC0 != 0x80 {
		return 0, false
	}
	return 0xD000 | rune(s[1]&0x3F)<<6 | rune(s[2]&0x3F), true
}
