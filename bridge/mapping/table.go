package mapping

import (
	"encoding/binary"
	"math/bits"
)

// table numbers a fixed set of names, for keys of JSON that are looked up by
// the million: it is several times as quick as a Go map. The zero value is
// empty. What comes from outside is never added, so no sender can make it slow.
type table struct {
	slots []slot // a power of two of them, at most a quarter taken
	size  int
}

type slot struct {
	ends
	name   string
	number int32 // from 1; 0: free
}

// add returns the number of a name, from 0 in the order of adding.
func (t *table) add(name string) int {
	if i := t.find([]byte(name)); i >= 0 {
		return i
	}
	if 4*(t.size+1) > len(t.slots) {
		old := t.slots
		t.slots = make([]slot, max(16, 2*len(old)))
		for _, s := range old {
			if s.number > 0 {
				t.put(s)
			}
		}
	}
	t.size++
	t.put(slot{endsOf([]byte(name)), name, int32(t.size)})
	return t.size - 1
}

func (t *table) put(s slot) {
	mask := uint64(len(t.slots) - 1)
	i := s.hash() & mask
	for t.slots[i].number > 0 {
		i = (i + 1) & mask
	}
	t.slots[i] = s
}

// find returns the number of a name, or -1.
func (t *table) find(name []byte) int {
	slots := t.slots
	if len(slots) == 0 {
		return -1
	}
	var e ends
	if n := len(name); n >= 8 { // nearly always; endsOf by hand, because this is the hottest place
		e = ends{binary.LittleEndian.Uint64(name), binary.LittleEndian.Uint64(name[n-8:])}
	} else {
		e = shortEnds(name)
	}
	mask := uint64(len(slots) - 1)
	for i := e.hash(); ; i++ {
		s := &slots[i&mask]
		if s.first == e.first && s.last == e.last && len(s.name) == len(name) && (len(name) <= 16 || s.name == string(name)) {
			return int(s.number) - 1
		}
		if s.number == 0 {
			return -1
		}
	}
}

// ends are the first and the last bytes of a name, in which names differ. With
// the length they are all that there is to know of one of up to 16 bytes.
type ends struct{ first, last uint64 }

func endsOf(name []byte) ends {
	n := len(name)
	if n >= 8 {
		return ends{binary.LittleEndian.Uint64(name), binary.LittleEndian.Uint64(name[n-8:])}
	}
	return shortEnds(name)
}

func shortEnds(name []byte) ends {
	switch n := len(name); {
	case n >= 4:
		return ends{uint64(binary.LittleEndian.Uint32(name)), uint64(binary.LittleEndian.Uint32(name[n-4:]))}
	case n > 0:
		return ends{uint64(name[0]), uint64(name[n/2])<<8 | uint64(name[n-1])}
	}
	return ends{}
}

func (e ends) hash() uint64 {
	return (e.first ^ bits.RotateLeft64(e.last, 25)) * 0x9e3779b97f4a7c15 >> 32
}
