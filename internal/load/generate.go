package load

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/currentsbridge/currentsbridge/internal/journey"
	"github.com/currentsbridge/currentsbridge/internal/population"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// Sizes of what is made ahead. Seventy events of each type are seven rounds of
// the ten that show every field; with all types they take about 5 MB, the people
// 2 MB.
const (
	templatesPerType = 70
	people           = 1 << 14
	users            = 1_000_000 // of whom the people are drawn
)

// Generator writes request bodies. Before the run it renders templatesPerType
// different events of each type with package journey and cuts them at what must
// be new each time: the id, the time, the user's ids and the dispatch_id. To
// write an event is to copy the pieces and to fill in the gaps. So the events
// differ as those of journey do (all fields, missing and null ones, all
// campaigns), ids never repeat, and the same text comes back for another person
// at another time. What else belongs to the person, such as an address or a
// device, stays that of the template.
//
// It has no state: goroutines may share it. One seed writes the same bytes but
// for the time.
type Generator struct {
	types     []string
	templates [][]form    // by type
	identity  [2][]person // without and with an external id
	ids       numbering
	draw      population.Draw
}

// person is the ids of somebody whom events happen to.
type person struct{ userID, externalID string }

// gap is what is filled in behind a piece of a template.
type gap uint8

const (
	gapNone gap = iota
	gapID
	gapTime
	gapUser
	gapExternal
	gapDispatch
)

type piece struct {
	text string
	then gap
	size int // how long the gap's value was
}

type form struct {
	pieces     []piece
	identified int // 1 where it has an external id
}

// NewGenerator makes a Generator; a nil glossary is the one that is built in. The
// types are patterns as journey.Select takes them; none means all current ones.
// It fails for a pattern that fits no event type.
func NewGenerator(glossary *schemas.Glossary, seed uint64, types []string) (*Generator, error) {
	if glossary == nil {
		var err error
		if glossary, err = schemas.Load(); err != nil {
			return nil, fmt.Errorf("load: %w", err)
		}
	}
	pop := population.New(population.Config{Seed: seed, Users: users})
	rounds, err := journey.New(journey.Config{
		Glossary: glossary, Population: pop, Seed: seed, Types: types, Stream: population.Key("load"),
	})
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	g := &Generator{
		types:     rounds.Types(),
		templates: make([][]form, len(rounds.Types())),
		ids:       newNumbering(seed),
		draw:      pop.Draw("load"),
	}
	for i := range uint64(templatesPerType * len(g.types)) {
		t := i % uint64(len(g.types))
		g.templates[t] = append(g.templates[t], cut(rounds.Append(nil, i)))
	}
	g.choosePeople(pop)
	return g, nil
}

// choosePeople keeps the ids of some of the people, evenly over all.
func (g *Generator) choosePeople(pop *population.Population) {
	for i := range uint64(people) {
		user := pop.User(g.draw.With(i).Bits())
		p := person{userID: string(user.AppendID(nil))}
		if user.Identified {
			p.externalID = string(user.AppendExternalID(nil))
			g.identity[1] = append(g.identity[1], p)
		} else {
			g.identity[0] = append(g.identity[0], p)
		}
	}
}

// Types are the names of the event types, in the order of their turns. Do not
// change the slice.
func (g *Generator) Types() []string { return g.types }

// Type is the event type of a batch.
func (g *Generator) Type(batch uint64) string { return g.types[batch%uint64(len(g.types))] }

// Append appends the body {"events":[…]} of a batch: n events of the type whose
// turn it is. The numbers of its events begin with first; at is when they
// happened.
func (g *Generator) Append(dst []byte, batch, first uint64, n int, at time.Time) []byte {
	all := uint64(len(g.types))
	pool := g.templates[batch%all]
	turn := batch / all * uint64(n)
	dst = append(dst, `{"events":[`...)
	for i := range uint64(n) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = g.event(dst, &pool[(turn+i)%templatesPerType], first+i, at)
	}
	return append(dst, `]}`...)
}

