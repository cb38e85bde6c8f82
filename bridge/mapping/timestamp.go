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
		if len(raw) == 2 {
			return 0, false
		}
		if millis, is, ok := parseISO(raw); is {
			return millis, ok
		}
		return toMillis(parseTextTime(raw))
	case '[':
		return toMillis(parseArrayTime(raw))
	case 'n', 't', 'f', '{':
		return 0, false
	}
	if len(raw) <= 15 {
		if n, ok := plainInteger(raw); ok {
			return toMillis(n, n != 0)
		}
	}
	n, zero, ok := parseNumberTime(raw)
	return toMillis(n, ok && !zero)
}

// toMillis takes small numbers for seconds and large ones for milliseconds.
func toMillis(n int64, ok bool) (millis int64, inRange bool) {
	if -fromMillis < n && n < fromMillis {
		return n * 1000, ok
	}
	return n, ok && -maxSeconds*1000 <= n && n <= maxSeconds*1000
}

// parseISO reads a date, or a date and a time of day, without a zone in UTC. It
// is none where the text does not begin with a date.
func parseISO(raw []byte) (millis int64, is, ok bool) {
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

// plainInteger reads digits with or without a minus before them.
func plainInteger(raw []byte) (n int64, ok bool) {
	digits := raw
	if raw[0] == '-' {
		digits = raw[1:]
	}
	for _, c := range digits {
		if c-'0' > 9 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if len(digits) < len(raw) {
		n = -n
	}
	return n, true
}

// parseNumberTime reads what parseInt makes of a number, which becomes text
// first: 1e21 is "1e+21", 1e-7 is "1e-7", and both give 1.
func parseNumberTime(raw []byte) (seconds int64, zero, ok bool) {
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return 0, false, false // "Infinity"
	}
	if f == 0 {
		return 0, true, true
	}
	size := max(f, -f)
	if size >= 1e21 || size < 1e-6 {
		var buf [32]byte
		text := strconv.AppendFloat(buf[:0], f, 'e', -1, 64)
		if text[0] == '-' {
			return -int64(text[1] - '0'), false, true
		}
		return int64(text[0] - '0'), false, true
	}
	if size >= maxSeconds*1000+1 {
		return 0, false, false
	}
	return int64(f), false, true
}

// parseArrayTime reads an array, whose text is that of its elements joined by
// commas: only the first one, and the first of that, can give a number.
func parseArrayTime(raw []byte) (seconds int64, ok bool) {
	if raw = currents.FirstInside(raw); len(raw) == 0 {
		return 0, false
	}
	switch raw[0] {
	case '"':
		return parseTextTime(raw)
	case 'n', 't', 'f', '{':
		return 0, false
	}
	seconds, _, ok = parseNumberTime(raw)
	return seconds, ok
}

// parseTextTime reads what parseInt makes of a string.
func parseTextTime(raw []byte) (seconds int64, ok bool) {
	var buf [64]byte
	text, _ := currents.AppendText(buf[:0], raw)
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if !sourceloss.IsSpace(r) {
			break
		}
		text = text[n:]
	}
	negative := false
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		negative = text[0] == '-'
		text = text[1:]
	}
	for i, c := range text {
		if c-'0' > 9 {
			text = text[:i]
			break
		}
		if seconds <= maxSeconds*1000 {
			seconds = seconds*10 + int64(c-'0')
		}
	}
	if len(text) == 0 || seconds > maxSeconds*1000 {
		return 0, false
	}
	if negative {
		seconds = -seconds
	}
	return seconds, true
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
