package mapping

import (
	"bytes"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/sourceloss"
)

// maxSeconds is the furthest that a JavaScript date goes from 1970, both ways.
const maxSeconds = 8_640_000_000_000

// fromMillis is the first number, of either sign, that is taken for milliseconds
// since 1970 and not for seconds: in seconds it would be the year 10000, in
// milliseconds it is 11 January 1978.
const fromMillis = 253_402_300_800

// appendTimestamp appends the member timestamp for an event's time, or nothing
// where it stands for none.
//
// Braze sends whole seconds since 1970. RudderStack reads them with JavaScript's
// parseInt(time, 10): of the time's text, white space, a sign and digits; what
// follows is ignored. A missing, null, "", 0 or false time is none. So it is
// here, but that milliseconds are known by their size, and text that begins with
// a date is read as ISO 8601 or not at all: parseInt makes of those the year
// 55840, and 1970.
func appendTimestamp(dst, raw []byte) []byte {
	millis, ok := parseTime(raw)
	if !ok {
		return dst
	}
	dst = append(dst, `,"timestamp":"`...)
	dst = appendISO(dst, millis)
	return append(dst, '"')
}

// parseTime returns the milliseconds since 1970 that a raw time stands for.
func parseTime(raw []byte) (millis int64, ok bool) {
	if len(raw) == 0 {
		return 0, false
	}
	switch raw[0] {
	case '"':
		if millis, isDate, ok := parseISO(raw); isDate {
			return millis, ok
		}
	case '[': // its text is that of its elements joined by commas, and parseInt stops at the first one
		if raw = currents.FirstInside(raw); len(raw) == 0 {
			return 0, false
		}
	default:
		if n, whole, _ := parseInt(raw); whole && len(raw) <= 20 { // nearly always
			return toMillis(n, n != 0)
		}
		if currents.Falsy(raw) {
			return 0, false
		}
	}
	var buf [64]byte
	n, _, ok := parseInt(appendJSText(buf[:0], raw))
	return toMillis(n, ok)
}

// appendJSText appends the text of a string or a number in JavaScript: 1e21 is
// "1e+21". The text of anything else has no digits at its start.
func appendJSText(dst, raw []byte) []byte {
	if raw[0] == '"' {
		dst, _ = currents.AppendText(dst, raw)
		return dst
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return dst // no number, or "Infinity"
	}
	format := byte('f')
	if size := max(f, -f); size >= 1e21 || size < 1e-6 {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, 64)
}

// toMillis takes small numbers for seconds and large ones for milliseconds.
func toMillis(n int64, ok bool) (millis int64, inRange bool) {
	if -fromMillis < n && n < fromMillis {
		return n * 1000, ok
	}
	return n, ok && -maxSeconds*1000 <= n && n <= maxSeconds*1000
}

// parseISO reads a date, or a date and a time of day, without a zone in UTC. It
// is no date where the text does not begin with one.
func parseISO(raw []byte) (millis int64, isDate, ok bool) {
	var buf [64]byte
	text, _ := currents.AppendText(buf[:0], raw)
	text = bytes.TrimSpace(text)
	if len(text) < len(time.DateOnly) || text[4] != '-' || text[7] != '-' {
		return 0, false, false
	}
	for i, c := range text[:len(time.DateOnly)] {
		if i != 4 && i != 7 && c-'0' > 9 {
			return 0, false, false
		}
	}
	if len(text) > 10 && (text[10] == ' ' || text[10] == 't') {
		text[10] = 'T' // the text is a copy
	}
	for _, layout := range [...]string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04Z07:00", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, string(text)); err == nil {
			return t.UnixMilli(), true, true
		}
	}
	return 0, true, false
}

// parseInt is JavaScript's parseInt(text, 10). ok is false where that is no number;
// whole says that there is nothing behind the digits. What is beyond the range of
// times stays beyond it.
func parseInt(text []byte) (n int64, whole, ok bool) {
	for len(text) > 0 && (text[0] <= ' ' || text[0] >= utf8.RuneSelf) {
		r, size := utf8.DecodeRune(text)
		if !sourceloss.IsSpace(r) {
			return 0, false, false
		}
		text = text[size:]
	}
	negative := len(text) > 0 && text[0] == '-'
	if negative || len(text) > 0 && text[0] == '+' {
		text = text[1:]
	}
	digits := 0
	for ; digits < len(text) && text[digits]-'0' <= 9; digits++ {
		if n <= maxSeconds*1000 {
			n = n*10 + int64(text[digits]-'0')
		}
	}
	if negative {
		n = -n
	}
	return n, digits == len(text), digits > 0
}

// appendISO appends milliseconds since 1970 as YYYY-MM-DDTHH:mm:ss.SSSZ in UTC. The
// year has at least four digits, and a minus before them where it is negative,
// as RudderStack's formatter writes it.
func appendISO(dst []byte, millis int64) []byte {
	at := time.UnixMilli(millis).UTC()
	dst = at.AppendFormat(dst, time.RFC3339) // which is quicker than a layout with thousandths
	n := at.Nanosecond() / 1e6
	return append(dst[:len(dst)-1], '.', byte('0'+n/100), byte('0'+n/10%10), byte('0'+n%10), 'Z')
}
