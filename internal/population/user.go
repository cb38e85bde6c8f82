package population

import (
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"
	"time"
)

// User is one person of the workspace. All of it follows from the seed and Index.
type User struct {
	Index       uint64
	First, Last string
	Gender      string // as Braze writes it: M, F, O, N, P
	Place       *Place
	App         *App
	Model       *Model
	Identified  bool  // has an external_user_id
	Tracked     bool  // lets advertisers follow the device
	Tokens      int   // how often the push token has changed; Population sets it to 0
	Created     int64 // when the user came to the workspace, in seconds since the epoch

	draw   Draw
	device int
}

// Users is how many people there are.
func (p *Population) Users() uint64 { return p.users }

// User is the person with an index, modulo Users.
func (p *Population) User(index uint64) User { return p.Person(index, 0) }

// Person is the person with an index after life others that had it before. They have
// the same platform and ids of their own. Person(index, 0) is User(index).
func (p *Population) Person(index, life uint64) User {
	index = index%p.users + life*p.users
	d := p.draw.With(keyUser).With(index)
	app := p.apps[PlatformOf(index)]
	kinds := p.texts.Models[app.Platform]
	return User{
		Index:      index,
		First:      Pick(d.With(1), p.firstNames),
		Last:       Pick(d.With(2), p.lastNames),
		Gender:     Pick(d.With(3), p.genders),
		Place:      &p.texts.Places[d.With(4).N(len(p.texts.Places))],
		App:        app,
		Model:      &kinds[d.With(5).N(len(kinds))],
		Identified: !d.With(6).Chance(p.anonymousPercent),
		Tracked:    d.With(7).Chance(40),
		draw:       d,
		Created:    1_640_995_200 + int64(d.With(8).N(3*365*86400)), // from 1 January 2022 on
	}
}

// PlaceOf is where Person(index, life) lives.
func (p *Population) PlaceOf(index, life uint64) *Place {
	d := p.draw.With(keyUser).With(index%p.users + life*p.users)
	return &p.texts.Places[d.With(4).N(len(p.texts.Places))]
}

// Offsets are the different Offsets of the places, always in the same order.
func (p *Population) Offsets() []int {
	var list []int
	for i := range p.texts.Places {
		if !slices.Contains(list, p.texts.Places[i].Offset) {
			list = append(list, p.texts.Places[i].Offset)
		}
	}
	return list
}

// Devices is how many devices the user has: one, two or three (shares of 65, 27
// and 8 percent, an assumption).
func (u *User) Devices() int {
	switch n := u.draw.With(16).N(100); {
	case n < 65:
		return 1
	case n < 92:
		return 2
	default:
		return 3
	}
}

// OnDevice is the user with another device, from 0 to Devices()-1: App, Model and the
// ids of the device are those of it.
func (p *Population) OnDevice(u User, device int) User {
	if device == 0 {
		return u
	}
	d := u.draw.With(17).With(uint64(device))
	others := []Platform{Web, IOS, Android, Web, TVOS, Kindle, Roku, Web}
	u.App = p.apps[Pick(d, others)]
	kinds := p.texts.Models[u.App.Platform]
	u.Model, u.device = &kinds[d.With(1).N(len(kinds))], device
	return u
}

// deviceDraw is a source of choices that stay with the device.
func (u *User) deviceDraw(key uint64) Draw {
	if u.device == 0 {
		return u.draw.With(key)
	}
	return u.draw.With(key).With(uint64(u.device))
}

// UserOn is the next person with a platform from index on. With identified it is one
// with an external id, if there is one among the next 64.
func (p *Population) UserOn(index uint64, platform Platform, identified bool) User {
	row := index - index%rowLength
	place := index % rowLength
	for i := 0; i < rowLength && PlatformOf(place) != platform; i++ {
		place = (place + 1) % rowLength
	}
	user := p.User(row + place)
	for i := uint64(1); i < 64 && identified && !user.Identified; i++ {
		user = p.User(row + i*rowLength + place)
	}
	return user
}

// AppendID appends Braze's own id of the user, a BSON object id.
func (u *User) AppendID(dst []byte) []byte {
	return appendObjectID(dst, u.draw.With(keyUser), u.Created)
}

// AppendExternalID appends the customer's id of the user, if Identified.
func (u *User) AppendExternalID(dst []byte) []byte {
	dst = append(dst, "customer-"...)
	return strconv.AppendUint(dst, 100000+u.Index, 10)
}

// AppendEmail appends the user's address, under a domain reserved for examples.
func (u *User) AppendEmail(dst []byte) []byte {
	dst = appendLower(dst, u.First)
	dst = append(dst, '.')
	dst = appendLower(dst, u.Last)
	dst = strconv.AppendUint(dst, u.Index, 10)
	return append(dst, [...]string{"@example.com", "@example.org", "@example.net"}[u.draw.With(10).N(3)]...)
}

