package journey

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/currentsbridge/currentsbridge/internal/population"
)

// drift adds something new to the event at start of dst.
func drift(dst []byte, start int, eventType string, d population.Draw) ([]byte, string) {
	const user = `"user":{`
	switch kind := d.With(1).N(10); {
	case kind < 2:
		return newType(dst, start, eventType, d)
	case kind < 8: // "properties" is the last member
		return insert(dst, len(dst)-2, dst[len(dst)-3] == '{', d), eventType
	case kind < 9:
		at := start + bytes.Index(dst[start:], []byte(user)) + len(user)
		return insertFirst(dst, at, dst[at] == '}', d), eventType
	default:
		return insert(dst, len(dst)-1, false, d), eventType
	}
}

// novelty is a field that no glossary knows yet.
func novelty(d population.Draw) string {
	return [...]string{
		`"engagement_score":0.73`, `"is_predicted":true`, `"delivery_path":"direct"`, `"labels":["a","b"]`,
		`"attempt_ms":12`, `"inbox_placement":null`, `"consent":{"source":"web","version":2}`,
	}[d.With(2).N(7)]
}

// insert puts a new field before the byte at.
func insert(dst []byte, at int, empty bool, d population.Draw) []byte {
	text := novelty(d)
	if !empty {
		text = "," + text
	}
	return splice(dst, at, text)
}

// insertFirst puts a new field behind an opening brace.
func insertFirst(dst []byte, at int, empty bool, d population.Draw) []byte {
	text := novelty(d)
	if !empty {
		text += ","
	}
	return splice(dst, at, text)
}

func splice(dst []byte, at int, text string) []byte {
	n := len(dst)
	dst = append(dst, text...)
	copy(dst[at+len(text):], dst[at:n])
	copy(dst[at:], text)
	return dst
}

// newType gives the event a type that no glossary knows yet.
func newType(dst []byte, start int, eventType string, d population.Draw) ([]byte, string) {
	family := eventType[:strings.LastIndexByte(eventType, '.')+1]
	name := family + [...]string{"Forward", "Hover", "Preview", "Escalation"}[d.With(2).N(4)]
	at := start + len(`{"event_type":"`)
	old := len(eventType)
	if len(name) > old {
		dst = splice(dst, at, name[old:])
	} else {
		dst = append(dst[:at], dst[at+old-len(name):]...)
	}
	copy(dst[at:], name)
	return dst, name
}

// oddities are members of free objects that are strange, and legal.
func oddities() []string {
	return []string{
		`"a.b.c":1`, `"path/to/x":"/"`, `"~1~0":"pointer"`, `"123":456`, `"-1":true`, `"🎂":"🧁"`, `"\ud83d\ude00":"\ud83d\ude00"`,
		`"nul\u0000key":"a\u0000b"`, `"big":9007199254740993`, `"bigger":123456789012345678901234567890`,
		`"exponent":1.7976931348623157e308`, `"tiny":5e-324`, `"negative zero":-0.0`, `"precise":0.1000000000000000055511151231257827`,
		`"":"empty key"`, `"empty":""`, `"quote\"d":"\"\\\""`, `"tab\tnew\nline":"\b\f\r"`, `" spaces ":"  "`,
		`"__proto__":{"x":1}`, `"constructor":null`, `"$set":{"$inc":1}`, `"list":[null,true,{},[],"x",1.5]`, `"objects":[{"a":1},{"a":"b"}]`,
		`"rtl":"\u202Eevil\u202C עברית"`, `"zero\u200Bwidth":"\ufeff"`, `"event_type":"not this one"`, `"user":{"user_id":"nor this one"}`,
		`"html":"<script>alert(1)</script>"`, `"sql":"'; DROP TABLE events;--"`, `"date":"2026-02-30T25:61:00Z"`,
		`"deep":` + strings.Repeat(`[`, 60) + strings.Repeat(`{"d":`, 40) + "null" + strings.Repeat(`}`, 40) + strings.Repeat(`]`, 60),
		`"` + strings.Repeat("very_long_key_", 80) + `":1`, `"long":"` + strings.Repeat("näher 東京 ", 120) + `"`,
	}
}

// hugeLow and hugeHigh are how large a huge event's free object is; the rest of
// an event is below 8 KB.
const hugeLow, hugeHigh = 800_000, 890_000

// rough makes the free objects of some events strange or huge.
func (s *Stories) rough(value valueFunc, huge bool) valueFunc {
	odd := oddities()
	return func(dst []byte, m *moment, d population.Draw) []byte {
		start := len(dst)
		dst = value(dst, m, d)
		if chanceOf(d.With(1001), s.scenario.Rough.Strange) {
			dst = dst[:len(dst)-1]
			first := d.With(1002).N(len(odd))
			for i := range d.With(1003).Between(1, 5) {
				dst = append(append(dst, ','), odd[(first+i)%len(odd)]...)
			}
			dst = append(dst, '}')
		}
		if huge && chanceOf(d.With(1004), s.scenario.Rough.Huge) {
			dst = swell(dst, start+d.With(1005).Between(hugeLow, hugeHigh), m, d.With(1006))
		}
		return dst
	}
}

// swell adds a basket to an object until dst is about size long.
func swell(dst []byte, size int, m *moment, d population.Draw) []byte {
	dst = append(dst[:len(dst)-1], `,"basket":[`...)
	for i := 0; len(dst) < size; i++ {
		product := population.Pick(d.With(uint64(i)), m.pop.Products)
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, `{"id":"`...), product.ID...), `","name":`...)
		dst = append(appendString(dst, product.Name), `,"quantity":`...)
		dst = append(strconv.AppendInt(dst, int64(i%9+1), 10), '}')
	}
	return append(dst, "]}"...)
}
