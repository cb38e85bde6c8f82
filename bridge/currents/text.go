package currents

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// AppendText appends the text of a valid raw JSON string, quotes and escapes
// undone; ok is false, and dst is returned as it was, where raw is no string.
// Surrogate pairs become one character. Half of a pair, which has no UTF-8,
// is written as the three bytes it would have, so that two different strings
// never become one text; invalid UTF-8 stays as it is.
func AppendText(dst, raw []byte) (text []byte, ok bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return dst, false
	}
	return appendUnescaped(dst, raw[1:len(raw)-1]), true
}

// UsableID reports whether a raw id identifies an event: a string that is not
// blank, or a number that is not 0.
func UsableID(raw []byte) bool {
	return UsableIdentity(raw) && raw[0] != 't' && raw[0] != '{' && raw[0] != '['
}

// AppendID appends the text of an event's id: a string's text, a number as it
// is written. ok is false, and dst is returned as it was, where the id is not
// usable (UsableID).
func AppendID(dst, raw []byte) (text []byte, ok bool) {
	if !UsableID(raw) {
		return dst, false
	}
	if raw[0] == '"' {
		return AppendText(dst, raw)
	}
	return append(dst, raw...), true
}

// appendUnescaped appends the inside of a valid JSON string, escapes undone.
func appendUnescaped(dst, inside []byte) []byte {
	for {
		i := bytes.IndexByte(inside, '\\')
		if i < 0 {
			return append(dst, inside...)
		}
		dst = append(dst, inside[:i]...)
		n, unit := escape(inside, i)
		if n < 0 {
			return dst // raw was not valid
		}
		r := rune(unit)
		if utf16.IsSurrogate(r) {
			if next := i + n; next < len(inside) && inside[next] == '\\' {
				m, low := escape(inside, next)
				if pair := utf16.DecodeRune(r, rune(low)); m > 0 && pair != utf8.RuneError {
					r, n = pair, n+m
				}
			}
		}
		dst = appendRune(dst, r)
		inside = inside[i+n:]
	}
}

// appendRune is utf8.AppendRune, but for surrogates.
func appendRune(dst []byte, r rune) []byte {
	if utf16.IsSurrogate(r) {
		return append(dst, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f)
	}
	return utf8.AppendRune(dst, r)
}
