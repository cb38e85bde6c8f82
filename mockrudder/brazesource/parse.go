package brazesource

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/currentsbridge/currentsbridge/internal/jsonlex"
)

// parser reads JSON as JavaScript's JSON.parse does: numbers become float64, of
// duplicate keys the last value counts, at the place of the first, and half a
// surrogate pair is kept.
type parser struct {
	jsonlex.Walker

	objects []*object // that were made; those behind used may be made again
	used    int
}

// make makes an object.
func (p *parser) make(c class) *object {
	if p.used == len(p.objects) {
		p.objects = append(p.objects, &object{})
	}
	o := p.objects[p.used]
	p.used++
	*o = object{class: c, members: o.members[:0]}
	return o
}

// value reads the value that starts at i and returns the index behind it, or
// jsonlex.Bad. depth is how many arrays and objects are open around it.
func (p *parser) value(i, depth int) (v value, end int) {
	if i >= len(p.Text) {
		return value{}, jsonlex.Bad
	}
	switch c := p.Text[i]; {
	case c == '"':
		end, _ := jsonlex.String(p.Text, i)
		text := p.Text[i:max(i, end)]
		if end != jsonlex.Bad && !asWritten(text) {
			text = quote(unquote(text))
		}
		return value{json: text}, end
	case c == '{':
		o := p.make(plain)
		end := p.Members(i, depth, func(quoted string, start int) int {
			v, end := p.value(start, depth+1)
			o.set(unquote(quoted), v)
			return end
		})
		return value{object: o}, end
	case c == '[':
		a := p.make(array)
		end := p.Array(i, depth, func(start int) int {
			v, end := p.value(start, depth+1)
			a.append(indexKey(a.length), v)
			return end
		})
		return value{object: a}, end
	case c == '-' || c >= '0' && c <= '9':
		end := jsonlex.Scalar(p.Text, i)
		return value{json: numberText(p.Text[i:max(i, end)])}, end
	}
	end = p.Value(i, depth) // a word, or no value
	return value{json: p.Text[i:max(i, end)]}, end
}

// numberText returns a JSON number as JavaScript writes it.
func numberText(text string) string {
	const exact = 15 // digits of a whole number that a float64 holds
	if len(text) <= exact && !strings.ContainsAny(text, ".eE") && text != "-0" {
		return text
	}
	n, _ := strconv.ParseFloat(text, 64) // an overflow gives an infinity, as in JavaScript
	return formatNumber(n)
}

// asWritten says that JavaScript writes this JSON string as it is.
func asWritten(quoted string) bool {
	return utf8.ValidString(quoted) && !strings.Contains(quoted, `\u`) && !strings.Contains(quoted, `\/`)
}

// unquote returns the text of a JSON string. It is UTF-8, in which half a surrogate
// pair has three bytes, encoded like any other code point.
func unquote(quoted string) string {
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
