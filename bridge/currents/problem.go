package currents

import (
	"unicode"
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
	UnsafeKey   Reason = "unsafe_key"
	Nul         Reason = "nul"
	LargeIndex  Reason = "large_index"
	TooDeep     Reason = "too_deep"
)

// Problem returns why the event cannot become a RudderStack message at all:
// it is no object, its event_type is missing (absent, null, "", 0 or false),
// or neither user_id nor external_user_id is usable. RudderStack drops or
// refuses such events on every path.
func (e *Event) Problem() Reason {
	return e.problem(UsableIdentity(e.UserID), UsableIdentity(e.ExternalUserID))
}

// WebhookProblem returns Problem, or else what would make RudderStack's Braze
// source drop this event silently (UnsafeKey), refuse its whole request (Nul), or
// fail for it and for others that come at the same time: a property key that is a
// whole number of a million and more (LargeIndex), and nesting beyond 4,000 levels
// (TooDeep; 4,000 are taken, 6,000 answered with 500).
func (e *Event) WebhookProblem() Reason {
	user, external := e.Flags&flagLiteralUserUsable != 0, e.Flags&flagLiteralExternalUsable != 0
	if e.Flags&flagLiteralUser == 0 {
		user = usable(e.UserID)
	}
	if e.Flags&flagLiteralExternal == 0 {
		external = usable(e.ExternalUserID)
	}
	reason := e.problem(user, external)
	switch {
	case reason != "":
		return reason
	case e.Flags&FlagUnsafeKey != 0:
		return UnsafeKey
	case e.Flags&FlagNul != 0:
		return Nul
	case e.Flags&FlagLargeIndex != 0:
		return LargeIndex
	case e.Flags&FlagDeep != 0:
		return TooDeep
	}
	return ""
}

func (e *Event) problem(user, external bool) Reason {
	switch {
	case !e.Object:
		return NotAnObject
	case falsy(e.Type):
		return NoEventType
	case !user && !external:
		return NoIdentity
	}
	return ""
}

// HasExternalUserID reports whether external_user_id is usable (UsableIdentity).
// Braze's own RudderStack export sends only events that have one.
func (e *Event) HasExternalUserID() bool { return UsableIdentity(e.ExternalUserID) }

// UsableIdentity reports whether a raw value is the identity of a user: it is
// not absent, null, "", 0, false, nothing but white space, or Redacted.
func UsableIdentity(raw []byte) bool { return usable(raw) && !Redacted(raw) }

// Redacted reports whether a raw value is what Braze puts in place of a string
// that a Current's field transformations remove: the text [REDACTED], the same
// for everybody.
func Redacted(raw []byte) bool {
	return len(raw) == len(redacted) && string(raw) == redacted
}

const redacted = `"[REDACTED]"`

// usable reports whether RudderStack takes a value for an identity.
func usable(raw []byte) bool {
	return !falsy(raw) && (raw[0] != '"' || !blank(raw))
}

// falsy reports whether a raw value counts as nothing in JavaScript; an absent
// one does.
func falsy(raw []byte) bool {
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
	return isZero(raw)
}

// blank reports whether a raw string is nothing but white space, escapes
// undone, by the notion of strings.TrimSpace.
func blank(raw []byte) bool {
	inside := raw[1 : len(raw)-1]
	for i := 0; i < len(inside); {
		var r rune
		n := 1
		switch c := inside[i]; {
		case c == '\\':
			var unit uint16
			if n, unit = escape(inside, i); n < 0 {
				return false
			}
			r = rune(unit)
		case c < utf8.RuneSelf:
			r = rune(c)
		default:
			r, n = utf8.DecodeRune(inside[i:])
		}
		if !unicode.IsSpace(r) {
			return false
		}
		i += n
	}
	return true
}
