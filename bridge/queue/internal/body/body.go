// Package body is the format of a record's bytes, with their checksum.
package body

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"sync"

	"github.com/klauspost/compress/s2"
)

// A body is what the table of bodies holds of a record: for each batch that is in
// it a part,
//
//	1 byte   the version
//	4 bytes  CRC-32C of the rest of the part
//	uvarint  connector
//	uvarint  time of receipt, microseconds since 1970
//	uvarint  number of events
//	uvarint  length of each event
//	uvarint  length of the block
//	s2 block of the events' bytes, one after the other
//
// So a body whose record cannot be read any more still says what it is.
const version = 1

// MaxSize is the most bytes that the events of one record may have: SQLite takes
// values of up to a billion bytes, and both ends hold a record in memory.
const MaxSize = 256 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrDamaged means that a body is not what was written.
var ErrDamaged = errors.New("body does not match its checksum")

// buffers are used again for what an encoding or decoding needs for a moment.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxPooled is the largest buffer that is kept for later.
const maxPooled = 1 << 20

// Buffer returns an empty buffer.
func Buffer() *[]byte { return buffers.Get().(*[]byte) }

// Give gives a buffer back: nothing may use its bytes any more. nil is no buffer.
func Give(b *[]byte) {
	if b == nil {
		return
	}
	if *b = (*b)[:0]; cap(*b) > maxPooled {
		*b = nil
	}
	buffers.Put(b)
}

// Events is a list of events. Give gives All back.
type Events struct {
	All     *[]byte // a Buffer with the events, one after the other; nil: there are none
	Lengths []int
}

// NewEvents returns a list with copies of the events.
func NewEvents(events ...[]byte) Events {
	l := Events{All: Buffer(), Lengths: make([]int, 0, len(events))}
	for _, e := range events {
		l.Add(e)
	}
	return l
}

// Add copies an event.
func (l *Events) Add(event []byte) {
	*l.All = append(*l.All, event...)
	l.Lengths = append(l.Lengths, len(event))
}

// Join adds the events of another list, which stays as it is.
func (l *Events) Join(other Events) {
	*l.All = append(*l.All, *other.All...)
	l.Lengths = append(l.Lengths, other.Lengths...)
}

// Split returns the events. They share the list's bytes.
func (l Events) Split() [][]byte {
	if l.All == nil {
		return nil
	}
	events, rest := make([][]byte, len(l.Lengths)), *l.All
	for i, n := range l.Lengths {
		events[i], rest = rest[:n:n], rest[n:]
	}
	return events
}

// Append appends a part with events to dst.
func Append(dst []byte, connector, received int64, events Events) []byte {
	scratch := Buffer()
	*scratch = slices.Grow(*scratch, s2.MaxEncodedLen(len(*events.All)))
	block := s2.Encode((*scratch)[:cap(*scratch)], *events.All)
	start := len(dst)
	dst = append(slices.Grow(dst, len(block)+4*len(events.Lengths)+40), version, 0, 0, 0, 0)
	for _, n := range []uint64{uint64(connector), uint64(received), uint64(len(events.Lengths))} {
		dst = binary.AppendUvarint(dst, n)
	}
	for _, n := range events.Lengths {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	dst = append(binary.AppendUvarint(dst, uint64(len(block))), block...)
	binary.LittleEndian.PutUint32(dst[start+1:], crc32.Checksum(dst[start+5:], castagnoli))
	Give(scratch)
	return dst
}

// Decoded is a body read back.
type Decoded struct {
	Connector, Received int64 // of its oldest part
	Events
	altered []bool // of each event; nil: none
}

// Altered tells whether an event is of a part that does not match its checksum.
func (b Decoded) Altered(i int) bool { return i < len(b.altered) && b.altered[i] }

// Decode reads a body. Where it is damaged the error wraps ErrDamaged, and what
// could be read of it is returned beside.
func Decode(data []byte) (b Decoded, err error) {
	b.Events = NewEvents()
	for first := true; len(data) > 0 || first; first = false {
		var bad error
		before := len(b.Lengths)
		if data, bad = b.decode(data); bad != nil {
			err = bad
			b.altered = append(b.altered, make([]bool, len(b.Lengths)-len(b.altered))...)
			for i := before; i < len(b.altered); i++ {
				b.altered[i] = true
			}
		}
	}
	return b, err
}

// decode takes the next part off data. Its events are added where they can be found,
// whether they match their checksum or not; else there is no rest.
func (b *Decoded) decode(data []byte) (rest []byte, err error) {
	if len(data) < 5 || data[0] != version {
		return nil, fmt.Errorf("%w: no header", ErrDamaged)
	}
	short := false
	rest = data[5:]
	next := func() uint64 {
		v, n := binary.Uvarint(rest)
		if short = short || n <= 0; short {
			return 0
		}
		rest = rest[n:]
		return v
	}
	connector, received := int64(next()), int64(next())
	if len(b.Lengths) == 0 || received < b.Received {
		b.Connector, b.Received = connector, received
	}
	count, total := min(next(), uint64(len(rest))), 0
	lengths := slices.Grow(b.Lengths, int(count))
	for ; count > 0; count-- {
		n := int(min(next(), MaxSize+1))
		lengths, total = append(lengths, n), total+n
		short = short || total > MaxSize
	}
	size := next()
	if short || size > uint64(len(rest)) {
		return nil, fmt.Errorf("%w: header cut short", ErrDamaged)
	}
	block, rest := rest[:size], rest[size:]
	if n, err := s2.DecodedLen(block); err != nil || n != total {
		return nil, fmt.Errorf("%w: its length does not add up", ErrDamaged)
	}
	if crc32.Checksum(data[5:len(data)-len(rest)], castagnoli) != binary.LittleEndian.Uint32(data[1:]) {
		err = ErrDamaged
	}
	all := slices.Grow(*b.All, total)
	events, bad := s2.Decode(all[len(all):cap(all)], block) // in place: there is room
	if bad != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, bad)
	}
	*b.All, b.Lengths = all[:len(all)+len(events)], lengths
	return rest, err
}
