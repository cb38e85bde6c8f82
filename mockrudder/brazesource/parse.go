package brazesource

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/currentsbridge/currentsbridge/internal/jsonlex"
)

// parse reads JSON as JavaScript's JSON.parse does: numbers become float64, of
// a key given twice the last value counts, at the place of the first, and half
// a surrogate pair is kept.
func parse(text string) (value, bool) {
	if !jsonlex.Valid(text) {
		return nil, false
	}
	p := parser{s: text}
	return p.value(), true
}

// parser reads text that is known to be valid.
type parser struct {
	s string
	i int
}

func (p *parser) space() { p.i = jsonlex.Space(p.s, p.i) }

func (p *parser) value() value {
	p.space()
	switch p.s[p.i] {
	case '{':
		return p.object()
	case '[':
		return p.array()
	case '"':
		return p.string()
	case 't':
		p.i += len("true")
		return true
	case 'f':
		p.i += len("false")
		return false
	case 'n':
		p.i += len("null")
		return null
	}
	end := jsonlex.Value(p.s, p.i, 0)
	n, _ := strconv.ParseFloat(p.s[p.i:end], 64) // an overflow gives an infinity, as in JavaScript
	p.i = end
	return n
}

func (p *parser) object() *object {
	o := &object{}
	for p.i++; ; p.i++ {
		if p.space(); p.s[p.i] == '}' {
			p.i++
			return o
		}
		key := p.string()
		p.space()
		p.i++ // the colon
		o.set(key, p.value())
		if p.space(); p.s[p.i] == '}' {
			p.i++
			return o
		}
	}
}

func (p *parser) array() *array {
	a := &array{}
	for p.i++; ; p.i++ {
		if p.space(); p.s[p.i] == ']' {
			p.i++
			return a
		}
		a.set(uint32(len(a.dense)), p.value())
		if p.space(); p.s[p.i] == ']' {
			p.i++
			return a
		}
	}
}

func (p *parser) string() string {
	end, _ := jsonlex.String(p.s, p.i)
	plain := p.s[p.i+1 : end-1]
	p.i = end
	if !utf8.ValidString(plain) {
		plain = string([]rune(plain)) // each byte that is no text becomes a U+FFFD of its own, as in Go's JSON
	}
	if strings.IndexByte(plain, '\\') < 0 {
		return plain
	}
	return unescape(plain)
}

func unescape(s string) string {
	text := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			text = append(text, s[i])
			continue
		}
		i++
		switch s[i] {
		case 'b':
			text = append(text, '\b')
		case 'f':
			text = append(text, '\f')
		case 'n':
			text = append(text, '\n')
		case 'r':
			text = append(text, '\r')
		case 't':
			text = append(text, '\t')
		case 'u':
			unit := codeUnit(s[i+1:])
			i += 4
			if isHigh(unit) && strings.HasPrefix(s[i+1:], `\u`) {
				if low := codeUnit(s[i+3:]); isLow(low) {
					text = utf8.AppendRune(text, (unit-0xD800)<<10|(low-0xDC00)+0x10000)
					i += 6
					continue
				}
			}
			text = appendUnit(text, unit)
		default:
			text = append(text, s[i])
		}
	}
	return string(text)
}

func codeUnit(hex string) rune {
	unit, _ := strconv.ParseUint(hex[:4], 16, 16)
	return rune(unit)
}

func isHigh(unit rune) bool { return unit >= 0xD800 && unit <= 0xDBFF }
func isLow(unit rune) bool  { return unit >= 0xDC00 && unit <= 0xDFFF }

// appendUnit writes a code unit of UTF-16, half a pair as three bytes.
func appendUnit(text []byte, unit rune) []byte {
	if isHigh(unit) || isLow(unit) {
		return append(text, 0xE0|byte(unit>>12), 0x80|byte(unit>>6)&0xBF, 0x80|byte(unit)&0x3F)
	}
	return utf8.AppendRune(text, unit)
}

// halfPair reads half a surrogate pair at the head of s.
func halfPair(s string) (unit rune, ok bool) {
	if len(s) < 3 || s[0] != 0xED || s[1] < 0xA0 || s[1] > 0xBF || s[2]&0xC0 != 0x80 {
		return 0, false
	}
	return 0xD000 | rune(s[1]&0x3F)<<6 | rune(s[2]&0x3F), true
}
