package journey

import "github.com/currentsbridge/currentsbridge/mockbraze/population"

// How often an optional field that fits is missing or null, in percent. Braze
// publishes no such numbers; these are assumptions.
const (
	absentPercent = 12
	nullPercent   = 6
)

// has decides whether a moment shows a field.
func (m *moment) has(f *field, d population.Draw) presence {
	switch {
	case f.required || m.show == showAll:
		return present
	case f.fits != nil && !f.fits(m):
		return m.lacking(f, d)
	case m.show != showSome || f.identifies(m):
		return present
	}
	switch n := d.With(presenceKey).N(100); {
	case n < absentPercent:
		return absent
	case n < absentPercent+nullPercent:
		return null
	default:
		return present
	}
}

// lacking is how Braze says that there is no external id: mostly by leaving it
// out. Other fields that do not fit are left out.
func (m *moment) lacking(f *field, d population.Draw) presence {
	if f.label == externalID && d.With(presenceKey).Chance(30) {
		return null
	}
	return absent
}

const (
	presenceKey = 0xFEED
	userID      = `"user_id":`
	externalID  = `"external_user_id":`
)

// identifies says whether leaving the field out could leave nobody whom the
// event happened to: the external id of those who have one, else the user id.
func (f *field) identifies(m *moment) bool {
	return f.label == externalID || f.label == userID && !m.user.Identified
}
