package mapping

import "github.com/currentsbridge/currentsbridge/bridge/currents"

// The event types that may become another call than track.
const (
	profileUpdate = "users.profile.Update"
	userOrphan    = "users.UserOrphan"
)

func (e *fields) isType(name string) bool {
	var buf [64]byte
	return len(e.eventType) > 0 && e.eventType[0] == '"' && string(plainText(e.eventType, buf[:0])) == name
}

// standardTraits are the properties of a profile for which RudderStack has a
// trait of its own: the key under which that stands, and the property that would
// be in its way. The last ones lie inside of the trait address. gender has that
// name on both sides.
var standardTraits = [...]struct{ property, key, inTheWay string }{
	{"email_address", `"email":`, "email"},
	{"phone_number", `"phone":`, "phone"},
	{"first_name", `"firstName":`, "firstName"},
	{"last_name", `"lastName":`, "lastName"},
	{"dob", `"birthday":`, "birthday"},
	{"home_city", `"city":`, "address"},
	{"country", `"country":`, "address"},
}

// firstInAddress is the first of standardTraits that lies inside of address.
const firstInAddress = 5

// profile is what the standard traits of an identify call are made of.
type profile struct {
	values [len(standardTraits)][]byte
	// A property is in the way, so that what would be renamed keeps its name.
	keep [len(standardTraits)]bool
}

func (p *profile) read(properties, scratch []byte) {
	for f := currents.Fields(properties); f.Next(); {
		key := f.PlainKey(scratch)
		for i, s := range standardTraits {
			if string(key) == s.property {
				p.values[i] = f.Value()
			} else if string(key) == s.inTheWay {
				p.keep[i] = true
			}
		}
	}
}

// renames reports whether a property becomes a standard trait.
func (p *profile) renames(key []byte) bool {
	for i, s := range standardTraits {
		if string(key) == s.property {
			return !p.keep[i]
		}
	}
	return false
}

// append appends the standard traits of a range as members of an object.
func (p *profile) append(dst []byte, to *object, from, end int) []byte {
	for i := from; i < end; i++ {
		if !p.keep[i] {
			dst = to.append(dst, standardTraits[i].key, p.values[i])
		}
	}
	return dst
}

// appendProfile appends the member traits of an identify call: all properties,
// apart from those that move into the context. Those for which RudderStack has
// a standard trait come first, under its name; the others follow as they were
// written. What Braze has redacted is no trait. properties that is no object
// stays what it is.
func (e *fields) appendProfile(dst []byte) []byte {
	if present(e.properties) && e.properties[0] != '{' {
		return appendMember(dst, `,"properties":`, e.properties)
	}
	var scratch [64]byte
	var p profile
	p.read(e.properties, scratch[:0])
	for i := range p.values {
		e.take(&p.values[i], redactedTrait)
	}
	traits, address := object{open: `,"traits":{`}, object{open: `{`}
	dst = p.append(dst, &traits, 0, firstInAddress)
	var buf [128]byte
	inside := p.append(buf[:0], &address, firstInAddress, len(standardTraits))
	dst = traits.append(dst, `"address":`, address.close(inside))
	for f := currents.Fields(e.properties); f.Next(); {
		key := f.PlainKey(scratch[:0])
		if p.renames(key) {
			continue
		}
		if i := movedIndex(key); i != notMoved && i != email && i != phone {
			continue
		}
		if currents.Redacted(f.Value()) {
			e.redacted |= redactedTrait
			continue
		}
		start, end := f.Span()
		dst = traits.append(dst, "", e.properties[start:end])
	}
	return traits.close(dst)
}

// aliasIDs returns whom a user was merged into and who that user was: Braze's
// id of the other one, and the orphan's external_user_id, or else its user_id,
// as RudderStack knows it by. ok is false where one of them cannot be used.
func (e *fields) aliasIDs() (id, previous []byte, ok bool) {
	for f := currents.Fields(e.properties); f.Next(); {
		if f.KeyIs("orphaned_by_id") {
			id = f.Value()
		}
	}
	previous = e.externalUserID
	if !currents.UsableID(previous) {
		previous = e.userID
	}
	return id, previous, currents.UsableID(id) && currents.UsableID(previous)
}
