package brazesource

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/currentsbridge/currentsbridge/internal/jsonlex"
)

// plainEvent is an event without names that JavaScript or a path gives a special
// meaning: its parts as JSON, "" if missing. Nearly every event of Braze is one. It is
// mapped without a model of JavaScript's objects, which is faster; the result is that
// of Mapper.message.
type plainEvent struct {
	eventType, time  string
	user, properties bool
	mapped           [len(mapped)]string // by place in mapped
	others           []member            // of properties
}

// member is a property: its key in its quotes, and its value.
type member struct{ key, value string }

// mostPlain is how many properties a plain event has at most, as each is compared with
// all others to find duplicates.
const mostPlain = 64

// The places in mapped.
const (
	toMessageID = iota
	toAnonymousID
	toUserID
	toDeviceID
	toTimezone
	toDeviceModel
	toOSVersion
	toOSName
	toEmail
	toPhone
	toUserAgent
	toAdvertisingID
	toAdTracking
)

// plain appends the message of an event, or nothing if the event is dropped, and notes
// where its parts are. It is not ok if the event is not plain.
func (m *Mapper) plain(out []byte, p *plainEvent, at *made) (message []byte, ok bool) {
	if !isText(p.eventType) || !idOrNone(p.mapped[toUserID]) || !idOrNone(p.mapped[toAnonymousID]) {
		return out, false
	}
	name, err := m.name(parseString(p.eventType))
	text, isText := name.(string)
	seconds, timed := wholeSeconds(p.time)
	if err != nil || !isText || text == "" || !timed {
		return out, false
	}
	if !p.identifies(toUserID) && !p.identifies(toAnonymousID) {
		return out, true
	}
	out = append(out, `{"context":{"library":{"name":"unknown","version":"unknown"},"integration":{"name":"Braze"}`...)
	out = p.appendContext(out)
	out = append(out, `},"integrations":{"Braze":false},"type":"track","event":`...)
	at.event.start = len(out)
	out = appendString(out, text)
	at.event.end = len(out)
	out, at.messageID = p.appendID(out, `,"messageId":`, toMessageID)
	out, at.anonymousID = p.appendID(out, `,"anonymousId":`, toAnonymousID)
	out, at.userID = p.appendID(out, `,"userId":`, toUserID)
	out = p.appendGroup(out, "traits", []int{toEmail, toPhone}, "email", "phone")
	if seconds != 0 {
		out = append(out, `,"timestamp":"`...)
		out = time.Unix(seconds, 0).UTC().AppendFormat(out, "2006-01-02T15:04:05.000Z")
		out = append(out, '"')
	}
	opening := `,"properties":{`
	for _, other := range p.others {
		out = append(out, opening...)
		out = append(append(out, other.key...), ':')
		out = appendValue(out, other.value)
		opening = ","
	}
	if len(p.others) > 0 {
		out = append(out, '}')
	}
	return append(out, '}'), true
}

// read reads the event that starts at i and returns the index behind it, or
// jsonlex.Bad if it is not plain or malformed.
func (p *plainEvent) read(w *jsonlex.Walker, i int) (end int) {
	*p = plainEvent{others: p.others[:0]}
	return w.Members(i, 0, func(quoted string, start int) int {
		key := quoted[1 : len(quoted)-1]
		if strings.IndexByte(key, '.') >= 0 || strings.IndexByte(key, '\\') >= 0 || start >= len(w.Text) {
			return jsonlex.Bad
		}
		var field *string
		switch key {
		case "user":
			if p.user || w.Text[start] != '{' {
				return jsonlex.Bad
			}
			p.user = true
			return p.readUser(w, start)
		case "properties":
			if p.properties || w.Text[start] != '{' {
				return jsonlex.Bad
			}
			p.properties = true
			return p.readProperties(w, start)
		case "event_type":
			field = &p.eventType
		case "id":
			field = &p.mapped[toMessageID]
		case "time":
			field = &p.time
		}
		return readOnce(w, start, 1, field)
	})
}

// readOnce reads a value into a field, nil for none, and returns the index behind it,
// or jsonlex.Bad if the field has a value.
func readOnce(w *jsonlex.Walker, start, depth int, field *string) (end int) {
	end = w.Value(start, depth)
	if field == nil || end == jsonlex.Bad {
		return end
	}
	if *field != "" {
		return jsonlex.Bad
	}
	*field = w.Text[start:end]
	return end
}

func (p *plainEvent) readUser(w *jsonlex.Walker, i int) (end int) {
	return w.Members(i, 1, func(quoted string, start int) int {
		if strings.IndexByte(quoted, '\\') >= 0 {
			return jsonlex.Bad
		}
		var field *string
		switch quoted {
		case `"user_id"`:
			field = &p.mapped[toAnonymousID]
		case `"external_user_id"`:
			field = &p.mapped[toUserID]
		case `"device_id"`:
			field = &p.mapped[toDeviceID]
		case `"timezone"`:
			field = &p.mapped[toTimezone]
		}
		return readOnce(w, start, 2, field)
	})
}

