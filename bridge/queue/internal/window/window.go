// Package window remembers the newest ids, to catch duplicates.
package window

import "math/bits"

// Hash is 128 bits of an id.
type Hash = [2]uint64

const (
	chunkSize = 1 << 12 // ids
	partBits  = 10      // of a tag, that choose its part of the table
	minPart   = 1 << 3  // entries of a part that has any
	lookAhead = 128     // ids that Trim looks at together; at most chunkSize
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
// An id takes 29 to 42 bytes: itself, in a chunk, and an entry of a hash table
// that is filled to at most five eighths. Memory grows with what is in the window,
// not with its limit, and in small steps: one large table that is copied when it is
// full would keep whoever adds waiting, for 80 ms at half a million ids. A Window is
// not safe for concurrent use.
type Window struct {
	limit  int
	chunks [][]Hash // of chunkSize each, of the positions from first, rounded down, on
	spare  []Hash   // a chunk that is in use no more, or none
	table  [1 << partBits]part
	looked entry  // keeps the compiler from leaving out Look's reading
	first  uint64 // position of the oldest id
	next   uint64 // position of the next id
}

// part is a hash table of the ids whose tags have the same first bits.
type part struct {
	entries []entry // none, or a power of two
	used    int
	shift   uint // a tag without its first bits shifted right by it is the tag's home in entries
}

// New returns an empty window whose Trim keeps limit ids.
func New(limit int) *Window { return &Window{limit: max(limit, 0), first: 1, next: 1} }

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
	p := w.part(tag)
	if 8*(p.used+1) > 5*len(p.entries) {
		p.grow()
	}
	slot := p.home(tag)
	for ; p.entries[slot] != 0; slot = p.after(slot) {
		if e := p.entries[slot]; e.tag() == tag && *w.at(w.position(e)) == id {
			return true
		}
	}
	if uint32(w.next) == 0 { // its entry could look free
		w.push(Hash{})
	}
	p.entries[slot] = newEntry(id, w.next)
	p.used++
	w.push(id)
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
func (w *Window) Look(id Hash) {
	tag := newEntry(id, 0).tag()
	if p := w.part(tag); p.used > 0 {
		w.looked ^= p.entries[p.home(tag)]
	}
}

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
		for pos := w.first; pos < end; pos++ {
			w.remove(pos)
		}
		if w.first/chunkSize < end/chunkSize {
			w.spare, w.chunks[0] = w.chunks[0], nil
			w.chunks = w.chunks[1:]
		}
		w.first = end
	}
}

// push puts id at the next position.
func (w *Window) push(id Hash) {
	if w.next/chunkSize-w.first/chunkSize == uint64(len(w.chunks)) {
		if w.spare == nil {
			w.spare = make([]Hash, chunkSize)
		}
		w.chunks, w.spare = append(w.chunks, w.spare), nil
	}
	*w.at(w.next) = id
	w.next++
}

func (w *Window) at(pos uint64) *Hash {
	return &w.chunks[pos/chunkSize-w.first/chunkSize][pos%chunkSize]
}

// position makes a whole position of the half that an entry keeps; at most 2^32
// positions are alive.
func (w *Window) position(e entry) uint64 {
	return w.first + uint64(uint32(e)-uint32(w.first))
}

// remove takes the id at pos out of the table.
func (w *Window) remove(pos uint64) {
	if id := *w.at(pos); id != (Hash{}) {
		e := newEntry(id, pos)
		w.part(e.tag()).remove(e)
	}
}

func (w *Window) part(tag uint32) *part { return &w.table[tag>>(32-partBits)] }

func (p *part) home(tag uint32) int { return int(tag << partBits >> p.shift) }

func (p *part) after(slot int) int { return (slot + 1) & (len(p.entries) - 1) }

// remove takes an entry out. Those after it move up, so that no search ends at a gap
// before its goal.
func (p *part) remove(gone entry) {
	mask := len(p.entries) - 1
	slot := p.home(gone.tag())
	for p.entries[slot] != gone {
		slot = p.after(slot)
	}
	for next := p.after(slot); p.entries[next] != 0; next = p.after(next) {
		home := p.home(p.entries[next].tag())
		if (next-home)&mask >= (next-slot)&mask {
			p.entries[slot] = p.entries[next]
			slot = next
		}
	}
	p.entries[slot] = 0
	p.used--
}

// grow makes room for twice as many entries.
func (p *part) grow() {
	old := p.entries
	p.entries = make([]entry, max(minPart, 2*len(old)))
	p.shift = 32 - uint(bits.TrailingZeros(uint(len(p.entries))))
	for _, e := range old {
		if e == 0 {
			continue
		}
		slot := p.home(e.tag())
		for p.entries[slot] != 0 {
			slot = p.after(slot)
		}
		p.entries[slot] = e
	}
}
