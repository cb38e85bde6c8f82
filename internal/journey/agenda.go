package journey

import (
	"github.com/currentsbridge/currentsbridge/internal/journey/plot"
	"github.com/currentsbridge/currentsbridge/internal/population"
)

// thread is one way through what happens to one person. It is small and copied
// from each thing that happens to those that follow from it.
type thread struct {
	slot     uint32 // the person's place in the population
	life     uint16 // how many others had the place before
	device   uint8
	platform plot.Platforms // of the device: one bit
	token    uint8          // how often the push token had changed
	channel  uint8          // index of population.Channels
	goal     uint16         // 0, or 1 + the event type that the thread is to reach
	pos      uint8          // how far it is on the path to it
	reason   uint8          // why a Canvas was left
	canvas   int8           // index of the Canvas, -1: none
	step     uint8
	way      uint8 // variation of the Canvas
	wording  uint8
	campaign int32           // index of the campaign, -1: none
	draw     population.Draw // stays with a message, an entry, a visit
	dispatch population.Draw // stays with all whom one dispatch reached
	entry    population.Draw // stays with an entry into a Canvas
	session  population.Draw
	sent     int64 // when the message was sent or shown, 0: there is none
	began    int64 // of the session
	until    int64 // end of the session, 0: there is none
}

// entry is something that will happen, or an event that will be sent.
type entry struct {
	thread
	node   int16
	send   bool   // only the event is to be sent; it happened before
	copied bool   // the event was sent before, too
	first  bool   // the first of its kind for the person and the message
	at     int64  // when, in seconds since the epoch
	time   int64  // when it happened, of an event to be sent
	number uint64 // of the event
	order  uint64 // among the entries
}

// agenda holds entries and gives back the earliest; of those at one second the
// one that was put in first. The entries lie in a slab, so that only small keys
// move.
type agenda struct {
	heap []agendaKey
	slab []entry
	free []int32
	next uint64
}

type agendaKey struct {
	at    int64
	order uint64
	index int32
}

func (k agendaKey) before(o agendaKey) bool {
	return k.at < o.at || k.at == o.at && k.order < o.order
}

// first is when the earliest entry is due.
func (a *agenda) first() (at int64, ok bool) {
	if len(a.heap) == 0 {
		return 0, false
	}
	return a.heap[0].at, true
}

// add puts an entry in.
func (a *agenda) add(e *entry) {
	e.order = a.next
	a.next++
	var index int32
	if n := len(a.free); n > 0 {
		index = a.free[n-1]
		a.free = a.free[:n-1]
		a.slab[index] = *e
	} else {
		index = int32(len(a.slab))
		a.slab = append(a.slab, *e)
	}
	key := agendaKey{e.at, e.order, index}
	i := len(a.heap)
	a.heap = append(a.heap, key)
	for i > 0 {
		up := (i - 1) / 2
		if !key.before(a.heap[up]) {
			break
		}
		a.heap[i] = a.heap[up]
		i = up
	}
	a.heap[i] = key
}

// take removes the earliest entry; there must be one.
func (a *agenda) take(e *entry) {
	index := a.heap[0].index
	*e = a.slab[index]
	a.free = append(a.free, index)
	n := len(a.heap) - 1
	key := a.heap[n]
	a.heap = a.heap[:n]
	if n == 0 {
		return
	}
	i := 0
	for {
		down := 2*i + 1
		if down >= n {
			break
		}
		if down+1 < n && a.heap[down+1].before(a.heap[down]) {
			down++
		}
		if !a.heap[down].before(key) {
			break
		}
		a.heap[i] = a.heap[down]
		i = down
	}
	a.heap[i] = key
}

// person is what happened to the one at a place of the population.
type person struct {
	life   uint16 // how many had the place before
	token  uint8  // how often the push token changed
	gone   bool   // the app is not installed
	closed uint16 // a bit for each channel that must not be used
}

// pageSize is how many people's states are made at once.
const pageSize = 1024

// people holds the states of those to whom something happened. Pages without
// any are not made, so that the size is bounded by what happened and by the
// population, 6 bytes a person.
type people struct{ pages []*[pageSize]person }

func newPeople(users uint64) people {
	return people{pages: make([]*[pageSize]person, (users+pageSize-1)/pageSize)}
}

// get is the state of the one at slot.
func (p *people) get(slot uint32) person {
	if page := p.pages[slot/pageSize]; page != nil {
		return page[slot%pageSize]
	}
	return person{}
}

// at is the state of the one at slot, to be changed.
func (p *people) at(slot uint32) *person {
	page := &p.pages[slot/pageSize]
	if *page == nil {
		*page = new([pageSize]person)
	}
	return &(*page)[slot%pageSize]
}

// replace lets somebody new take the place.
func (p *people) replace(slot uint32) {
	one := p.at(slot)
	*one = person{life: one.life + 1}
}

// closed says whether nothing may be sent to the person on a channel.
func (p person) isClosed(channel uint8) bool { return p.closed&(1<<channel) != 0 }

func (p *person) closeChannel(channel uint8) { p.closed |= 1 << channel }
func (p *person) openChannel(channel uint8)  { p.closed &^= 1 << channel }

func channelIndex(c population.Channel) uint8 {
	for i, known := range population.Channels() {
		if c == known {
			return uint8(i)
		}
	}
	return 0
}
