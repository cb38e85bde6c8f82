package journey

import (
	"github.com/currentsbridge/currentsbridge/mockbraze/population"
	"github.com/currentsbridge/currentsbridge/mockbraze/scenario"
)

// append appends the event of an entry and says what type it is. It depends on
// nothing but the entry, so that an event that comes again is the same.
func (s *Stories) append(dst []byte, e *entry) (event []byte, eventType string) {
	n := &s.graph.nodes[e.node]
	t := &s.types[n.typ]
	m := &s.moment
	draw := s.draw.With(keyEvent).With(e.number)
	*m = moment{typ: t, pop: s.pop, draw: draw, root: e.draw, tale: &e.thread, note: n.note, time: e.time, scratch: m.scratch}
	if e.draw == 0 {
		m.root = draw
	}
	m.user = s.pop.OnDevice(s.pop.Person(uint64(e.slot), uint64(e.life)), int(e.device))
	m.user.Tokens = int(e.token)
	s.about(m)
	start := len(dst)
	dst = m.append(dst)
	eventType = s.names[n.typ]
	if chanceOf(draw.With(keyDrift), s.scenario.Rough.Drift) {
		dst, eventType = drift(dst, start, eventType, draw.With(keyDrift))
	}
	return dst, eventType
}

// about says what message the moment belongs to.
func (s *Stories) about(m *moment) {
	e, a := m.tale, &m.about
	if a.channel = m.typ.channel; a.channel == "" {
		a.channel = s.channels[e.channel]
	}
	switch {
	case e.campaign >= 0:
		a.campaign = &s.campaigns[e.campaign]
		a.wording = &a.campaign.Variations[int(e.wording)%len(a.campaign.Variations)]
	case e.canvas >= 0:
		a.canvas = &s.pop.Canvases[e.canvas]
		a.variation = &a.canvas.Variations[e.way]
		a.step = &a.canvas.Steps[e.step]
		a.wording = &a.step.Variations[int(e.wording)%len(a.step.Variations)]
	}
}

// offline says whether the device was offline when the entry happened, and puts
// its event into the agenda for when it is online again. All that happened on
// the device in that hour comes at once.
func (s *Stories) offline(e *entry) bool {
	late := s.scenario.Rough.Late
	if late.Share == 0 {
		return false
	}
	hour := e.at / 3600
	d := s.draw.With(keyOffline).With(uint64(e.slot)).With(uint64(hour)).With(uint64(e.device))
	if !chanceOf(d, late.Share) {
		return false
	}
	later := *e
	later.send, later.at = true, (hour+1)*3600+spanOf(d.With(1), late.After)
	s.agenda.add(&later)
	return true
}

// repeat puts the event of an entry into the agenda once more, for some.
func (s *Stories) repeat(e *entry) {
	repeats := s.scenario.Rough.Repeats
	d := s.draw.With(keyRepeat).With(e.number)
	if repeats.Share == 0 || !chanceOf(d, repeats.Share) {
		return
	}
	again := *e
	again.send, again.copied = true, true
	again.at += spanOf(d.With(1), repeats.After)
	s.agenda.add(&again)
}

// keyDrift is where the choices about new fields and types come from.
const keyDrift = 0xD21F7

// appendName appends a name as it is at the moment: things are renamed now and
// then, and for a while after that Braze sends null or the old name.
func (s *Stories) appendName(dst []byte, m *moment, thing *population.Named, d population.Draw) []byte {
	every := s.scenario.Rough.RenameEvery
	if every == 0 {
		return appendString(dst, thing.Name)
	}
	phase := int64(population.Key(thing.ID) % uint64(every))
	renamed := (m.time+phase)/every - (s.begin+phase)/every
	if renamed > 0 && (m.time+phase)%every < s.scenario.Rough.RenameFor {
		switch d.With(keyNew).N(3) {
		case 0:
			return append(dst, "null"...)
		case 1:
			renamed--
		}
	}
	if renamed <= 0 {
		return appendString(dst, thing.Name)
	}
	m.scratch = append(append(m.scratch[:0], thing.Name...), " (version "...)
	m.scratch = append(appendFixed(m.scratch, renamed+1, 0), ')')
	return appendString(dst, string(m.scratch))
}

// Drifter makes events drift as those of a scenario do: a Share of them gets a
// field that is new, in properties, in user or beside them, or a type that is
// new. The zero value changes nothing.
type Drifter struct {
	Share scenario.Share
	Seed  uint64
}

// Append drifts the event that begins at start of dst, which is as Rounds or
// Stories write it; number tells events apart. It returns the event and its
// type, which is eventType unless it is a new one.
func (d Drifter) Append(dst []byte, start int, eventType string, number uint64) ([]byte, string) {
	draw := population.Draw(d.Seed).With(keyDrift).With(number)
	if !chanceOf(draw, d.Share) {
		return dst, eventType
	}
	return drift(dst, start, eventType, draw)
}
