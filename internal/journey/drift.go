package journey

import (
	_ "embed" // for unusual.txt
	"strconv"
	"strings"

	"github.com/currentsbridge/currentsbridge/internal/population"
	"github.com/currentsbridge/currentsbridge/internal/scenario"
)

// novelty is what no glossary has of an event: its type, or a member of the
// event, its properties or its user. The zero value is nothing.
type novelty struct{ typ, inEvent, inProperties, inUser string }

const keyDrift = 0xD21F7

// driftOf decides whether an event drifts, and how: of ten, two get a new type, six
// a new property, one a new field of the user, one a new member beside them.
func driftOf(t *eventType, share scenario.Share, d population.Draw) (n novelty) {
	d = d.With(keyDrift)
	if !share.Hits(d) {
		return n
	}
	kind := d.With(1).N(10)
	if kind < 2 {
		family := t.name[:strings.LastIndexByte(t.name, '.')+1]
		n.typ = family + [...]string{"Forward", "Hover", "Preview", "Escalation"}[d.With(2).N(4)]
		return n
	}
	member := [...]string{
		`,"engagement_score":0.73`, `,"is_predicted":true`, `,"delivery_path":"direct"`, `,"labels":["a","b"]`,
		`,"attempt_ms":12`, `,"inbox_placement":null`, `,"consent":{"source":"web","version":2}`,
	}[d.With(2).N(7)]
	switch {
	case kind < 8:
		n.inProperties = member
	case kind < 9:
		n.inUser = member
	default:
		n.inEvent = member
	}
	return n
}

//go:embed unusual.txt
var unusualText string

func unusualMembers() []string {
	return append(strings.Split(strings.TrimSpace(unusualText), "\n"),
		`"deep":`+strings.Repeat(`[`, 60)+strings.Repeat(`{"d":`, 40)+"null"+strings.Repeat(`}`, 40)+strings.Repeat(`]`, 60),
		`"`+strings.Repeat("very_long_key_", 80)+`":1`, `"long":"`+strings.Repeat("näher 東京 ", 120)+`"`)
}

// hugeLow and hugeHigh are how large a huge event's free object is; the rest of
// an event is below 8 KB.
const hugeLow, hugeHigh = 800_000, 890_000

// roughly adds unusual members to the free objects of some events, or makes them
// huge.
func roughly(edges *scenario.Rough, value valueFunc, huge bool) valueFunc {
	members := unusualMembers()
	return func(dst []byte, m *moment, d population.Draw) []byte {
		start := len(dst)
		dst = value(dst, m, d)
		if edges.Strange.Hits(d.With(1001)) {
			dst = dst[:len(dst)-1]
			first := d.With(1002).N(len(members))
			for i := range d.With(1003).Between(1, 5) {
				dst = append(append(dst, ','), members[(first+i)%len(members)]...)
			}
			dst = append(dst, '}')
		}
		if huge && edges.Huge.Hits(d.With(1004)) {
			dst = swell(dst, start+d.With(1005).Between(hugeLow, hugeHigh), m, d.With(1006))
		}
		return dst
	}
}

// swell adds a list of products to an object, so that dst gets about size long.
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
