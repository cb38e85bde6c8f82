package bytecheck

import (
	"maps"
	"slices"
)

// members is what a schema knows of an object's members by name.
type members struct {
	list     []member
	places   map[string]int // in list, by name
	required []int          // places in list
	section  int            // where unknown members are noted, see NoteUnknown
}

type member struct {
	name   string
	schema *Checker // nil: nothing is asked
	known  bool     // see NoteUnknown
}

// add returns the place of a name, which is made where it is new.
func (m *members) add(name string) int {
	place, ok := m.places[name]
	if !ok {
		place = len(m.list)
		m.list = append(m.list, member{name: name})
		if m.places == nil {
			m.places = map[string]int{}
		}
		m.places[name] = place
	}
	return place
}

// gather puts the values that have a name in the list into new slots and returns
// the first of these. The whole document is the value of none, so that 0 says
// that there is none. Of a name given twice the last value counts, so each is
// looked at once all are there. Checking one may move the slots.
func (m *members) gather(x *Index, at Node) (first int) {
	first = len(x.slots)
	x.slots = slices.Grow(x.slots, len(m.list))[:first+len(m.list)]
	slots := x.slots[first:]
	clear(slots)
	end := x.nodes[at].next
	for key := at + 1; key < end; key = x.nodes[key+1].next {
		place, ok := m.places[string(x.Text(key))]
		if ok {
			slots[place] = key + 1
		}
		if m.section != 0 && (!ok || !m.list[place].known) {
			x.unknown = append(x.unknown, Unknown{m.section, key, key + 1})
		}
	}
	return first
}

// Unknown is a member whose name is not among the known ones, see NoteUnknown.
type Unknown struct {
	Section    int
	Key, Value Node
}

// Unknown lists the members that were met and are not known, in the order in
// which Check met them since the text was read. Where an object has a name
// twice, both are there. The list is good until the next Read.
func (x *Index) Unknown() []Unknown { return x.unknown }

// NoteUnknown has the checker note the members of the object at a path (of names from
// the root) that are not among the known ones. They are noted under section,
// which must not be 0. What is valid does not change. NoteUnknown is for the time
// before the checker is shared.
func (c *Checker) NoteUnknown(section int, known []string, path ...string) {
	for _, name := range path {
		c.members = c.members.copied()
		place := c.members.add(name)
		inner := &Checker{}
		if have := c.members.list[place].schema; have != nil {
			*inner = *have // it may be that of another place too
		}
		c.members.list[place].schema = inner
		c = inner
	}
	c.members = c.members.copied()
	c.members.section = section
	for _, name := range known {
		c.members.list[c.members.add(name)].known = true
	}
}

func (m *members) copied() *members {
	if m == nil {
		return &members{}
	}
	out := *m
	out.list, out.places = slices.Clone(m.list), maps.Clone(m.places)
	return &out
}
