package brazesource

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/currentsbridge/currentsbridge/mockrudder/internal/jsonscan"
)

// plainEvent holds the parts of an event whose names mean nothing to JavaScript
// but themselves, as raw JSON values, "" where they are missing. Nearly every
// event that Braze sends is one. It is mapped without a model of its objects;
// the result is that of Mapper.message.
type plainEvent struct {
	eventType, time  string
	user, properties bool
	mapped           [len(mapped)]string // by place in mapped
	others           []member            // of properties
	room             [24]member
}

// member is a property: its key in its quotes, and its value.
type member struct{ key, value string }

// mostPlain is how many properties are held against each other to find one
// that is given twice.
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

// plain appends the message of an event, whose text is valid JSON. It is not ok
// where the event is not plain; made is false where it is left out.
func (m *Mapper) plain(out []byte, event string) (message []byte, made, ok bool) {
	var p plainEvent
	p.others = p.room[:0]
	if !p.read(event) || !isText(p.eventType) || !idOrNone(p.mapped[toUserID]) || !idOrNone(p.mapped[toAnonymousID]) {
		return out, false, false
	}
	name, err := m.name(decodeString(p.eventType))
	text, isText := name.(string)
	seconds, timed := wholeSeconds(p.time)
	if err != nil || !isText || text == "" || !timed {
		return out, false, false
	}
	if !p.identifies(toUserID) && !p.identifies(toAnonymousID) {
		return out, false, true
	}
	out = append(out, `{"context":{"library":{"name":"unknown","version":"unknown"},"integration":{"name":"Braze"}`...)
	out = p.appendContext(out)
	out = append(out, `},"integrations":{"Braze":false},"type":"track","event":`...)
	out = appendString(out, text)
	out = p.append(out, ',', "messageId", toMessageID)
	out = p.append(out, ',', "anonymousId", toAnonymousID)
	out = p.append(out, ',', "userId", toUserID)
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
	return append(out, '}'), true, true
}

// read takes the event apart, and says whether it is plain.
func (p *plainEvent) read(event string) bool {
	w := jsonscan.Walker{Text: event}
	return w.Members(0, 0, func(quoted string, start int) int {
		end, key := w.Value(start, 0), quoted[1:len(quoted)-1]
		if strings.ContainsAny(key, `.\`) {
			return jsonscan.Bad
		}
		value, ok := event[start:end], true
		switch key {
		case "event_type":
			ok = once(&p.eventType, value)
		case "id":
			ok = once(&p.mapped[toMessageID], value)
		case "time":
			ok = once(&p.time, value)
		case "user":
			ok, p.user = !p.user && p.readUser(value), true
		case "properties":
			ok, p.properties = !p.properties && p.readProperties(value), true
		}
		if !ok {
			return jsonscan.Bad
		}
		return end
	}) != jsonscan.Bad
}

func (p *plainEvent) readUser(object string) bool {
	if object[0] != '{' {
		return false
	}
	w := jsonscan.Walker{Text: object}
	return w.Members(0, 0, func(quoted string, start int) int {
		end, place := w.Value(start, 0), -1
		switch quoted {
		case `"user_id"`:
			place = toAnonymousID
		case `"external_user_id"`:
			place = toUserID
		case `"device_id"`:
			place = toDeviceID
		case `"timezone"`:
			place = toTimezone
		}
		if strings.Contains(quoted, `\`) || place >= 0 && !once(&p.mapped[place], object[start:end]) {
			return jsonscan.Bad
		}
		return end
	}) != jsonscan.Bad
}

func (p *plainEvent) readProperties(object string) bool {
	if object[0] != '{' {
		return false
	}
	w := jsonscan.Walker{Text: object}
	return w.Members(0, 0, func(quoted string, start int) int {
		end := w.Value(start, 0)
		value, key := object[start:end], quoted[1:len(quoted)-1]
		if !plainName(key) {
			return jsonscan.Bad
		}
		if place := placeOf(key); place >= 0 {
			if !once(&p.mapped[place], value) {
				return jsonscan.Bad
			}
			return end
		}
		if len(p.others) == mostPlain {
			return jsonscan.Bad
		}
		for i := range p.others {
			if p.others[i].key == quoted {
				return jsonscan.Bad
			}
		}
		p.others = append(p.others, member{quoted, value})
		return end
	}) != jsonscan.Bad
}

// placeOf is the place in mapped of a property, -1 for the others.
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

// once sets a field, and says whether it was the first time.
func once(field *string, value string) bool {
	first := *field == ""
	*field = value
	return first
}

// plainName says whether a key means itself as a path, and stands in its place
// among the keys.
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

// idOrNone says whether an id is text, or one that counts as none.
func idOrNone(raw string) bool { return raw == "" || raw == "null" || raw[0] == '"' }

func decodeString(raw string) string {
	p := parser{s: raw}
	return p.string()
}

// wholeSeconds reads a time that is a plain number of the years up to 9999. A
// missing one is 0.
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

// identifies says whether an id is more than an empty text.
func (p *plainEvent) identifies(place int) bool { return p.sets(place) && p.mapped[place] != `""` }

// sets says whether a mapped field is written.
func (p *plainEvent) sets(place int) bool {
	return p.mapped[place] != "" && p.mapped[place] != "null"
}

// append appends a mapped field that sets something, with what stands before it.
func (p *plainEvent) append(out []byte, before byte, name string, place int) []byte {
	if !p.sets(place) {
		return out
	}
	out = append(append(append(out, before, '"'), name...), `":`...)
	return appendValue(out, p.mapped[place])
}

// appendGroup appends an object of those of the fields that set something, or
// nothing where none does.
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

// appendContext appends the mapped fields of the context. The device comes
// where the first of its fields does.
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

// appendValue appends a JSON value as JavaScript would write what it read.
func appendValue(out []byte, raw string) []byte {
	switch c := raw[0]; {
	case c == '"':
		if strings.IndexByte(raw, '\\') < 0 && utf8.ValidString(raw) {
			return append(out, raw...)
		}
		return appendString(out, decodeString(raw))
	case c == 't' || c == 'f' || c == 'n' || shortWhole(raw):
		return append(out, raw...)
	}
	p := parser{s: raw}
	w := writer{out: out, limit: math.MaxInt}
	w.value(p.value())
	return w.out
}

// shortWhole says whether a number is one that float64 holds and JavaScript
// writes as it stands.
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