func (p *plainEvent) readProperties(w *jsonlex.Walker, i int) (end int) {
	return w.Members(i, 1, func(quoted string, start int) int {
		key := quoted[1 : len(quoted)-1]
		if !plainName(key) {
			return jsonlex.Bad
		}
		if place := placeOf(key); place >= 0 {
			return readOnce(w, start, 2, &p.mapped[place])
		}
		end := w.Value(start, 2)
		if end == jsonlex.Bad || len(p.others) == mostPlain || slices.ContainsFunc(p.others, func(m member) bool { return m.key == quoted }) {
			return jsonlex.Bad
		}
		p.others = append(p.others, member{quoted, w.Text[start:end]})
		return end
	})
}

// placeOf is the index in mapped of a property, or -1.
func placeOf(property string) int {
	switch property {
	case "device_model":
		return toDeviceModel
	case "os_version":
		return toOSVersion
	case "platform":
		return toOSName
	case "email_address":
		return toEmail
	case "to_phone_number":
		return toPhone
	case "user_agent":
		return toUserAgent
	case "ad_id":
		return toAdvertisingID
	case "ad_tracking_enabled":
		return toAdTracking
	}
	return -1
}

// plainName says whether a key is used as it is as a path, and keeps its place among
// the keys.
func plainName(key string) bool {
	if key == "" || !letter(key[0]) || key == "Infinity" || unsafe(key) {
		return false
	}
	for i := range len(key) {
		if c := key[i]; c == '.' || c == '/' || c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c == '$' }

func isText(raw string) bool { return len(raw) > len(`""`) && raw[0] == '"' }

// idOrNone says whether an id is a string, null or missing.
func idOrNone(raw string) bool { return raw == "" || raw == "null" || raw[0] == '"' }

// wholeSeconds reads a time that is a whole number of at most 11 digits. A missing one
// is 0.
func wholeSeconds(raw string) (seconds int64, ok bool) {
	const digits = 11 // the year 5138
	if raw == "" || raw == "null" {
		return 0, true
	}
	if raw[0] < '1' || raw[0] > '9' || len(raw) > digits {
		return 0, false
	}
	seconds, err := strconv.ParseInt(raw, 10, 64)
	return seconds, err == nil
}

// identifies says whether an id is set and not empty.
func (p *plainEvent) identifies(place int) bool { return p.sets(place) && p.mapped[place] != `""` }

// sets says whether a mapped field is written.
func (p *plainEvent) sets(place int) bool {
	return p.mapped[place] != "" && p.mapped[place] != "null"
}

// append appends a mapped field, if it is written, after a separator and its name.
func (p *plainEvent) append(out []byte, before byte, name string, place int) []byte {
	if !p.sets(place) {
		return out
	}
	out = append(append(append(out, before, '"'), name...), `":`...)
	return appendValue(out, p.mapped[place])
}

// appendID appends a mapped field, if it is written, and returns where its value is.
func (p *plainEvent) appendID(out []byte, name string, place int) ([]byte, span) {
	if !p.sets(place) {
		return out, span{}
	}
	out = append(out, name...)
	start := len(out)
	out = appendValue(out, p.mapped[place])
	return out, span{start, len(out)}
}

// appendGroup appends an object of those fields that are written, or nothing without
// any.
func (p *plainEvent) appendGroup(out []byte, name string, places []int, names ...string) []byte {
	before := byte('{')
	for i, place := range places {
		if !p.sets(place) {
			continue
		}
		if before == '{' {
			out = append(append(append(out, `,"`...), name...), `":`...)
		}
		out = p.append(out, before, names[i], place)
		before = ','
	}
	if before == ',' {
		out = append(out, '}')
	}
	return out
}

// appendContext appends the mapped fields of the context. The device is at the place
// of its first field.
func (p *plainEvent) appendContext(out []byte) []byte {
	device := func() {
		out = p.appendGroup(out, "device", []int{toDeviceID, toDeviceModel, toAdvertisingID, toAdTracking},
			"id", "model", "advertisingId", "adTrackingEnabled")
	}
	if p.sets(toDeviceID) {
		device()
	}
	out = p.append(out, ',', "timezone", toTimezone)
	if !p.sets(toDeviceID) && p.sets(toDeviceModel) {
		device()
	}
	out = p.appendGroup(out, "os", []int{toOSVersion, toOSName}, "version", "name")
	out = p.append(out, ',', "userAgent", toUserAgent)
	if !p.sets(toDeviceID) && !p.sets(toDeviceModel) {
		device()
	}
	return out
}

// appendValue appends a JSON value as JavaScript writes what it has read.
func appendValue(out []byte, raw string) []byte {
	switch c := raw[0]; {
	case c == '"':
		if strings.IndexByte(raw, '\\') < 0 && utf8.ValidString(raw) {
			return append(out, raw...)
		}
		return appendString(out, parseString(raw))
	case c == 't' || c == 'f' || c == 'n' || shortWhole(raw):
		return append(out, raw...)
	}
	w := writer{out: out, limit: math.MaxInt}
	w.value(parseValid(raw))
	return w.out
}

// shortWhole says whether a number is one that JavaScript writes as it was read.
func shortWhole(raw string) bool {
	const exact = 15 // digits
	if len(raw) > exact || raw == "-0" {
		return false
	}
	for i := range len(raw) {
		if (raw[i] < '0' || raw[i] > '9') && (raw[i] != '-' || i > 0) {
			return false
		}
	}
	return true
}
