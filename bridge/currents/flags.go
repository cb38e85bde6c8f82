package currents

import (
	"bytes"
	"unicode/utf8"
)

// Flags say what RudderStack's own Braze source would make of an event, beyond
// the plain mapping. In events mode none of them matters: the bridge sends
// finished messages and keeps every byte.
type Flags uint32

// The kinds of trouble. FlagUnsafeKey, FlagNul, FlagLargeIndex and FlagDeep lose
// the event there; the others change something in it.
const (
	// FlagNul: a \u0000 escape is somewhere in the event's keys or values.
	// RudderStack answers 400 for the whole request.
	FlagNul Flags = 1 << iota
	// FlagUnsafeKey: a key of properties, read as a path, has a segment
	// __proto__, constructor or prototype, or leads where RudderStack's
	// JavaScript throws. The event is dropped silently.
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
	// FlagProperties: properties is neither an object, nor an array with
	// something in it, nor null. It is lost.
	FlagProperties
	// FlagLargeIndex: a path of properties has an index of a million and more. The
	// source fills an array up to it, for seconds, and closes the connection.
	FlagLargeIndex
	// FlagDeep: the event is nested beyond maxDepth. The source answers 500 to it and
	// to what comes at the same time.
	FlagDeep

	// The event has the whole path to an id as one key, which RudderStack
	// reads first, and whether that value is usable.
	flagLiteralPath
	flagLiteralUser
	flagLiteralUserUsable
	flagLiteralExternal
	flagLiteralExternalUsable
	// What makes JavaScript throw where it comes together: paths that make an
	// array, and what may be written to an array's length; properties that are
	// objects or arrays, and paths into an array's functions.
	flagIndex
	flagLength
	flagLiteralLength
	flagNested
	flagArrayFunction
	// The time is something that JavaScript cannot make a string of.
	flagTime
	// A string had an escape, a key a dot or slash; only of use inside a scan.
	flagEscape
	flagPathByte
)

// Flags that mean something during a scan only, and all those that a later
// duplicate of properties makes void.
const (
	inScan       = flagEscape | flagPathByte | flagLiteralLength | flagTime
	inProperties = flagIndex | flagLength | flagNested | flagArrayFunction | FlagLargeIndex
)

// Changed reports whether RudderStack's Braze source would deliver something
// else than what was sent. What it drops or refuses is WebhookProblem's.
func (f Flags) Changed() bool {
	const changes = FlagPathKey | FlagNumber | FlagSurrogate | FlagID | FlagEventType | FlagProperties | flagLiteralPath
	return f&changes != 0
}

// eventFlags draws the conclusions once the whole event was seen.
func eventFlags(flags Flags) Flags {
	length := flags&(flagLength|flagLiteralLength) != 0 && flags&flagIndex != 0
	function := flags&flagArrayFunction != 0 && flags&(flagIndex|flagNested) != 0
	if length || function || flags&flagTime != 0 {
		flags |= FlagUnsafeKey
	}
	return flags &^ (inScan | inProperties&^FlagLargeIndex)
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
	if hidesToString(e.Type, 0) {
		flags |= FlagUnsafeKey
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
	return isMethod(name) || string(name) == "constructor" || string(name) == "__proto__"
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
	if bytes.Contains(key, []byte(".length")) {
		flags |= flagLiteralLength
	}
	return flags | flagLiteralPath
}
