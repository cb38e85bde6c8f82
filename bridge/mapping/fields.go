package mapping

import (
	"bytes"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/drift"
)

// The properties that have a place of their own in the message. They never
// stay in its properties, not even when they are null.
const (
	adID = iota
	platform
	osVersion
	userAgent
	deviceModel
	email
	phone
	adTracking
	movedCount
)

const (
	notMoved = -1
	unknown  = -2 // to the glossary, so it may be any
)

func movedIndex(key []byte) int {
	switch string(key) {
	case "ad_id":
		return adID
	case "platform":
		return platform
	case "os_version":
		return osVersion
	case "user_agent":
		return userAgent
	case "device_model":
		return deviceModel
	case "email_address":
		return email
	case "to_phone_number":
		return phone
	case "ad_tracking_enabled":
		return adTracking
	}
	return notMoved
}

// fields holds the raw values of an event that a message is made of; nil is
// absent.
type fields struct {
	eventType, id, time, properties            []byte
	userID, externalUserID, deviceID, timezone []byte

	moved [movedCount][]byte
	cut   bool                // a member of properties moves
	runs  [movedCount + 1]run // those that stay, between those that move
	used  int                 // of runs
	more  []run               // further runs, of properties with many duplicate keys

	shape  *shape // of the event type, where shapes are known and it came first
	drifts bool   // something may not be in the glossary; of use with shapes only

	redacted redactions
}

// redactions is a set of places in a message for which Braze has redacted the
// value: [REDACTED] is the same text for all, and would make one person, or one
// address, of them.
type redactions uint16

// The places, in the order of drift.RedactedFields.
const (
	redactedID redactions = 1 << iota
	redactedUserID
	redactedExternalUserID
	redactedDeviceID
	redactedAdID
	redactedEmail
	redactedPhone
	redactedTrait
)

// names lists the places, as drift.Watch.Redacted takes them.
func (r redactions) names() (list []string) {
	for i, name := range drift.RedactedFields() {
		if r&(1<<i) != 0 {
			list = append(list, name)
		}
	}
	return list
}

// redact takes away what is redacted and would be an id or a trait.
func (e *fields) redact() {
	e.take(&e.id, redactedID)
	e.take(&e.userID, redactedUserID)
	e.take(&e.externalUserID, redactedExternalUserID)
	e.take(&e.deviceID, redactedDeviceID)
	e.take(&e.moved[adID], redactedAdID)
	e.take(&e.moved[email], redactedEmail)
	e.take(&e.moved[phone], redactedPhone)
}

func (e *fields) take(value *[]byte, place redactions) {
	if currents.Redacted(*value) {
		*value, e.redacted = nil, e.redacted|place
	}
}

// run is a run of members of properties that stay: properties[from:to].
type run struct{ from, to int }

// read walks the event once, user and properties in their place. known may be
// nil; else drifts reports whether it is worth a closer look by known.note.
func (e *fields) read(event []byte, known *shapes) {
	var scratch [64]byte // for keys that are written with escapes
	for f := currents.Fields(event); f.Next(); {
		switch string(f.PlainKey(scratch[:0])) {
		case "event_type":
			e.drifts = e.drifts || e.eventType != nil
			e.eventType = f.Value()
			if known != nil {
				e.shape = known.of(e.eventType)
			}
		case "id":
			e.id = f.Value()
		case "time":
			e.time = f.Value()
		case "user":
			inner := f.Inner()
			e.readUser(&inner, scratch[:0])
			f.Leave(&inner)
		case "properties":
			e.drifts = e.drifts || e.shape == nil
			inner := f.Inner()
			e.readProperties(&inner, scratch[:0])
			f.Leave(&inner)
			e.properties = f.Value()
		default:
			e.drifts = true
		}
	}
	e.drifts = e.drifts || e.shape == nil
}

func (e *fields) readUser(f *currents.FieldIterator, scratch []byte) {
	e.userID, e.externalUserID, e.deviceID, e.timezone = nil, nil, nil, nil // of an earlier duplicate
	for f.Next() {
		key := f.PlainKey(scratch)
		e.drifts = e.drifts || e.shape == nil || e.shape.user.find(key) < 0
		switch string(key) {
		case "user_id":
			e.userID = f.Value()
		case "external_user_id":
			e.externalUserID = f.Value()
		case "device_id":
			e.deviceID = f.Value()
		case "timezone":
			e.timezone = f.Value()
		}
	}
}

// readProperties takes out what moves and notes the runs of what stays.
func (e *fields) readProperties(f *currents.FieldIterator, scratch []byte) {
	e.moved = [movedCount][]byte{} // of an earlier duplicate
	e.used, e.more, e.cut = 0, nil, false
	from, to := -1, 0
	shape := e.shape
	for f.Next() {
		key := f.PlainKey(scratch)
		var i int
		if shape == nil {
			i = movedIndex(key)
		} else if i = shape.place(key); i == unknown {
			e.drifts = true
			i = movedIndex(key)
		}
		if i == notMoved {
			start, end := f.Span()
			if from < 0 {
				from = start
			}
			to = end
			continue
		}
		e.moved[i] = f.Value()
		e.cut = true
		e.keep(from, to)
		from = -1
	}
	e.keep(from, to)
}

// keep notes a run; there is none where from is negative.
func (e *fields) keep(from, to int) {
	switch {
	case from < 0:
	case e.used < len(e.runs):
		e.runs[e.used] = run{from, to}
		e.used++
	default:
		e.more = append(e.more, run{from, to})
	}
}

// appendProperties appends what stays of properties, as it was written.
func (e *fields) appendProperties(dst []byte) []byte {
	const key = `,"properties":`
	switch {
	case !present(e.properties):
		return dst
	case e.properties[0] != '{' || e.used > 0 && !e.cut:
		return appendMember(dst, key, e.properties)
	}
	o := object{open: key + "{"}
	for _, r := range e.runs[:e.used] {
		dst = o.append(dst, "", e.properties[r.from:r.to])
	}
	for _, r := range e.more {
		dst = o.append(dst, "", e.properties[r.from:r.to])
	}
	return o.close(dst)
}

// plainText returns the text of a raw string, in scratch where it has escapes;
// what is no string is returned as it is.
func plainText(raw, scratch []byte) []byte {
	if len(raw) < 2 || raw[0] != '"' {
		return raw
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	text, _ := currents.AppendText(scratch, raw)
	return text
}
