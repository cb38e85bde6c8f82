// Package mapping makes a RudderStack message of a Braze event, bytes to
// bytes. It follows the table of RudderStack's own Braze source (observed on
// transformer 1.145) but loses nothing: properties leave byte for byte, only
// the eight properties that have a place of their own in the message move.
package mapping

import (
	"cmp"
	"errors"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/drift"
	"github.com/currentsbridge/currentsbridge/internal/jsonlex"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// Mapper maps events. It is safe for concurrent use.
type Mapper struct {
	webhook         bool
	identify, alias bool
	names           *names    // nil: as Braze names them
	filter          *filter   // nil: everything leaves
	personal        *personal // nil: nothing is changed
	shapes          *shapes   // nil: drift is not counted
	drift           *drift.Watch
}

// New returns a Mapper, or an error that names everything in opts that is
// wrong: an OptionError for each mistake, joined.
func New(opts Options) (*Mapper, error) {
	g := cmp.Or(opts.Glossary, &schemas.Glossary{})
	var wrong mistakes
	known := newShapes(g)
	m := &Mapper{
		webhook: opts.Webhook, identify: opts.Identify, alias: opts.Alias,
		names:    newNames(opts.Names, g, &wrong),
		filter:   newFilter(opts.Filter, &wrong),
		personal: newPersonal(opts.Personal, g, known, &wrong),
		drift:    opts.Drift,
	}
	if m.drift != nil {
		m.shapes = known
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	return m, nil
}

// Plain returns the Mapper of the zero Options: it maps as RudderStack's own
// Braze source does.
func Plain() *Mapper { return &Mapper{} }

// Keeps reports whether an event leaves: the filter lets it through, and where a
// user id is dropped, it has another one. What is no object leaves, so that it
// becomes a dead letter where it is mapped. event is as AppendMessage takes it.
func (m *Mapper) Keeps(event []byte) bool {
	return (m.filter == nil || m.filter.keeps(event)) && (m.personal == nil || m.personal.leavesIdentity(event, m.webhook))
}

// Append appends what RudderStack gets of one event to dst: its message, or
// with Options.Webhook the event itself as the rules for personal data leave it.
func (m *Mapper) Append(dst, event []byte, fallbackID string) []byte {
	if !m.webhook {
		return m.AppendMessage(dst, event, fallbackID)
	}
	if m.personal != nil {
		dst, drifts := m.personal.append(dst, event)
		m.look(event, typeOf(event), drifts, 0)
		return dst
	}
	if m.shapes != nil {
		var e fields
		e.read(event, m.shapes)
		m.look(event, e.eventType, e.drifts, 0)
	}
	return append(dst, event...)
}

// look counts the drift of an event as Braze sent it, where there may be some,
// and what is redacted in it.
func (m *Mapper) look(event, eventType []byte, drifts bool, missing redactions) {
	if m.shapes != nil && (drifts || missing != 0) {
		m.shapes.note(m.drift, event, eventType, drifts, missing)
	}
}

// The parts of every message. The order of its keys is that of RudderStack's
// source: context, integrations, type, event, messageId, anonymousId, userId,
// traits, timestamp, properties.
const (
	head   = `{"context":{"library":{"name":"unknown","version":"unknown"},"integration":{"name":"Braze"}`
	middle = `},"integrations":{"Braze":false},"type":`
)

// AppendMessage appends one RudderStack message to dst and returns it: a track
// call, or what Options.Identify and Options.Alias make of their event types.
// event is a JSON object that currents.Batch.Scan has found valid; of duplicate
// keys the last one counts. fallbackID is the messageId of an event that has no
// usable id (a string that is not blank, or a number other than 0); where that
// is empty too, the message has none and RudderStack gives it one.
//
// A value keeps its JSON type and its bytes, apart from a numeric id, which
// becomes text, the time, and what Options change. null never sets a field; "",
// 0 and false do. properties that is no object, and not null, is passed on as
// it is. Keys of the event and of user that the table does not name are not
// carried. What Braze has redacted is no value of an id, of a trait or of the
// advertising id.
//
// AppendMessage allocates only to grow dst, for keys and types of more than 64
// bytes that are written with escapes, for names that a pattern gives to types
// that are not in the glossary, for a time that is ISO text, for many duplicate
// keys of properties, and where it counts drift. The message of zero Options is at most
// len(event)+len(fallbackID)*6+512 bytes long; a hash adds 66 bytes at most.
// With rules for personal data dst grows by the size of the event in between.
func (m *Mapper) AppendMessage(dst, event []byte, fallbackID string) []byte {
	var e fields
	if m.personal == nil {
		e.read(event, m.shapes)
		dst = m.appendMessage(dst, &e, fallbackID)
		m.look(event, e.eventType, e.drifts, e.redacted)
		return dst
	}
	start := len(dst)
	dst, drifts := m.personal.append(dst, event)
	end := len(dst)
	e.read(dst[start:end], nil)
	dst = m.appendMessage(dst, &e, fallbackID)
	m.look(event, e.eventType, drifts, e.redacted)
	return append(dst[:start], dst[end:]...)
}

func (m *Mapper) appendMessage(dst []byte, e *fields, fallbackID string) []byte {
	e.redact()
	dst = append(dst, head...)
	dst = e.appendContext(dst)
	dst = append(dst, middle...)
	if m.identify && e.isType(profileUpdate) {
		dst = append(dst, `"identify"`...)
		dst = e.appendIDs(dst, fallbackID)
		dst = appendTimestamp(dst, e.time)
		dst = e.appendProfile(dst)
		return append(dst, '}')
	}
	if m.alias && e.isType(userOrphan) {
		if id, previous, ok := e.aliasIDs(); ok {
			dst = append(dst, `"alias"`...)
			dst = appendMember(dst, `,"previousId":`, previous)
			e.externalUserID = id
			return e.appendRest(dst, fallbackID)
		}
	}
	dst = append(dst, `"track"`...)
	if m.names != nil && present(e.eventType) {
		dst = m.names.append(append(dst, `,"event":`...), e.eventType)
	} else {
		dst = appendMember(dst, `,"event":`, e.eventType)
	}
	return e.appendRest(dst, fallbackID)
}

// appendRest appends what follows the event's name.
func (e *fields) appendRest(dst []byte, fallbackID string) []byte {
	dst = e.appendIDs(dst, fallbackID)
	dst = e.appendTraits(dst)
	dst = appendTimestamp(dst, e.time)
	dst = e.appendProperties(dst)
	return append(dst, '}')
}

func (e *fields) appendIDs(dst []byte, fallbackID string) []byte {
	dst = appendMessageID(dst, e.id, fallbackID)
	dst = appendMember(dst, `,"anonymousId":`, e.userID)
	return appendMember(dst, `,"userId":`, e.externalUserID)
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
		return jsonlex.AppendString(dst, fallback)
	}
	dst = append(dst, `,"messageId":`...)
	if id[0] == '"' {
		return append(dst, id...)
	}
	dst = append(dst, '"')
	dst = append(dst, id...)
	return append(dst, '"')
}
