package story

import (
	"slices"

	"github.com/currentsbridge/currentsbridge/internal/journey"
	"github.com/currentsbridge/currentsbridge/internal/journey/plot"
	"github.com/currentsbridge/currentsbridge/internal/population"
)

// thread is a sequence of things that happen to one person. It is small, and
// copied from each thing to those that follow from it.
type thread struct {
	slot      uint32 // index of the person
	life      uint16 // how many persons had this index before
	device    uint8
	platform  plot.Platforms // of the device: one bit
	token     uint8          // how often the push token had changed
	channel   uint8          // index of population.Channels
	goal      uint16         // 0, or 1 + the event type that the thread is to reach
	pos       uint8          // index of its last node on the path to it
	reason    journey.Exit   // why a Canvas was left
	canvas    int8           // index of the Canvas, -1: none
	step      uint8
	variation uint8           // of the Canvas
	wording   uint8           // variation of the message
	campaign  int32           // index of the campaign, -1: none
	draw      population.Draw // stays with a message, an entry, a visit
	dispatch  population.Draw // stays with all whom one dispatch reached
	entry     population.Draw // stays with an entry into a Canvas
	session   population.Draw
	sent      int64 // when the message was sent or shown, 0: there is none
	began     int64 // of the session
	until     int64 // end of the session, 0: there is none
}

// entry is something that will happen, or an event that will be sent.
type entry struct {
	thread
	node   int16
	send   bool   // it happened before; only the event is to be sent
	copied bool   // the event was sent before, too
	first  bool   // the first of its kind for the person and the message
	at     int64  // when it is due, in seconds since the epoch
	time   int64  // when it happened, of an event to be sent
	number uint64 // of the event
	order  uint64 // among the entries
}

// agenda holds entries by the second in which they are due, and of one second in the
// order in which they were added.
type agenda struct {
	due    map[int64][]entry
	second int64 // the one whose entries are taken
	taken  int   // of them
	next   uint64
}

// add adds an entry, of this second or a later one.
func (a *agenda) add(e *entry) {
	e.order = a.next
	a.next++
	list, ok := a.due[e.at]
	if !ok {
		list = make([]entry, 0, 4)
	}
	a.due[e.at] = append(list, *e)
}

// take removes the earliest entry that is due before a second; ok says whether there was
// one.
func (a *agenda) take(before int64) (e entry, ok bool) {
	for ; a.second < before; a.second++ {
		if now := a.due[a.second]; a.taken < len(now) {
			a.taken++
			return now[a.taken-1], true
		}
		delete(a.due, a.second)
		a.taken = 0
	}
	return e, false
}

// person is the state of a person to whom something lasting happened.
type person struct {
	life   uint16 // how many persons had this index before
	token  uint8  // how often the push token changed
	gone   bool   // the app is not installed
	closed uint16 // a bit for each channel that must not be used
}

// people holds the states by index; without one it is the zero value.
type people map[uint32]*person

func (p people) get(slot uint32) person {
	if one := p[slot]; one != nil {
		return *one
	}
	return person{}
}

func (p people) at(slot uint32) *person {
	one := p[slot]
	if one == nil {
		one = new(person)
		p[slot] = one
	}
	return one
}

func (p people) replace(slot uint32) {
	one := p.at(slot)
	*one = person{life: one.life + 1}
}

func (p person) isClosed(channel uint8) bool { return p.closed&(1<<channel) != 0 }

func (p *person) setClosed(channel uint8, closed bool) {
	p.closed &^= 1 << channel
	if closed {
		p.closed |= 1 << channel
	}
}

func channelIndex(c population.Channel) uint8 {
	return uint8(max(slices.Index(population.Channels(), c), 0))
}
