package intake

import (
	"errors"
	"sync"
	"sync/atomic"
)

// errNoRoom means that the bodies under way take all the memory they may.
var errNoRoom = errors.New("too many bytes in requests under way")

// budget bounds a number of bytes.
type budget struct {
	limit int64
	used  atomic.Int64
}

func (b *budget) take(n int64) bool {
	if b.used.Add(n) > b.limit {
		b.used.Add(-n)
		return false
	}
	return true
}

func (b *budget) give(n int64) { b.used.Add(-n) }

const (
	smallestBuffer = 4 << 10
	// largestSmall is the largest buffer of the half of the memory that is kept
	// for usual bodies: 100 events of Braze are around 100 KB.
	largestSmall = 256 << 10
	// largestPooled bounds what is kept for reuse.
	largestPooled = 1 << 20
)

// buffers hands out memory for bodies. A body begins in a small buffer and
// moves to one four times as large whenever that is full, so that what a client
// takes is in proportion to what it has sent, whatever it has announced.
type buffers struct {
	sizes        []int // ascending; the last one holds a byte more than a body may have
	pools        []sync.Pool
	small, large budget
}

type buffer struct {
	data  []byte // its length is what is filled
	class int
}

func newBuffers(maxBody, maxBuffered int64) *buffers {
	b := &buffers{small: budget{limit: maxBuffered / 2}, large: budget{limit: maxBuffered / 2}}
	for size := int64(smallestBuffer); size < maxBody; size *= 4 {
		b.sizes = append(b.sizes, int(size))
	}
	b.sizes = append(b.sizes, int(maxBody)+1)
	b.pools = make([]sync.Pool, len(b.sizes))
	return b
}

func (b *buffers) budget(size int) *budget {
	if size <= largestSmall {
		return &b.small
	}
	return &b.large
}

// get returns an empty buffer of a class, 0 being the smallest.
func (b *buffers) get(class int) (*buffer, error) {
	size := b.sizes[class]
	if !b.budget(size).take(int64(size)) {
		return nil, errNoRoom
	}
	if kept, ok := b.pools[class].Get().(*buffer); ok {
		kept.data = kept.data[:0]
		return kept, nil
	}
	return &buffer{data: make([]byte, 0, size), class: class}, nil
}

// grow returns a larger buffer with the same content and takes the old one
// back. The largest one does not grow; it is larger than a body may be.
func (b *buffers) grow(old *buffer) (*buffer, error) {
	larger, err := b.get(old.class + 1)
	if err != nil {
		return old, err
	}
	larger.data = append(larger.data, old.data...)
	b.put(old)
	return larger, nil
}

func (b *buffers) put(old *buffer) {
	size := b.sizes[old.class]
	b.budget(size).give(int64(size))
	if size <= largestPooled {
		b.pools[old.class].Put(old)
	}
}

// inUse returns the bytes handed out.
func (b *buffers) inUse() float64 { return float64(b.small.used.Load() + b.large.used.Load()) }
