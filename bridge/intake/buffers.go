package intake

import (
	"errors"
	"sync"
)

// errNoRoom means that the bodies under way take all the memory they may.
var errNoRoom = errors.New("too many bytes in requests under way")

const (
	smallestBuffer = 4 << 10
	// largestSmall is the largest buffer of the half of the memory that is kept
	// for usual bodies: 100 events of Braze are around 100 KB.
	largestSmall = 256 << 10
	// largestPooled bounds what is kept for reuse.
	largestPooled = 1 << 20
	// leastSmall is room for a usual body while it moves to its last buffer,
	// packed with gzip. Each connector has that much of its own.
	leastSmall = largestSmall + largestSmall/4 + unpackerSize
)

// buffers hands out memory for bodies. A body begins in a small buffer and
// moves to one four times as large whenever that is full, so that what a client
// takes is in proportion to what it has sent, whatever it has announced.
type buffers struct {
	sizes        []int // ascending; the last one holds a byte more than a body may have
	pools        []sync.Pool
	small, large *pot // bytes
}

// room is the memory that a connector may take for bodies.
type room struct{ small, large *share }

func (r room) of(size int) *share {
	if size <= largestSmall {
		return r.small
	}
	return r.large
}

type buffer struct {
	data  []byte // its length is what is filled
	class int
	room  room // where its size is taken from
}

func newBuffers(maxBody, maxBuffered int64) *buffers {
	b := &buffers{small: &pot{limit: maxBuffered / 2, least: leastSmall}, large: &pot{limit: maxBuffered / 2}}
	for size := int64(smallestBuffer); size < maxBody; size *= 4 {
		b.sizes = append(b.sizes, int(size))
	}
	b.sizes = append(b.sizes, int(maxBody)+1)
	b.pools = make([]sync.Pool, len(b.sizes))
	return b
}

// room makes the shares of one connector.
func (b *buffers) room() room { return room{b.small.add(), b.large.add()} }

// get returns an empty buffer of a class, 0 being the smallest.
func (b *buffers) get(class int, r room) (*buffer, error) {
	size := b.sizes[class]
	if !r.of(size).take(int64(size)) {
		return nil, errNoRoom
	}
	if kept, ok := b.pools[class].Get().(*buffer); ok {
		kept.data, kept.room = kept.data[:0], r
		return kept, nil
	}
	return &buffer{data: make([]byte, 0, size), class: class, room: r}, nil
}

// grow returns a larger buffer with the same content and takes the old one
// back. The largest one does not grow; it is larger than a body may be.
func (b *buffers) grow(old *buffer) (*buffer, error) {
	larger, err := b.get(old.class+1, old.room)
	if err != nil {
		return old, err
	}
	larger.data = append(larger.data, old.data...)
	b.put(old)
	return larger, nil
}

func (b *buffers) put(old *buffer) {
	size := b.sizes[old.class]
	old.room.of(size).give(int64(size))
	old.room = room{}
	if size <= largestPooled {
		b.pools[old.class].Put(old)
	}
}

// inUse returns the bytes handed out.
func (b *buffers) inUse() float64 { return float64(b.small.taken() + b.large.taken()) }
