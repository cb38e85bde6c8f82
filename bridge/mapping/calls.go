package mapping

import "github.com/currentsbridge/currentsbridge/bridge/currents"

// The event types that may become another call than track.
const (
	profileUpdate = "users.profile.Update"
	userOrphan    = "users.UserOrphan"
)

// isType reports whether the event's type is name.
func (e *fields) isType(name string) bool {
	var buf [64]byte
	return len(e.eventType) > 0 && e.eventType[0] == '"' && string(plainText(e.eventType, buf[:0])) == name
}

// What RudderStack's standard traits are made of. The last two lie inside of
// the trait address.
const (
	traitEmail = iota
	traitPhone
	traitFirstName
	traitLastName
	traitBirthday
	traitCity
	traitCountry
	traitCount
)

// traitIndex returns which standard trait a property of a profile becomes.
// gender has that name on both sides.
func traitIndex(key []byte) int {
	switch string(key) {
	case "email_address":
		return traitEmail
	case "phone_number":
		return traitPhone
	case "first_name":
		return traitFirstName
	case "last_name":
		return traitLastName
	case "dob":
		return traitBirthday
	case "home_city":
		return traitCity
	case "country":
		return traitCountry
	}
	return -1
}

// profile is what the traits of an identify call are made of.
type profile struct {
	values [traitCount][]byte
	// The properties have a standard trait's name themselves, so that what
	// would be renamed to it keeps its own.
	taken [traitCount]bool
}

func (p *profile) read(properties []byte, scratch []byte) {
	for f := currents.Fields(properties); f.Next(); {
		key := plainKey(&f, scratch)
		if i := traitIndex(key); i >= 0 {
			p.values[i] = f.Value()
			continue
		}
		switch string(key) {
		case "email":
			p.taken[traitEmail] = true
		case "phone":
			p.taken[traitPhone] = true
		case "firstName":
			p.taken[traitFirstName] = true
		case "lastName":
			p.taken[traitLastName] = true
		case "birthday":
			p.taken[traitBirthday] = true
		case "address":
			p.taken[traitCity], p.taken[traitCountry] = true, true
		}
	}
}

// renamed returns the value of a standard trait; nil where it is not made.
func (p *profile) renamed(i int) []byte {
	if p.taken[i] {
		return nil
	}
	return p.values[i]
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
	traits := object{open: `,"traits":{`}
	dst = traits.append(dst, `"email":`, p.renamed(traitEmail))
	dst = traits.append(dst, `"phone":`, p.renamed(traitPhone))
	dst = traits.append(dst, `"firstName":`, p.renamed(traitFirstName))
	dst = traits.append(dst, `"lastName":`, p.renamed(traitLastName))
	dst = traits.append(dst, `"birthday":`, p.renamed(traitBirthday))
	if city, country := p.renamed(traitCity), p.renamed(traitCountry); present(city) || present(country) {
		dst = traits.append(dst, `"address":`, []byte(`{`))
		address := object{}
		dst = address.append(dst, `"city":`, city)
		dst = address.append(dst, `"country":`, country)
		dst = address.close(dst)
	}
	for f := currents.Fields(e.properties); f.Next(); {
		key := plainKey(&f, scratch[:0])
		if i := traitIndex(key); i >= 0 && !p.taken[i] {
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
