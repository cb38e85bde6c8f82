package currents

import (
	"bytes"
	"strconv"
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
