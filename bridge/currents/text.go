package currents

import (
	"bytes"
	"strconv"
	"strings"
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
	return AppendUnescaped(dst, raw[1:len(raw)-1]), true
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

// AppendUnescaped appends the inside of a valid JSON string, or of any valid JSON text,
// escapes undone as by AppendText.
func AppendUnescaped(dst, inside []byte) []byte {
	for {
		i := bytes.IndexByte(inside, '\\')
		if i < 0 {
			return append(dst, inside...)
		}
		dst = append(dst, inside[:i]...)
		inside = inside[i:]
		n, r := escape(inside)
		if n == 0 {
			return dst // it was not valid
		}
		if utf16.IsSurrogate(r) {
			m, low := escape(inside[n:])
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				r, n = pair, n+m
			}
		}
		if utf16.IsSurrogate(r) {
			dst = append(dst, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f)
		} else {
			dst = utf8.AppendRune(dst, r)
		}
		inside = inside[n:]
	}
}

// escape reads the escape that text begins with. It returns its length, 0 where there
// is none, and the UTF-16 unit it stands for.
func escape(text []byte) (n int, unit rune) {
	if len(text) < 2 || text[0] != '\\' {
		return 0, 0
	}
	const letters, units = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	if at := strings.IndexByte(letters, text[1]); at >= 0 {
		return 2, rune(units[at])
	}
	if text[1] != 'u' || len(text) < 6 {
		return 0, 0
	}
	code, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	if err != nil {
		return 0, 0
	}
	return 6, rune(code)
}
