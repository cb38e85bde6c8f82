package load

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/currentsbridge/currentsbridge/internal/journey"
	"github.com/currentsbridge/currentsbridge/internal/population"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// Generator writes request bodies. The events are those of package journey, of each
// type poolSize different ones in turns, but for their times and their ids, which can be
// turned back into numbers. Goroutines may share it. One seed writes the same bytes but
// for the times.
type Generator struct {
	rounds *journey.Rounds
	pools  []pool // by type
	ids    numbering
	draw   population.Draw
}

// poolSize is how many different events of a type there are: more than in a batch, in
// whose bytes no event comes twice. Pools of all types take about 19 MB.
const poolSize = 256

// pool is the events of a type, made when the first is needed.
type pool struct {
	once   sync.Once
	events [poolSize]form
}

// form is an event without its id and its time, which belong at these places of
// the text.
type form struct {
	text     []byte
	id, time int
}

func (g *Generator) fill(p *pool, turn uint64, at time.Time) {
	all := uint64(len(g.Types()))
	for i := range uint64(poolSize) {
		text := g.rounds.AppendAs(nil, i*all+turn, []byte{}, at.Unix())
		t := form{text: text, id: bytes.Index(text, []byte(`"id":""`)) + len(`"id":"`)}
		number := strconv.AppendInt([]byte(`"time":`), at.Unix(), 10)
		t.time = bytes.LastIndex(text, number) + len(`"time":`)
		t.text = slices.Delete(text, t.time, t.time+len(number)-len(`"time":`))
		p.events[i] = t
	}
}

// NewGenerator makes a Generator; a nil glossary is the one that is built in. The
// types are patterns as journey.Select takes them.
func NewGenerator(glossary *schemas.Glossary, seed uint64, types []string) (*Generator, error) {
	if glossary == nil {
		var err error
		if glossary, err = schemas.Load(); err != nil {
			return nil, fmt.Errorf("load: %w", err)
		}
	}
	pop := population.New(population.Config{Seed: seed, Users: 1_000_000})
	rounds, err := journey.New(journey.Config{
		Glossary: glossary, Population: pop, Seed: seed, Types: types, Stream: population.Key("load"),
	})
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	return &Generator{rounds: rounds, pools: make([]pool, len(rounds.Types())), ids: newNumbering(seed), draw: pop.Draw("load")}, nil
}

// Types are the names of the event types, in the order of their turns.
func (g *Generator) Types() []string { return g.rounds.Types() }

// Type is the event type of a batch.
func (g *Generator) Type(batch uint64) string { return g.rounds.Type(batch) }

// Append appends the body {"events":[…]} of a batch: n events of the type whose
// turn it is. The numbers of its events begin with first; at is when they
// happened.
func (g *Generator) Append(dst []byte, batch, first uint64, n int, at time.Time) []byte {
	all := uint64(len(g.Types()))
	turn := batch / all * uint64(n)
	p := &g.pools[batch%all]
	p.once.Do(func() { g.fill(p, batch%all, at) })
	dst = append(dst, `{"events":[`...)
	for i := range uint64(n) {
		if i > 0 {
			dst = append(dst, ',')
		}
		t := &p.events[(turn+i)%poolSize]
		dst = g.ids.append(append(dst, t.text[:t.id]...), first+i)
		dst = append(dst, t.text[t.id:t.time]...)
		dst = strconv.AppendInt(dst, at.Unix()-int64(g.draw.With(first+i).N(20)), 10)
		dst = append(dst, t.text[t.time:]...)
	}
	return append(dst, `]}`...)
}

// numbering makes the ids of a run: UUIDs (version 4) whose lower half is the number
// and an offset, and whose upper half is 60 bits of a hash. So an id can be turned
// back into its number, and arrivals are counted without keeping ids.
type numbering struct {
	upper  population.Draw
	offset uint64
}

func newNumbering(seed uint64) numbering {
	d := population.Draw(seed).With(population.Key("load ids"))
	return numbering{upper: d.With(0), offset: d.With(1).Bits()}
}

// mask62 covers the lower half of a UUID without its two fixed bits.
const mask62 = 1<<62 - 1

// append appends id n in its usual form of 36 characters.
func (m numbering) append(dst []byte, n uint64) []byte {
	return population.AppendUUIDOf(dst, m.upper.With(n).Bits(), n+m.offset)
}

// numberOf is the number of an id of this run below issued.
func (m numbering) numberOf(id []byte, issued uint64) (n uint64, ok bool) {
	u, err := uuid.ParseBytes(id)
	if err != nil {
		return 0, false
	}
	n = (binary.BigEndian.Uint64(u[8:]) - m.offset) & mask62
	if n >= issued {
		return 0, false
	}
	var text [36]byte
	return n, string(m.append(text[:0], n)) == u.String()
}