// AppendPhone appends the user's number in E.164.
func (u *User) AppendPhone(dst []byte) []byte {
	dst = append(dst, u.Place.Dial...)
	return AppendDigits(dst, u.draw.With(11), u.Place.DialDigits)
}

// AppendDeviceID appends the id of the device: a UUID, or on Android the vendor's 16
// hex digits.
func (u *User) AppendDeviceID(dst []byte) []byte {
	switch u.App.Platform {
	case IOS, TVOS:
		return AppendUpperUUID(dst, u.deviceDraw(12))
	case Android, Kindle:
		return AppendHex(dst, u.deviceDraw(12), 16)
	default:
		return AppendUUID(dst, u.deviceDraw(12))
	}
}

// AppendPushToken appends the token of the platform's push service.
func (u *User) AppendPushToken(dst []byte) []byte {
	d := u.deviceDraw(13)
	if u.Tokens > 0 {
		d = d.With(2).With(uint64(u.Tokens))
	}
	switch u.App.Platform {
	case IOS, TVOS:
		return AppendHex(dst, d, 64)
	default:
		dst = AppendHex(dst, d, 22)
		dst = append(dst, ":APA91b"...)
		return AppendHex(dst, d.With(1), 96)
	}
}

// AppendAdID appends the advertising id of the user's device.
func (u *User) AppendAdID(dst []byte) []byte {
	if u.App.Platform == IOS || u.App.Platform == TVOS {
		return AppendUpperUUID(dst, u.deviceDraw(14))
	}
	return AppendUUID(dst, u.deviceDraw(14))
}

// AppendBirthday appends an ISO 8601 date.
func (u *User) AppendBirthday(dst []byte) []byte {
	d := u.draw.With(15)
	day := time.Date(d.With(0).Between(1945, 2006), time.Month(d.With(1).Between(1, 12)), d.With(2).Between(1, 28), 0, 0, 0, 0, time.UTC)
	return day.AppendFormat(dst, time.DateOnly)
}

// Draw is a source of choices for name that stay with the user.
func (u *User) Draw(name string) Draw { return u.draw.With(Key(name)) }

func appendLower(dst []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c >= 'a' && c <= 'z' {
			dst = append(dst, c)
		}
	}
	return dst
}

// AppendHex appends n random lower-case hex digits.
func AppendHex(dst []byte, d Draw, n int) []byte {
	for i := 0; i < n; i += 16 {
		v := d.With(uint64(i)).Bits()
		for j := i; j < n && j < i+16; j++ {
			dst = append(dst, "0123456789abcdef"[v&15])
			v >>= 4
		}
	}
	return dst
}

// AppendUUID appends a random UUID (version 4, RFC 9562), in lower case.
func AppendUUID(dst []byte, d Draw) []byte {
	return AppendUUIDOf(dst, d.With(0).Bits(), d.With(1).Bits())
}

// AppendUpperUUID appends a random UUID in capitals, as Apple's systems do.
func AppendUpperUUID(dst []byte, d Draw) []byte {
	begin := len(dst)
	dst = AppendUUID(dst, d)
	for i, c := range dst[begin:] {
		if c >= 'a' {
			dst[begin+i] = c - 'a' + 'A'
		}
	}
	return dst
}

// AppendUUIDOf appends the UUID (version 4) of 122 of these bits, in lower case.
func AppendUUIDOf(dst []byte, hi, lo uint64) []byte {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:], hi&^0xF000|0x4000)
	binary.BigEndian.PutUint64(id[8:], lo&^(3<<62)|2<<62)
	var text [32]byte
	hex.Encode(text[:], id[:])
	dst = append(append(dst, text[:8]...), '-')
	dst = append(append(dst, text[8:12]...), '-')
	dst = append(append(dst, text[12:16]...), '-')
	dst = append(append(dst, text[16:20]...), '-')
	return append(dst, text[20:]...)
}

// appendObjectID appends a BSON object id: 24 hex digits, of which the first 8
// are the second it was made in.
func appendObjectID(dst []byte, d Draw, created int64) []byte {
	var id [12]byte
	binary.BigEndian.PutUint32(id[:], uint32(created))
	binary.BigEndian.PutUint64(id[4:], d.Bits())
	return hex.AppendEncode(dst, id[:])
}

// AppendDigits appends n decimal digits.
func AppendDigits(dst []byte, d Draw, n int) []byte {
	v := d.Bits()
	for i := range n {
		if i%16 == 15 {
			v = d.With(uint64(i)).Bits()
		}
		dst = append(dst, byte('0'+v%10))
		v /= 10
	}
	return dst
}

func uuidString(d Draw) string { return string(AppendUUID(nil, d)) }