func (g *Generator) event(dst []byte, t *form, n uint64, at time.Time) []byte {
	d := g.draw.With(n)
	who := g.identity[t.identified]
	p := &who[d.N(len(who))]
	for i := range t.pieces {
		dst = append(dst, t.pieces[i].text...)
		switch t.pieces[i].then {
		case gapID:
			dst = g.ids.append(dst, n)
		case gapTime:
			dst = strconv.AppendInt(dst, at.Unix()-int64(d.Bits()%20), 10)
		case gapUser:
			dst = append(dst, p.userID...)
		case gapExternal:
			dst = append(dst, p.externalID...)
		case gapDispatch: // a dispatch is one sending to many: a few events share it
			dispatch := g.draw.With(population.Key("dispatch")).With(n / 8)
			dst = population.AppendHex(dst, dispatch, t.pieces[i].size)
		case gapNone:
		}
	}
	return dst
}

// marks are what stands before a gap, in the order in which journey writes them.
// In a string its quotes would be escaped, so it cannot be mistaken.
func marks() []struct {
	before string
	gap    gap
	ends   string // the characters that end the value
} {
	return []struct {
		before string
		gap    gap
		ends   string
	}{
		{`,"id":"`, gapID, `"`},
		{`"dispatch_id":"`, gapDispatch, `"`},
		{`},"time":`, gapTime, `,}`},
		{`"external_user_id":"`, gapExternal, `"`},
		{`"user_id":"`, gapUser, `"`},
	}
}

// cut makes a template of an event.
func cut(event []byte) form {
	var t form
	rest := event
	for _, mark := range marks() {
		at := bytes.Index(rest, []byte(mark.before))
		if at < 0 {
			continue
		}
		at += len(mark.before)
		end := bytes.IndexAny(rest[at:], mark.ends)
		if end < 0 {
			continue
		}
		t.pieces = append(t.pieces, piece{text: string(rest[:at]), then: mark.gap, size: end})
		if mark.gap == gapExternal {
			t.identified = 1
		}
		rest = rest[at+end:]
	}
	t.pieces = append(t.pieces, piece{text: string(rest)})
	return t
}

// numbering makes the ids of a run: UUIDs (version 4) from a seed and a running
// number. Within a run two numbers never share an id, because the lower half is
// a permutation of the number. Between runs of different seeds the upper half, 60
// bits of a hash, has to be equal too. An id can be turned back into its number,
// so what arrived is booked without keeping ids.
type numbering struct {
	upper, lower population.Draw
}

func newNumbering(seed uint64) numbering {
	d := population.Draw(seed).With(population.Key("load ids"))
	return numbering{upper: d.With(0), lower: d.With(1)}
}

// The permutation is over 62 bits: a UUID has 64 in its lower half, of which two
// are fixed. Its steps are an addition, shifts and products with odd numbers,
// each of which has an inverse.
const (
	mask62    = 1<<62 - 1
	oddA      = 0xBF58476D1CE4E5B9
	oddB      = 0x94D049BB133111EB
	inverseA  = 0x96DE1B173F119089
	inverseB  = 0x319642B2D24D8EC3
	versionOf = 0x4000
	variantOf = 2 << 62
)

func (m numbering) permute(n uint64) uint64 {
	x := (n + m.lower.Bits()) & mask62
	x = ((x ^ x>>31) * oddA) & mask62
	x = ((x ^ x>>31) * oddB) & mask62
	return x ^ x>>31
}

func (m numbering) restore(x uint64) uint64 {
	x ^= x >> 31
	x = (x * inverseB) & mask62
	x ^= x >> 31
	x = (x * inverseA) & mask62
	x ^= x >> 31
	return (x - m.lower.Bits()) & mask62
}

// halves are the 128 bits of id n.
func (m numbering) halves(n uint64) (hi, lo uint64) {
	return m.upper.With(n).Bits()&^0xF000 | versionOf, m.permute(n) | variantOf
}

// append appends id n in its usual form of 36 characters.
func (m numbering) append(dst []byte, n uint64) []byte {
	hi, lo := m.halves(n)
	return population.AppendUUIDOf(dst, hi, lo)
}

// numberOf is the number of an id of this run below issued.
func (m numbering) numberOf(id []byte, issued uint64) (n uint64, ok bool) {
	u, err := uuid.ParseBytes(id)
	if err != nil {
		return 0, false
	}
	hi, lo := binary.BigEndian.Uint64(u[:8]), binary.BigEndian.Uint64(u[8:])
	n = m.restore(lo & mask62)
	if n >= issued {
		return 0, false
	}
	wantHi, wantLo := m.halves(n)
	return n, hi == wantHi && lo == wantLo
}
