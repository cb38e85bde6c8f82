package intake

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

const (
	smallestBuffer = 4 << 10
	// largestSmall is the largest buffer of the half of the memory that is kept
	// for usual bodies: 100 events of Braze are around 100 KB.
	largestSmall = 256 << 10
	// largestPooled bounds what is kept for reuse.
	largestPooled = 1 << 20
	// leastSmall is room for a usual body, compressed with gzip, while it moves to
	// its last buffer. Each connector has that much of its own.
	leastSmall = largestSmall + largestSmall/4 + gzipSize
)

// buffers hands out memory for bodies. A body begins in a small buffer and moves
// to one four times as large whenever that is full, so that what a client takes
// is in proportion to what it has sent, whatever it has announced.
type buffers struct {
	sizes []int // ascending; the last one holds a byte more than a body may have
	pools []sync.Pool
	used  atomic.Int64 // bytes handed out
}

type buffer struct {
	data  []byte // its length is what is filled
	class int
	room  *semaphore.Weighted // where its size is taken from
}

func newBuffers(maxBody int64) *buffers {
	b := &buffers{}
	for size := int64(smallestBuffer); size < maxBody; size *= 4 {
		b.sizes = append(b.sizes, int(size))
	}
	b.sizes = append(b.sizes, int(maxBody)+1)
	b.pools = make([]sync.Pool, len(b.sizes))
	return b
}

func (b *buffers) take(from quota, n int64) *semaphore.Weighted {
	room := from.take(n)
	if room != nil {
		b.used.Add(n)
	}
	return room
}

func (b *buffers) release(room *semaphore.Weighted, n int64) {
	room.Release(n)
	b.used.Add(-n)
}

func (b *buffers) get(class int, to *connector) (*buffer, error) {
	size, from := b.sizes[class], to.small
	if size > largestSmall {
		from = to.large
	}
	room := b.take(from, int64(size))
	if room == nil {
		return nil, errBusy
	}
	kept, ok := b.pools[class].Get().(*buffer)
	if !ok {
		kept = &buffer{data: make([]byte, 0, size), class: class}
	}
	kept.data, kept.room = kept.data[:0], room
	return kept, nil
}

// grow returns a larger buffer with the same content and takes the old one back;
// on an error it returns the old one. The largest one does not grow; it is larger
// than a body may be.
func (b *buffers) grow(old *buffer, to *connector) (*buffer, error) {
	larger, err := b.get(old.class+1, to)
	if err != nil {
		return old, err
	}
	larger.data = append(larger.data, old.data...)
	b.put(old)
	return larger, nil
}

func (b *buffers) put(old *buffer) {
	size := b.sizes[old.class]
	b.release(old.room, int64(size))
	old.room = nil
	if size <= largestPooled {
		b.pools[old.class].Put(old)
	}
}
