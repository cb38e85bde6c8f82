// Package sourceloss judges what RudderStack's own Braze source, which maps the
// events in webhook mode, would lose of an event. In events mode nothing of it
// matters: the bridge sends finished messages there and keeps every byte.
//
// What "dropped", "refused" and "changed" mean here are observed facts about
// server 1.83 and transformer 1.145. The source is JavaScript, and reads keys of
// properties as paths.
package sourceloss

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
)

// The reasons of Loss, beside those of currents.Event.Problem, as they appear in
// the status, the metrics and the dead letters.
const (
	// UnsafeKey: a key of properties, read as a path, has a segment __proto__,
	// constructor or prototype, or leads where JavaScript throws; or the event type
	// or the time cannot become text. The event is dropped silently.
	UnsafeKey currents.Reason = "unsafe_key"
	// Nul: a \u0000 escape is somewhere in the event. RudderStack answers 400 for
	// the whole request.
	Nul currents.Reason = "nul"
	// LargeIndex: a path of properties has an index of a million or more. The source
	// fills an array up to it, for seconds, and closes the connection.
	LargeIndex currents.Reason = "large_index"
	// TooDeep: the event is nested deeper than 4,000 levels. The source answers 500
	// to it and to what comes at the same time.
	TooDeep currents.Reason = "too_deep"
)

// Loss is what the source would make of an event, beyond the plain mapping.
type Loss struct {
	// Reason is why the event must not be sent: it would be dropped, refused or harm
	// other events. Empty: it arrives.
	Reason currents.Reason
	// Changed: something else would arrive than what was sent, such as a value moved
	// by a key that is read as a path, a rounded number, or a trimmed id.
	Changed bool
}

// Of judges one event, a raw JSON value that is valid and has no white space
// before it.
func Of(event []byte) Loss {
	if len(event) == 0 || event[0] != '{' {
		return Loss{Reason: currents.NotAnObject}
	}
	var m members
	m.read(event)
	text, id, name := event, m.id, m.eventType
	if bytes.IndexByte(event, '\\') >= 0 {
		var buf [2048]byte
		text = currents.AppendUnescaped(buf[:0], event)
		m.nul = bytes.IndexByte(text, 0) >= 0
		id, name = unescaped(id), unescaped(name)
	}
	return Loss{
		Reason: m.reason(),
		// JavaScript replaces half of a surrogate pair, and what is no UTF-8.
		Changed: m.changed || m.properties.changed || !utf8.Valid(text) || changesID(id) || inherited(name),
	}
}

// unescaped returns a raw string with its escapes undone, still in quotes.
func unescaped(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 || raw[0] != '"' {
		return raw
	}
	text, _ := currents.AppendText([]byte{'"'}, raw)
	return append(text, '"')
}

// maxDepth is how deep an event may be nested: 4,000 levels are taken, 6,000
// answered with 500.
const maxDepth = 4000

// members is what an event has. Of duplicate keys the last one counts.
type members struct {
	eventType, time, id, userID, externalID []byte
	// Values of keys that are the whole path to an id, which the source reads first.
	literalUser, literalExternal []byte
	literalLength                bool // a key such as properties.length
	properties                   properties
	changed, nul, deep           bool
}

func (m *members) reason() currents.Reason {
	user, external := m.userID, m.externalID
	if m.literalUser != nil {
		user = m.literalUser
	}
	if m.literalExternal != nil {
		external = m.literalExternal
	}
	switch {
	case currents.Falsy(m.eventType):
		return currents.NoEventType
	case !identity(user) && !identity(external):
		return currents.NoIdentity
	case m.properties.throws(m.literalLength) || hidesToString(m.time, 0) || hidesToString(m.eventType, 0):
		return UnsafeKey
	case m.nul:
		return Nul
	case m.properties.largeIndex:
		return LargeIndex
	case m.deep:
		return TooDeep
	}
	return ""
}

// identity reports whether the source takes a value for an identity. It knows
// nothing of redacted values.
func identity(raw []byte) bool { return currents.UsableIdentity(raw) || currents.Redacted(raw) }

func (m *members) read(event []byte) {
	for f := currents.Fields(event); f.Next(); {
		switch key := f.PlainKey(nil); string(key) {
		case "event_type":
			m.eventType = m.value(&f, 1)
		case "id":
			m.id = m.value(&f, 1)
		case "time":
			m.time = m.value(&f, 1)
		case "user":
			m.readUser(&f)
		case "properties":
			m.readProperties(&f)
		default:
			m.literalPath(key, m.value(&f, 1))
		}
	}
}

