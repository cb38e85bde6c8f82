package currents

import (
	"bytes"
	"math"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// Flags say what RudderStack's own Braze source would make of an event, beyond
// the plain mapping. In events mode none of them matters: the bridge sends
// finished messages and keeps every byte.
type Flags uint16

// The kinds of trouble. FlagUnsafeKey and FlagNul lose the event there; the
// others change something in it.
const (
	// FlagNul: a \u0000 escape is somewhere in the event's keys or values.
	// RudderStack answers 400 for the whole request.
	FlagNul Flags = 1 << iota
	// FlagUnsafeKey: a key of properties, read as a path, has a segment
	// __proto__, constructor or prototype. The event is dropped silently.
	FlagUnsafeKey
	// FlagPathKey: a key of properties is empty, has a dot, slash or
	// backslash, or is a whole number to JavaScript; or a key of the event
	// reads like a path into user or properties. Such keys move values around.
	FlagPathKey
	// FlagNumber: a number that a float64 does not hold, such as an integer
	// beyond 2^53. It is rounded, or null where it is too large.
	FlagNumber
	// FlagSurrogate: half of a UTF-16 surrogate pair, as an escape. It is
	// replaced.
	FlagSurrogate
	// FlagID: the event's id is there but no string, or blank, or has white
	// space at its ends. It is replaced or trimmed.
	FlagID
	// FlagEventType: the event type is the name of something that every
	// JavaScript object has, such as constructor. The name is lost.
	FlagEventType
	// FlagProperties: properties is neither object, array nor null. It is lost.
	FlagProperties

	// The event has the whole path to an id as one key, which RudderStack
	// reads first, and whether that value is usable.
	flagLiteralPath
	flagLiteralUser
	flagLiteralUserUsable
	flagLiteralExternal
	flagLiteralExternalUsable
	// A string had an escape, a key a dot or slash; only of use inside a scan.
	flagEscape
	flagPathByte
)

// Changed reports whether RudderStack's Braze source would deliver something
// else than what was sent. What it drops or refuses is WebhookProblem's.
func (f Flags) Changed() bool {
	const changes = FlagPathKey | FlagNumber | FlagSurrogate | FlagID | FlagEventType | FlagProperties | flagLiteralPath
	return f&changes != 0
}

// ownFlags judges the values that are kept in the event.
func ownFlags(e *Event) (flags Flags) {
	if len(e.ID) > 0 && e.ID[0] != 'n' && !keepsID(e.ID) {
		flags |= FlagID
	}
	if n := len(e.Type); n > 2 && e.Type[0] == '"' {
		name := e.Type[1 : n-1]
		var buf [64]byte
		if n <= 6*longestPrototypeName && bytes.IndexByte(name, '\\') >= 0 {
			name = appendUnescaped(buf[:0], name)
		}
		if onPrototype(name) {
			flags |= FlagEventType
		}
	}
	return flags
}

// keepsID reports whether RudderStack keeps an id as it is: a string that is
// not empty and has no white space at its ends.
func keepsID(raw []byte) bool {
	if raw[0] != '"' || len(raw) == 2 {
		return false
	}
	if !oddEdge[raw[1]] && !oddEdge[raw[len(raw)-2]] && bytes.IndexByte(raw, '\\') < 0 {
		return true
	}
	var buf [64]byte
	text, _ := AppendText(buf[:0], raw)
	return len(bytes.TrimSpace(text)) == len(text)
}

const longestPrototypeName = len("propertyIsEnumerable")

// onPrototype reports whether every JavaScript object has something of that
// name, which RudderStack's lookup of the custom mapping finds.
func onPrototype(name []byte) bool {
	switch string(name) {
	case "constructor", "toString", "toLocaleString", "valueOf", "hasOwnProperty", "isPrototypeOf",
		"propertyIsEnumerable", "__proto__", "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__":
		return true
	}
	return false
}

// oddEdge marks bytes that may be white space or part of it.
var oddEdge = byteSet(func(c byte) bool { return c <= ' ' || c >= utf8.RuneSelf })

// oddKey marks bytes that may begin a key that JavaScript reads as a whole number.
var oddKey = byteSet(func(c byte) bool {
	return c <= ' ' || c >= utf8.RuneSelf || c == '+' || c == '-' || '0' <= c && c <= '9'
})

func byteSet(in func(byte) bool) (set [256]bool) {
	for c := range set {
		set[c] = in(byte(c))
	}
	return set
}

// literalPath notes a key of the event that RudderStack reads in place of the
// value at that path.
func literalPath(flags Flags, key, value []byte) Flags {
	switch {
	case string(key) == "user.user_id":
		flags = flags&^flagLiteralUserUsable | flagLiteralUser
		if usable(value) {
			flags |= flagLiteralUserUsable
		}
	case string(key) == "user.external_user_id":
		flags = flags&^flagLiteralExternalUsable | flagLiteralExternal
		if usable(value) {
			flags |= flagLiteralExternalUsable
		}
	case !bytes.HasPrefix(key, []byte("user.")) && !bytes.HasPrefix(key, []byte("properties.")):
		return flags
	}
	return flags | flagLiteralPath
}

// propertyKey judges a key of properties, escapes undone, as a path.
func propertyKey(key []byte) (flags Flags) {
	if len(key) == 0 {
		return FlagPathKey
	}
	if bytes.ContainsAny(key, `./\`) || wholeNumber(key) {
		flags = FlagPathKey
	}
	if unsafePath(key) {
		flags |= FlagUnsafeKey
	}
	return flags
}

// unsafePath reports whether a segment of the path is a name that RudderStack
// refuses to write. A path with a slash is one key; a backslash takes the next
// character as it is.
func unsafePath(key []byte) bool {
	if bytes.IndexByte(key, '/') >= 0 {
		return false
	}
	var buf [16]byte // longer than any name that matters
	segment := buf[:0]
	for i := 0; i < len(key); i++ {
		c := key[i]
		if c == '.' {
			if unsafeSegment(segment) {
				return true
			}
			segment = buf[:0]
			continue
		}
		if c == '\\' {
			if i++; i == len(key) {
				break
			}
			c = key[i]
		}
		if len(segment) < len(buf) {
			segment = append(segment, c)
		}
	}
	return unsafeSegment(segment)
}

func unsafeSegment(segment []byte) bool {
	switch string(segment) {
	case "__proto__", "constructor", "prototype":
		return true
	}
	return false
}

// wholeNumber reports whether JavaScript's Number reads a key without dots as
// a whole number, as in 1, -1, 0x10, 1e2 or " 7 ".
func wholeNumber(key []byte) bool {
	key = bytes.TrimFunc(key, jsSpace)
	if len(key) > 2 && key[0] == '0' {
		switch key[1] | 0x20 {
		case 'x':
			return allDigits(key[2:], 16)
		case 'o':
			return allDigits(key[2:], 8)
		case 'b':
			return allDigits(key[2:], 2)
		}
	}
	unsigned := key
	if len(key) > 0 && (key[0] == '-' || key[0] == '+') {
		unsigned = key[1:]
	}
	if i := digits(unsigned, 0); i == 0 || i < len(unsigned) && unsigned[i]|0x20 != 'e' {
		return false
	}
	f, err := strconv.ParseFloat(string(key), 64) // no names or underscores get here
	return err == nil && f == math.Trunc(f)
}

func allDigits(text []byte, base int) bool {
	for _, c := range text {
		digit, ok := hexDigit(c)
		if !ok || int(digit) >= base {
			return false
		}
	}
	return true
}

// jsSpace is JavaScript's notion of white space: Unicode's, without the next
// line character and with the byte-order mark.
func jsSpace(r rune) bool {
	return r != 0x85 && (unicode.IsSpace(r) || r == 0xfeff)
}
