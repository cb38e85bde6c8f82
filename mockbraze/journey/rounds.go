package journey

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/currentsbridge/currentsbridge/mockbraze/population"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// fullEvery is how many events of one type in a row show every field.
const fullEvery = 10

// Reference is the instant at which the fake Braze's history begins: 1 June
// 2026, 00:00 UTC. It is fixed, so that one seed gives the same bytes at any
// time.
func Reference() time.Time { return time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC) }

// Config is what Rounds is made from. Glossary is needed; the rest may stay
// zero.
type Config struct {
	Glossary *schemas.Glossary
	// Population is whom events happen to; nil makes the one of Seed.
	Population *population.Population
	Seed       uint64
	// Stream tells several runs of one seed apart: their events have other
	// ids and happen to others of the same people.
	Stream uint64
	// Types are the event types to go round, as path.Match patterns; none
	// means all.
	Types []string
	// Reference is when the first round happens; zero means Reference().
	Reference time.Time
}

// Rounds goes round event types evenly: event i has type i modulo the number
// of types, in the glossary's order, and each round takes one second. Any ten
// events of a type in a row show every field of the type, with a value, at
// least once. It has no state: goroutines may share it.
type Rounds struct {
	names     []string
	types     []eventType
	pop       *population.Population
	draw      population.Draw
	reference int64
	moments   sync.Pool
}

// New makes Rounds. It fails without a glossary and for a pattern that fits no
// event type.
func New(cfg Config) (*Rounds, error) {
	if cfg.Glossary == nil {
		return nil, errors.New("journey: no glossary of event types")
	}
	names, err := Select(cfg.Glossary, cfg.Types)
	if err != nil {
		return nil, fmt.Errorf("journey: %w", err)
	}
	if cfg.Population == nil {
		cfg.Population = population.New(population.Config{Seed: cfg.Seed})
	}
	if cfg.Reference.IsZero() {
		cfg.Reference = Reference()
	}
	r := &Rounds{
		names:     names,
		pop:       cfg.Population,
		draw:      cfg.Population.Draw("events").With(cfg.Stream),
		reference: cfg.Reference.Unix(),
	}
	r.moments.New = func() any { return new(moment) }
	values, fits := valueFuncs(), fitting()
	for _, name := range names {
		t, _ := cfg.Glossary.Event(name)
		r.types = append(r.types, compile(t, values, fits))
	}
	return r, nil
}

// Types are the names of the event types that Rounds goes round. Do not change
// the slice.
func (r *Rounds) Types() []string { return r.names }

// Type is the event type of event i.
func (r *Rounds) Type(i uint64) string { return r.names[i%uint64(len(r.names))] }

// Append appends event i as one JSON object without spaces. The keys come as
// event_type, id, time, user, properties, and inside these in the glossary's
// order.
func (r *Rounds) Append(dst []byte, i uint64) []byte {
	n := uint64(len(r.types))
	t := &r.types[i%n]
	k := i / n
	return r.append(dst, t, k, showOf((k+t.offset)%fullEvery))
}

// AppendFull appends an event of type t (an index of Types) that has a value
// in every field of the glossary, whether they go together or not: a campaign
// and a Canvas, for example.
func (r *Rounds) AppendFull(dst []byte, t int) []byte {
	return r.append(dst, &r.types[t], 0, showAll)
}

// AppendID appends the id of event i.
func (r *Rounds) AppendID(dst []byte, i uint64) []byte {
	n := uint64(len(r.types))
	return appendID(dst, r.momentDraw(&r.types[i%n], i/n))
}

// momentDraw is where everything about event k of a type comes from.
func (r *Rounds) momentDraw(t *eventType, k uint64) population.Draw {
	return r.draw.With(t.key).With(k)
}

func appendID(dst []byte, d population.Draw) []byte {
	return population.AppendUUID(dst, d.With(keyID))
}

func showOf(place uint64) show {
	switch place {
	case 0:
		return showFirst
	case 1:
		return showSecond
	default:
		return showSome
	}
}

func (r *Rounds) append(dst []byte, t *eventType, k uint64, much show) []byte {
	m, _ := r.moments.Get().(*moment)
	*m = moment{typ: t, pop: r.pop, draw: r.momentDraw(t, k), show: much, scratch: m.scratch}
	m.root = m.draw
	m.time = r.timeOf(m.draw, k)
	m.pickUser()
	m.pickMessage()
	dst = m.append(dst)
	r.moments.Put(m)
	return dst
}

// append appends the moment as an event.
func (m *moment) append(dst []byte) []byte {
	t := m.typ
	dst = append(dst, t.opening...)
	dst = appendID(dst, m.draw)
	dst = append(dst, `","time":`...)
	dst = strconv.AppendInt(dst, m.time, 10)
	dst = append(dst, `,"user":`...)
	dst = m.appendObject(dst, t.user)
	dst = append(dst, `,"properties":`...)
	dst = m.appendObject(dst, t.properties)
	return append(dst, '}')
}

// timeOf is about one second later each round; a few events come late, from
// devices that were offline.
func (r *Rounds) timeOf(d population.Draw, k uint64) int64 {
	at := r.reference + int64(k) - int64(d.With(keyTime).N(20))
	if d.With(keyLate).Chance(2) {
		at -= int64(d.With(keyLate).With(1).N(2 * 86400))
	}
	return at
}

// appendObject appends the fields that this moment shows.
func (m *moment) appendObject(dst []byte, fields []field) []byte {
	dst = append(dst, '{')
	first := true
	for i := range fields {
		f := &fields[i]
		d := m.draw.With(f.key)
		has := m.has(f, d)
		if has == absent {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, f.label...)
		if has == null {
			dst = append(dst, "null"...)
		} else {
			dst = f.value(dst, m, d)
		}
	}
	return append(dst, '}')
}

type presence uint8

const (
	absent presence = iota
	null
	present
)