func (m *members) readUser(f *currents.FieldIterator) {
	m.userID, m.externalID = nil, nil
	inner := f.Inner()
	for inner.Next() {
		switch value := m.value(&inner, 2); string(inner.PlainKey(nil)) {
		case "user_id":
			m.userID = value
		case "external_user_id":
			m.externalID = value
		}
	}
	f.Leave(&inner)
}

func (m *members) readProperties(f *currents.FieldIterator) {
	m.properties = properties{}
	if !f.Object() {
		value := m.value(f, 1)
		empty := value[0] == '[' && len(bytes.TrimSpace(value[1:])) == 1
		m.properties.changed = value[0] != 'n' && (value[0] != '[' || empty)
		return
	}
	inner := f.Inner()
	for inner.Next() {
		value := m.value(&inner, 2)
		if value[0] == '{' || value[0] == '[' {
			m.properties.nested = true
		}
		if key := inner.Key(); inner.Escaped() || unusual(key) {
			m.properties.read(inner.PlainKey(nil), value)
		}
	}
	f.Leave(&inner)
}

// literalPath judges a key of the event that the source reads in place of the
// value at that path.
func (m *members) literalPath(key, value []byte) {
	user := bytes.HasPrefix(key, []byte("user."))
	if !user && !bytes.HasPrefix(key, []byte("properties.")) {
		return
	}
	m.changed = true
	m.literalLength = m.literalLength || bytes.Contains(key, []byte(".length"))
	switch string(key) {
	case "user.user_id":
		m.literalUser = value
	case "user.external_user_id":
		m.literalExternal = value
	}
}

// value returns the value of a member, which stands outside levels deep in the
// event, and looks at its numbers and its depth.
func (m *members) value(f *currents.FieldIterator, outside int) []byte {
	value := f.Value()
	switch value[0] {
	case '"', 't', 'f', 'n':
	case '{', '[':
		m.nested(value, outside)
	default:
		m.changed = m.changed || changesNumber(value)
	}
	return value
}

func (m *members) nested(value []byte, depth int) {
	for i := 0; i < len(value); {
		switch c := value[i]; {
		case c == '{' || c == '[':
			depth++
			m.deep = m.deep || depth > maxDepth
			i++
		case c == '}' || c == ']':
			depth--
			i++
		case c == '"':
			i = currents.ValueEnd(value, i)
		case c == '-' || '0' <= c && c <= '9':
			end := currents.ValueEnd(value, i)
			m.changed = m.changed || changesNumber(value[i:end])
			i = end
		default:
			i++
		}
	}
}

// safeDigits is how many digits a number without an exponent may have that always
// survives a trip through a float64.
const safeDigits = 15

// changesNumber reports whether a number comes out of a float64 as another one,
// and so is rounded, or null where it is too large.
func changesNumber(raw []byte) bool {
	if len(raw) <= safeDigits && bytes.IndexByte(raw, 'e') < 0 && bytes.IndexByte(raw, 'E') < 0 {
		return false
	}
	if !bytes.ContainsAny(raw, ".eE") {
		n, err := strconv.ParseInt(string(raw), 10, 64)
		return err != nil || n < -1<<53 || n > 1<<53
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return true // out of range
	}
	var buf [32]byte
	return !currents.SameNumber(raw, strconv.AppendFloat(buf[:0], f, 'e', -1, 64))
}

// changesID reports whether the source replaces or trims an id: one that is there
// and no string, or is blank, or has white space at its ends.
func changesID(id []byte) bool {
	if len(id) == 0 || id[0] == 'n' {
		return false
	}
	return id[0] != '"' || len(id) == 2 || len(bytes.TrimSpace(id[1:len(id)-1])) != len(id)-2
}

// inherited reports whether an event type is the name of something that every
// JavaScript object has, which the source's lookup of its mapping finds. The name
// is lost.
func inherited(eventType []byte) bool {
	if len(eventType) < 2 || eventType[0] != '"' {
		return false
	}
	name := eventType[1 : len(eventType)-1]
	return isMethod(name) || string(name) == "constructor" || string(name) == "__proto__"
}
