package jetstream

import (
	"cmp"
	"slices"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
)

// item is a record of which something is pending. There is one for each, so it
// is small.
type item struct {
	seq          uint64
	received     int64 // nanoseconds since 1970
	events, left uint32
	size         uint32
	part         *part // nil: no event has an outcome
}

// part is what became of the events of a record so far.
type part struct {
	settled, missed wire.Bitset // missed: settled, but not as delivered
}

// has tells whether event i has an outcome.
func (it *item) has(i int) bool { return it.part != nil && it.part.settled.Has(i) }

// settle notes an outcome of event i.
func (it *item) settle(i int, missed bool) {
	if it.part == nil {
		it.part = &part{settled: wire.Bitset(nil).Sized(int(it.events))}
	}
	it.part.settled.Set(i)
	if missed {
		if it.part.missed == nil {
			it.part.missed = wire.Bitset(nil).Sized(int(it.events))
		}
		it.part.missed.Set(i)
	}
	it.left--
}

func (it *item) receivedAt() time.Time { return time.Unix(0, it.received) }

// pendings are the items in the order of their records. Those that are done
// stay until there are many of them.
type pendings struct {
	items []item
	done  int   // items that have nothing left
	bytes int64 // of the others' messages
}

// add appends an item; its record is the newest.
func (p *pendings) add(it item) *item {
	p.items = append(p.items, it)
	p.bytes += int64(it.size)
	return &p.items[len(p.items)-1]
}

// find returns the item of a record; nil: nothing of it is pending.
func (p *pendings) find(seq uint64) *item {
	i, ok := slices.BinarySearchFunc(p.items, seq, func(it item, seq uint64) int { return cmp.Compare(it.seq, seq) })
	if !ok || p.items[i].left == 0 {
		return nil
	}
	return &p.items[i]
}

// finish notes that it has nothing left. Items move, so it is of no use afterwards.
func (p *pendings) finish(it *item) {
	p.done++
	p.bytes -= int64(it.size)
	it.part = nil
	const few = 64
	if p.done > few && 2*p.done > len(p.items) {
		p.items = slices.DeleteFunc(p.items, func(it item) bool { return it.left == 0 })
		p.done = 0
	}
	for len(p.items) > 0 && p.items[0].left == 0 {
		p.items = p.items[1:]
		p.done--
	}
}

// front returns the oldest item, or nil.
func (p *pendings) front() *item {
	if len(p.items) == 0 {
		return nil
	}
	return &p.items[0]
}
