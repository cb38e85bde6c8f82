package intake

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

type failure struct {
	status int
	text   string
}

func (f *failure) Error() string { return f.text }

func encoding(r *http.Request) (compressed, ok bool) {
	values := r.Header["Content-Encoding"]
	if len(values) == 0 {
		return false, true
	}
	switch strings.ToLower(strings.TrimSpace(strings.Join(values, ","))) {
	case "", "identity":
		return false, true
	case "gzip", "x-gzip":
		return true, true
	}
	return false, false
}

// unmeasured reports whether the end of the body cannot be known: HTTP/1.0 has no
// chunks, and net/http takes a body in chunks for an empty one there. With the
// 200 of Braze's probe its events would be lost.
func unmeasured(r *http.Request) bool {
	return !r.ProtoAtLeast(1, 1) && len(r.Header["Content-Length"]) == 0
}

// silentTime is how long a client may be silent in the middle of a body, and
// bodyTime how long a whole body may take; then the response is 408.
const (
	silentTime = 10 * time.Second
	bodyTime   = time.Minute
)

// bodyReader reads a request's body. A client may be silent for a while, and the
// whole body may take a while, but neither for ever. What comes compressed may not
// be more than it may be uncompressed, or gzip blocks without content could go on
// and on.
type bodyReader struct {
	left      int64 // how many bytes may come
	body      io.Reader
	deadlines *http.ResponseController
	end       time.Time
	err       error // what broke the connection or its framing
}

func (p *bodyReader) Read(b []byte) (int, error) {
	deadline := time.Now().Add(silentTime)
	if deadline.After(p.end) {
		deadline = p.end
	}
	// Without a connection, as in a test, there is nothing to wait for.
	_ = p.deadlines.SetReadDeadline(deadline)
	n, err := p.body.Read(b)
	if p.left -= int64(n); p.left < 0 {
		err = errTooLong
	}
	if err != nil && err != io.EOF {
		p.err = err
	}
	return n, err
}

var errTooLong = errors.New("the body is too long")

// gzipSize is about what a gzip reader takes: window, tables and input.
const gzipSize = 64 << 10

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
