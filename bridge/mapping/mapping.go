// Package mapping makes a RudderStack message of a Braze event, bytes to
// bytes. It follows the table of RudderStack's own Braze source (observed on
// transformer 1.145) but loses nothing: properties leave byte for byte, only
// the eight properties that have a place of their own in the message move.
package mapping

import (
	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/drift"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// Mapper maps events. It is safe for concurrent use.
type Mapper struct {
	opts   Options
	shapes *shapes
	drift  *drift.Watch
}

// New returns a Mapper, or an error that names everything in opts that is wrong.
func New(opts Options) (*Mapper, error) {
	m := &Mapper{opts: opts}
	if opts.Drift != nil {
		g, _ := schemas.Load()
		m.shapes = newShapes(g)
		m.drift = opts.Drift
	}
	return m, nil
}

// Plain returns the Mapper of the zero Options: it maps as RudderStack's own
// Braze source does.
func Plain() *Mapper { return &Mapper{} }

// Keeps tells whether the connector's filter lets an event through.
func (m *Mapper) Keeps(event []byte) bool { return true }

// Append appends what RudderStack gets of one event to dst: its message, or
// with Options.Webhook the event itself as the rules for personal data leave it.
func (m *Mapper) Append(dst, event []byte, fallbackID string) []byte {
	if m.opts.Webhook {
		return append(dst, event...)
	}
	return m.AppendMessage(dst, event, fallbackID)
}

// The parts of every message. The order of its keys is that of RudderStack's
// source: context, integrations, type, event, messageId, anonymousId, userId,
// traits, timestamp, properties.
const (
	head   = `{"context":{"library":{"name":"unknown","version":"unknown"},"integration":{"name":"Braze"}`
	middle = `},"integrations":{"Braze":false},"type":"track"`
)

// AppendMessage appends one RudderStack track message to dst and returns it.
// event is a JSON object that currents.Batch.Scan has found valid; of duplicate
// keys the last one counts. fallbackID is the messageId of an event that has no
// usable id (a string that is not blank, or a number other than 0); where that
// is empty too, the message has none and RudderStack gives it one.
//
// A value keeps its JSON type and its bytes, apart from a numeric id, which
// becomes text, and the time. null never sets a field; "", 0 and false do.
// properties that is no object, and not null, is passed on as it is. Keys of
// the event and of user that the table does not name are not carried.
//
// AppendMessage allocates only to grow dst; the message is at most
// len(event)+len(fallbackID)*6+512 bytes long.
func (m *Mapper) AppendMessage(dst, event []byte, fallbackID string) []byte {
	var e fields
	e.read(event, m.shapes)
	if m.shapes != nil && e.odd {
		m.shapes.note(m.drift, event)
	}
	dst = append(dst, head...)
	dst = e.appendContext(dst)
	dst = append(dst, middle...)
	dst = appendMember(dst, `,"event":`, e.eventType)
	dst = appendMessageID(dst, e.id, fallbackID)
	dst = appendMember(dst, `,"anonymousId":`, e.userID)
	dst = appendMember(dst, `,"userId":`, e.externalUserID)
	dst = e.appendTraits(dst)
	dst = appendTimestamp(dst, e.time)
	dst = e.appendProperties(dst)
	return append(dst, '}')
}

// appendMember appends a key, given with its comma and colon, and a raw value,
// unless that is absent or null.
func appendMember(dst []byte, key string, value []byte) []byte {
	if !present(value) {
		return dst
	}
	dst = append(dst, key...)
	return append(dst, value...)
}

// present reports whether a raw value is there and not null.
func present(value []byte) bool { return len(value) > 0 && value[0] != 'n' }

// object opens an object at its first member and closes it if it was opened.
type object struct {
	open  string // the key, with its comma, colon and brace
	began bool
}

func (o *object) append(dst []byte, key string, value []byte) []byte {
	if !present(value) {
		return dst
	}
	if o.began {
		dst = append(dst, ',')
	} else {
		dst = append(dst, o.open...)
		o.began = true
	}
	dst = append(dst, key...)
	return append(dst, value...)
}

func (o *object) close(dst []byte) []byte {
	if o.began {
		dst = append(dst, '}')
	}
	return dst
}

func (e *fields) appendContext(dst []byte) []byte {
	device := object{open: `,"device":{`}
	dst = device.append(dst, `"id":`, e.deviceID)
	dst = device.append(dst, `"model":`, e.moved[deviceModel])
	dst = device.append(dst, `"advertisingId":`, e.moved[adID])
	dst = device.append(dst, `"adTrackingEnabled":`, e.moved[adTracking])
	dst = device.close(dst)
	os := object{open: `,"os":{`}
	dst = os.append(dst, `"version":`, e.moved[osVersion])
	dst = os.append(dst, `"name":`, e.moved[platform])
	dst = os.close(dst)
	dst = appendMember(dst, `,"timezone":`, e.timezone)
	return appendMember(dst, `,"userAgent":`, e.moved[userAgent])
}

func (e *fields) appendTraits(dst []byte) []byte {
	traits := object{open: `,"traits":{`}
	dst = traits.append(dst, `"email":`, e.moved[email])
	dst = traits.append(dst, `"phone":`, e.moved[phone])
	return traits.close(dst)
}

func appendMessageID(dst, id []byte, fallback string) []byte {
	if !currents.UsableID(id) {
		if fallback == "" {
			return dst
		}
		dst = append(dst, `,"messageId":`...)
		return appendString(dst, fallback)
	}
	dst = append(dst, `,"messageId":`...)
	if id[0] == '"' {
		return append(dst, id...)
	}
	dst = append(dst, '"')
	dst = append(dst, id...)
	return append(dst, '"')
}

// appendString appends text as a JSON string.
func appendString(dst []byte, text string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, `\u00`...)
			dst = append(dst, hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
