package load

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/currentsbridge/currentsbridge/internal/journey"
	"github.com/currentsbridge/currentsbridge/internal/population"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// users is of how many people the events are.
const users = 1_000_000

// Generator writes request bodies, with the events of package journey but for
// their ids, which never repeat and can be turned back into numbers, and their
// times. It has no state: goroutines may share it. One seed writes the same
// bytes but for the time.
type Generator struct {
	rounds *journey.Rounds
	ids    numbering
	draw   population.Draw
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
	return &Generator{rounds: rounds, ids: newNumbering(seed), draw: pop.Draw("load")}, nil
}

// Types are the names of the event types, in the order of their turns. Do not
// change the slice.
func (g *Generator) Types() []string { return g.rounds.Types() }

// Type is the event type of a batch.
func (g *Generator) Type(batch uint64) string { return g.rounds.Type(batch) }

// Append appends the body {"events":[…]} of a batch: n events of the type whose
// turn it is. The numbers of its events begin with first; at is when they
// happened.
func (g *Generator) Append(dst []byte, batch, first uint64, n int, at time.Time) []byte {
	all := uint64(len(g.Types()))
	turn := batch / all * uint64(n)
	var id [36]byte
	dst = append(dst, `{"events":[`...)
	for i := range uint64(n) {
		if i > 0 {
			dst = append(dst, ',')
		}
		late := int64(g.draw.With(first + i).N(20))
		dst = g.rounds.AppendAs(dst, (turn+i)*all+batch%all, g.ids.append(id[:0], first+i), at.Unix()-late)
	}
	return append(dst, `]}`...)
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
