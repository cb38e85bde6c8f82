package journey

import (
	"errors"
	"fmt"

	"github.com/currentsbridge/currentsbridge/mockbraze/population"
)

// Rare types get their turn. After each turnEvery events, or turnAfter minutes
// in which nothing much happened, it is the next type's turn, in the glossary's
// order: if it was not seen since its last turn, a thread begins that leads to
// it, one second a step. So every type is seen within two rounds of turns and
// the seconds that the thread takes.
const (
	turnEvery = 64
	turnAfter = 24 * 60
	// turnTries is for how many people it is tried.
	turnTries = 512
	// maxRounds is after how many rounds of turns without a wanted event Stories
	// give up: twice what it takes where there is somebody for each type.
	maxRounds = 4
)

// ErrOver says that nothing that is wanted happens any more.
var ErrOver = errors.New("none of the wanted event types happens any more")

// Err is nil, or an ErrOver that says what to change: everybody has left, or
// none of a few people has the device that a type needs. Once it is set it
// stays.
func (s *Stories) Err() error { return s.over }

// isOver gives up once all types had their turns and none that is wanted came.
func (s *Stories) isOver() bool {
	if s.over == nil && s.idle >= maxRounds*len(s.types) {
		s.over = fmt.Errorf("%w to the %d people of the scenario: give it more users, more newcomers "+
			"(starts.newcomers, with a pace above 0%%), or ask for more types", ErrOver, s.pop.Users())
	}
	return s.over != nil
}

// nextTurn begins the thread of the type whose turn it is, at an instant.
func (s *Stories) nextTurn(at int64) {
	typ := s.turn
	s.turn = (s.turn + 1) % len(s.types)
	s.forced = at / 60
	s.idle++
	round := uint64(len(s.types)) * turnEvery
	if s.seen[typ] > 0 && s.made-s.seen[typ] < round {
		return
	}
	path := s.graph.paths[typ]
	root := s.graph.nodes[path[0]]
	platforms := s.graph.pathPlatforms(path)
	r := s.rateOf(path[0])
	d := s.draw.With(keyTurn).With(s.made).With(uint64(at))
	for try := range uint64(turnTries) {
		slot := uint32(d.With(try).Bits() % s.pop.Users())
		e := s.entry(slot)
		e.node, e.channel, e.campaign, e.at = path[0], r.channel, r.campaign, at
		e.goal = uint8(typ) + 1
		if e.platform&platforms != 0 && s.ready(&e, root.name) {
			s.agenda.add(&e)
			return
		}
	}
}

// ready says whether a person can take part: reachable, with the app, awake.
func (s *Stories) ready(e *entry, root string) bool {
	one := s.people.get(e.slot)
	if root == optIn {
		e.channel = channelIndex(population.Email)
	}
	if root == atCanvas {
		trial := *e // whether there is a Canvas for it does not depend on the draw
		return !one.gone && !one.isClosed(s.push()) && s.entersCanvas(&trial, 0)
	}
	return !one.gone && !one.isClosed(e.channel) && !one.isClosed(s.push()) && s.quietFor(e) == 0 && s.fits(e)
}

// rateOf finds what begins at a node.
func (s *Stories) rateOf(node int16) rate {
	for i := range s.starts {
		if s.starts[i].node == node {
			return s.starts[i]
		}
	}
	for i := range s.running {
		if s.running[i].node == node {
			return s.running[i].rate
		}
	}
	return rate{node: node, campaign: -1}
}
