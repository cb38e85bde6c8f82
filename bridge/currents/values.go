package currents

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Reason is why an event goes to the dead letters without being sent. The
// empty Reason means that nothing is wrong.
type Reason string

// The reasons, as they appear in the status, the metrics and the dead letters.
const (
	NotAnObject Reason = "not_an_object"
	NoEventType Reason = "no_event_type"
	NoIdentity  Reason = "no_identity"
)

// Problem returns why the event cannot become a RudderStack message at all:
// it is no object, its event_type is missing (absent, null, "", 0 or false),
// or neither user_id nor external_user_id is usable. RudderStack drops or
// refuses such events on every path.
func (e *Event) Problem() Reason {
	switch {
	case !e.Object:
		return NotAnObject
	case Falsy(e.Type):
		return NoEventType
	case !UsableIdentity(e.UserID) && !UsableIdentity(e.ExternalUserID):
		return NoIdentity
	}
	return ""
}

// UsableIdentity reports whether a raw value is the identity of a user: it is
// not absent, null, "", 0, false, nothing but white space, or Redacted.
func UsableIdentity(raw []byte) bool {
	return !Falsy(raw) && (raw[0] != '"' || !blank(raw)) && !Redacted(raw)
}

// Redacted reports whether a raw value is what Braze puts in place of a string
// that a Current's field transformations remove: the text [REDACTED], the same
// for everybody.
func Redacted(raw []byte) bool {
	return len(raw) == len(redacted) && string(raw) == redacted
}

const redacted = `"[REDACTED]"`

// Falsy reports whether a raw value counts as nothing for RudderStack: it is
// absent, null, "", 0 or false.
func Falsy(raw []byte) bool {
	if len(raw) == 0 {
		return true
	}
	switch raw[0] {
	case '"':
		return len(raw) <= 2
	case 'n', 'f':
		return true
	case '{', '[', 't':
		return false
	}
	f, err := strconv.ParseFloat(string(raw), 64) // 0 are -0, 0.00, 0e9, 1e-400 too
	return err == nil && f == 0
}

// blank reports whether a raw string is nothing but white space, escapes
// undone, by the notion of strings.TrimSpace.
func blank(raw []byte) bool {
	if c := raw[1]; c > ' ' && c < utf8.RuneSelf && c != '\\' { // nearly always
		return false
	}
	var buf [64]byte
	text, _ := AppendText(buf[:0], raw)
	return len(bytes.TrimSpace(text)) == 0
}

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

// SameNumber reports whether two valid JSON numbers have the same value, however
// they are written: 1, 1.0 and 10e-1 do. It is exact and takes no more time for
// huge ones. An exponent of more than 15 digits is taken for a value that no
// other number has, unless the number is 0.
func SameNumber(a, b []byte) bool {
	digitsA, expA, fitsA := decimal(a)
	digitsB, expB, fitsB := decimal(b)
	if len(digitsA) == 0 || len(digitsB) == 0 {
		return len(digitsA) == len(digitsB)
	}
	return (a[0] == '-') == (b[0] == '-') && expA == expB && fitsA && fitsB && bytes.Equal(digitsA, digitsB)
}

// decimal returns the significant digits of a number, none for 0, and the power of ten
// that they are a fraction of; fits reports whether that can be said.
func decimal(raw []byte) (digits []byte, exp int, fits bool) {
	mantissa, fits := bytes.TrimPrefix(raw, []byte("-")), true
	if e := bytes.IndexAny(mantissa, "eE"); e >= 0 {
		fits = len(mantissa)-e <= 16
		exp, _ = strconv.Atoi(string(mantissa[e+1:])) // what does not fit an int does not fit 15 digits
		mantissa = mantissa[:e]
	}
	whole, fraction, _ := bytes.Cut(mantissa, []byte("."))
	if digits = whole; len(fraction) > 0 {
		digits = slices.Concat(whole, fraction)
	}
	significant := bytes.TrimLeft(digits, "0")
	exp += len(whole) - (len(digits) - len(significant))
	return bytes.TrimRight(significant, "0"), exp, fits
}
