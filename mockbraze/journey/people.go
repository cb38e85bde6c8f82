package journey

import "github.com/currentsbridge/currentsbridge/mockbraze/population"

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

// platformSet is a set of platforms.
type platformSet uint8

func bitOf(p population.Platform) platformSet {
	switch p {
	case population.IOS:
		return 1
	case population.Android:
		return 2
	case population.Kindle:
		return 4
	case population.Web:
		return 8
	case population.TVOS:
		return 16
	default:
		return 32
	}
}

func bitsOf(list []population.Platform) (set platformSet) {
	for _, p := range list {
		set |= bitOf(p)
	}
	return set
}

// anyPlatform is the set of all.
const anyPlatform platformSet = 63

func channelIndex(c population.Channel) uint8 {
	for i, known := range population.Channels() {
		if c == known {
			return uint8(i)
		}
	}
	return 0
}
