package queue

import "math/bits"

const (
	chunkBits = 10
	chunkSize = 1 << chunkBits
	minTable  = 1 << 8
	lookAhead = 128 // ids that trim looks at together
)

type chunk [chunkSize]Hash

// entry is 32 bits of an id's hash, its tag, over the low 32 bits of its
// position; 0 is a free one. With the tag at hand the table is searched and
// repaired without a look at the ids, each of which would be a cache miss.
type entry uint64

func newEntry(id Hash, pos uint64) entry {
	return entry(id[0]&^(1<<32-1) | pos&(1<<32-1))
}

func (e entry) tag() uint32 { return uint32(e >> 32) }

// window is a set of ids in the order in which they came. Each id that was
// added has a position; positions count up from 1 and are never used again.
//
// An id takes 32 to 48 bytes: itself, in chunks that come and go with the ids,
// and an entry of a hash table that is filled to at most one half. Memory grows
// with what is in the window, not with its limit.
//
// The zero window is empty, has the limit 0 and is ready for use. A window is
// not safe for concurrent use.
type window struct {
	limit  int
	chunks []*chunk // of the positions from first on, in order
	spare  *chunk
	table  []entry // its length is a power of two
	shift  uint    // a tag shifted right by it is the tag's home in table
	used   int     // entries in table
	looked entry   // keeps the compiler from leaving out Look's reading
	first  uint64  // position of the oldest slot
	next   uint64  // position of the next slot
}

// newWindow returns an empty window whose trim keeps limit ids. A negative limit
// counts as 0.
func newWindow(limit int) *window {
	return &window{limit: max(limit, 0)}
}

// add remembers id and returns its position. Where the window has id already
// it returns that one's position and true, and changes nothing. The zero Hash
// stands for no id: it is never remembered and never a repeat; its position
// is 0.
//
// add never evicts, so that all repeats within one batch are found however
// small the limit is: call trim when the batch is over.
func (w *window) add(id Hash) (pos uint64, repeat bool) {
	if id == (Hash{}) {
		return 0, false
	}
	if 2*(w.used+1) > len(w.table) {
		w.grow()
	}
	tag := newEntry(id, 0).tag()
	slot := w.home(tag)
	for w.table[slot] != 0 {
		if e := w.table[slot]; e.tag() == tag {
			if pos := w.position(e); *w.at(pos) == id {
				return pos, true
			}
		}
		slot = (slot + 1) & (len(w.table) - 1)
	}
	pos = w.push(id)
	w.table[slot] = newEntry(id, pos)
	w.used++
	return pos, false
}

// look readies the window for add(id). Almost all of the time that add and trim
// take is waiting for memory; a caller that looks at all ids of a batch before
// it adds the first one waits for them together and not one after another. It
// has no other effect.
func (w *window) look(id Hash) {
	if len(w.table) > 0 {
		w.looked ^= w.table[w.home(newEntry(id, 0).tag())]
	}
}

// nextPos returns the position that the next new id will get.
func (w *window) nextPos() uint64 {
	w.start()
	return w.next
}

// firstPos returns the position of the oldest id that is remembered; it equals
// next when there is none.
func (w *window) firstPos() uint64 {
	w.start()
	return w.first
}

// size returns the number of ids that are remembered.
func (w *window) size() int { return w.used }

// forget takes the ids at the positions from (included) to to (not included)
// out of the window: what they belonged to was not stored after all.
func (w *window) forget(from, to uint64) {
	w.start()
	for pos := max(from, w.first); pos < min(to, w.next); pos++ {
		w.remove(pos)
	}
	for w.next > max(from, w.first) && w.next <= to {
		w.next--
		if w.next&(chunkSize-1) == 0 {
			w.dropLast()
		}
	}
}

// trim forgets the oldest ids until no more than the limit are left.
func (w *window) trim() {
	w.start()
	for w.next-w.first > uint64(w.limit) {
		end := w.first + min(w.next-w.first-uint64(w.limit), lookAhead)
		for pos := w.first; pos < end; pos++ {
			w.look(*w.at(pos))
		}
		for w.first < end {
			w.remove(w.first)
			w.first++
			if w.first&(chunkSize-1) == 0 {
				w.spare = w.chunks[0]
				w.chunks[0] = nil
				w.chunks = w.chunks[1:]
			}
		}
	}
}

// start makes the zero window usable: position 0 stands for no position.
func (w *window) start() {
	if w.next == 0 {
		w.first, w.next = 1, 1
	}
}

// push puts id into the next slot. A position whose low half is zero would look
// like a free entry of the table, so its slot stays empty.
func (w *window) push(id Hash) uint64 {
	w.start()
	if uint32(w.next) == 0 {
		w.slot(w.next)
		w.next++
	}
	pos := w.next
	*w.slot(pos) = id
	w.next++
	return pos
}

// slot returns the slot of the next position, with a new chunk where one begins.
func (w *window) slot(pos uint64) *Hash {
	if w.chunk(pos) == len(w.chunks) {
		if w.spare == nil {
			w.spare = new(chunk)
		}
		w.chunks = append(w.chunks, w.spare)
		w.spare = nil
	}
	s := w.at(pos)
	*s = Hash{}
	return s
}

func (w *window) dropLast() {
	last := len(w.chunks) - 1
	if w.chunk(w.next) != last {
		return
	}
	w.spare = w.chunks[last]
	w.chunks = w.chunks[:last]
}

func (w *window) chunk(pos uint64) int {
	return int(pos>>chunkBits - w.first>>chunkBits)
}

func (w *window) at(pos uint64) *Hash {
	return &w.chunks[w.chunk(pos)][pos&(chunkSize-1)]
}

// position makes a whole position of the half that an entry keeps; at most 2^32
// positions are alive.
func (w *window) position(e entry) uint64 {
	return w.first + uint64(uint32(e)-uint32(w.first))
}

func (w *window) home(tag uint32) int { return int(tag >> w.shift) }

// remove takes the id at pos out of the table and empties its slot. Entries
// after it move up, so that no search meets a gap before its goal.
func (w *window) remove(pos uint64) {
	id := *w.at(pos)
	if id == (Hash{}) {
		return
	}
	mask := len(w.table) - 1
	gone := newEntry(id, pos)
	slot := w.home(gone.tag())
	for w.table[slot] != gone {
		slot = (slot + 1) & mask
	}
	for next := (slot + 1) & mask; w.table[next] != 0; next = (next + 1) & mask {
		home := w.home(w.table[next].tag())
		if (next-home)&mask >= (next-slot)&mask {
			w.table[slot] = w.table[next]
			slot = next
		}
	}
	w.table[slot] = 0
	*w.at(pos) = Hash{}
	w.used--
}

// grow doubles the table. The homes are the tags' upper bits, so that the
// entries stay in order and the new table is filled from front to back.
func (w *window) grow() {
	old := w.table
	w.table = make([]entry, max(minTable, 2*len(old)))
	w.shift = 32 - uint(bits.TrailingZeros(uint(len(w.table))))
	for _, e := range old {
		if e == 0 {
			continue
		}
		slot := w.home(e.tag())
		for w.table[slot] != 0 {
			slot = (slot + 1) & (len(w.table) - 1)
		}
		w.table[slot] = e
	}
}
