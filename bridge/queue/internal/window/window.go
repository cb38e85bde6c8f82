// Package window remembers the newest ids, to catch duplicates.
package window

import "math/bits"

// Hash is 128 bits of an id.
type Hash = [2]uint64

// minTable is the size of a table with entries; lookAhead is how many ids Trim
// looks at together.
const (
	minTable  = 1 << 8
	lookAhead = 128
)

// entry is 32 bits of an id's hash, its tag, over the low 32 bits of its
// position; 0 is a free one. With the tag at hand the table is searched and
// repaired without a look at the ids, each of which would be a cache miss.
type entry uint64

func newEntry(id Hash, pos uint64) entry {
	return entry(id[0]&^(1<<32-1) | pos&(1<<32-1))
}

func (e entry) tag() uint32 { return uint32(e >> 32) }

// Window is a set of ids in the order in which they came. Each id that was
// added has a position; positions count up from 1.
//
// An id takes 32 to 64 bytes: itself, in a ring, and an entry of a hash table
// that is filled to at most one half. Memory grows with what is in the window,
// not with its limit. A Window is not safe for concurrent use.
type Window struct {
	limit  int
	ring   []Hash  // of the positions from first on; its length is a power of two
	table  []entry // its length is a power of two
	shift  uint    // a tag shifted right by it is the tag's home in table
	looked entry   // keeps the compiler from leaving out Look's reading
	first  uint64  // position of the oldest id
	next   uint64  // position of the next id
}

// New returns an empty window whose Trim keeps limit ids.
func New(limit int) *Window {
	w := &Window{limit: max(limit, 0), first: 1, next: 1, ring: make([]Hash, minTable/2)}
	w.rehash(minTable)
	return w
}

// Add remembers id. Where the window has it already Add returns true and changes
// nothing. The zero Hash stands for no id: it is never remembered and never a
// repeat.
//
// Add never evicts, so that all repeats within one batch are found however
// small the limit is: call Trim when the batch is over.
func (w *Window) Add(id Hash) (repeat bool) {
	if id == (Hash{}) {
		return false
	}
	tag := newEntry(id, 0).tag()
	slot := w.home(tag)
	for ; w.table[slot] != 0; slot = (slot + 1) & (len(w.table) - 1) {
		if e := w.table[slot]; e.tag() == tag && *w.at(w.position(e)) == id {
			return true
		}
	}
	if uint32(w.next) == 0 { // its entry could look free
		w.push(Hash{})
	}
	w.table[slot] = newEntry(id, w.next)
	w.push(id)
	if 2*(w.Size()+1) > len(w.table) {
		w.rehash(2 * len(w.table))
	}
	return false
}

// Next is the position of the next id that Add remembers.
func (w *Window) Next() uint64 { return w.next }

// Size returns the number of ids that are remembered.
func (w *Window) Size() int { return int(w.next - w.first) }

// Look readies the window for Add(id). Almost all of the time that Add and Trim
// take is waiting for memory; a caller that looks at all ids of a batch before
// it adds the first one waits for them together and not one after another. It
// has no other effect.
func (w *Window) Look(id Hash) { w.looked ^= w.table[w.home(newEntry(id, 0).tag())] }

// Forget takes the ids from the position from on out of the window: what they
// belonged to was not stored after all.
func (w *Window) Forget(from uint64) {
	for w.next > max(from, w.first) {
		w.next--
		w.remove(w.next)
	}
}

// Trim forgets the oldest ids until no more than the limit are left.
func (w *Window) Trim() {
	for w.Size() > w.limit {
		end := w.first + uint64(min(w.Size()-w.limit, lookAhead))
		for pos := w.first; pos < end; pos++ {
			w.Look(*w.at(pos))
		}
		for ; w.first < end; w.first++ {
			w.remove(w.first)
		}
	}
}

// push puts id at the next position.
func (w *Window) push(id Hash) {
	if w.Size() == len(w.ring) {
		old := *w
		w.ring = make([]Hash, 2*len(w.ring))
		for pos := w.first; pos < w.next; pos++ {
			*w.at(pos) = *old.at(pos)
		}
	}
	*w.at(w.next) = id
	w.next++
}

func (w *Window) at(pos uint64) *Hash { return &w.ring[int(pos)&(len(w.ring)-1)] }

// position makes a whole position of the half that an entry keeps; at most 2^32
// positions are alive.
func (w *Window) position(e entry) uint64 {
	return w.first + uint64(uint32(e)-uint32(w.first))
}

func (w *Window) home(tag uint32) int { return int(tag >> w.shift) }

// remove takes the id at pos out of the table. Entries after it move up, so that
// no search ends at a gap before its goal.
func (w *Window) remove(pos uint64) {
	if *w.at(pos) == (Hash{}) {
		return
	}
	mask := len(w.table) - 1
	gone := newEntry(*w.at(pos), pos)
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
}

// rehash makes the table as large as size. The homes are the tags' upper bits, so
// that the entries stay in order and the new table is filled from front to back.
func (w *Window) rehash(size int) {
	old := w.table
	w.table = make([]entry, size)
	w.shift = 32 - uint(bits.TrailingZeros(uint(size)))
	for _, e := range old {
		if e == 0 {
			continue
		}
		slot := w.home(e.tag())
		for w.table[slot] != 0 {
			slot = (slot + 1) & (size - 1)
		}
		w.table[slot] = e
	}
}
