package queue

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
//	1 byte   version, bodyVersion
//	4 bytes  CRC-32C of the rest of the part
//	uvarint  connector
//	uvarint  time of receipt, microseconds since 1970
//	uvarint  number of events
//	uvarint  length of each event
//	uvarint  length of the block
//	s2 block of the events' bytes, one after the other
//
// So a body whose record cannot be read any more still says what it is.
const bodyVersion = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errBody means that a body is not what was written.
var errBody = errors.New("body does not match its checksum")

// buffers are used again for what an encoding or decoding needs for a moment.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxPooled is the largest buffer that is kept for later.
const maxPooled = 1 << 20

func giveBuffer(to *[]byte, used []byte) {
	if cap(used) > maxPooled {
		used = nil
	}
	*to = used[:0]
	buffers.Put(to)
}

// eventList is events, one after the other.
type eventList struct {
	all     *[]byte // out of buffers; nil: there are none
	lengths []int
}

func newEventList(events ...[]byte) eventList {
	l := eventList{all: buffers.Get().(*[]byte), lengths: make([]int, 0, len(events))}
	for _, e := range events {
		l.add(e)
	}
	return l
}

func (l *eventList) add(event []byte) {
	*l.all = append(*l.all, event...)
	l.lengths = append(l.lengths, len(event))
}

// join adds the events of another list, which stays as it is.
func (l *eventList) join(other eventList) {
	*l.all = append(*l.all, *other.all...)
	l.lengths = append(l.lengths, other.lengths...)
}

// split returns the events. They share the list's bytes.
func (l eventList) split() [][]byte {
	if l.all == nil {
		return nil
	}
	events, rest := make([][]byte, len(l.lengths)), *l.all
	for i, n := range l.lengths {
		events[i], rest = rest[:n:n], rest[n:]
	}
	return events
}

// free gives the list's bytes back: nothing may use them any more.
func (l eventList) free() {
	if l.all != nil {
		giveBuffer(l.all, *l.all)
	}
}

// appendBody appends a part with events to dst.
func appendBody(dst []byte, connector, received int64, events eventList) []byte {
	scratch := buffers.Get().(*[]byte)
	*scratch = slices.Grow(*scratch, s2.MaxEncodedLen(len(*events.all)))
	block := s2.Encode((*scratch)[:cap(*scratch)], *events.all)
	start := len(dst)
	dst = append(slices.Grow(dst, len(block)+4*len(events.lengths)+40), bodyVersion, 0, 0, 0, 0)
	for _, n := range []uint64{uint64(connector), uint64(received), uint64(len(events.lengths))} {
		dst = binary.AppendUvarint(dst, n)
	}
	for _, n := range events.lengths {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	dst = append(binary.AppendUvarint(dst, uint64(len(block))), block...)
	binary.LittleEndian.PutUint32(dst[start+1:], crc32.Checksum(dst[start+5:], castagnoli))
	giveBuffer(scratch, *scratch)
	return dst
}

// decodedBody is a body read back.
type decodedBody struct {
	connector, received int64
	eventList
}

// decodeBody reads a body. Where it is damaged the error wraps errBody, and what
// could be read of it is returned beside.
func decodeBody(data []byte) (b decodedBody, err error) {
	b.eventList = newEventList()
	all := *b.all
	for first := true; len(data) > 0 || first; first = false {
		var p bodyPart
		if p, data, err = parsePart(data, err); p.block == nil {
			break
		}
		b.connector, b.received = p.connector, p.received
		all = slices.Grow(all, p.total)
		events, bad := s2.Decode(all[len(all):cap(all)], p.block)
		if bad != nil {
			err = fmt.Errorf("%w: %w", errBody, bad)
			break
		}
		all, b.lengths = all[:len(all)+len(events)], append(b.lengths, p.lengths...) // in place: there is room
	}
	*b.all = all
	return b, err
}

type bodyPart struct {
	connector, received int64
	lengths             []int
	total               int    // of the lengths
	block               []byte // nil: it cannot be found
}

// parsePart takes the next part off data. The error is what was found to be wrong
// here or before.
func parsePart(data []byte, before error) (p bodyPart, rest []byte, err error) {
	if len(data) < 5 || data[0] != bodyVersion {
		return p, nil, fmt.Errorf("%w: no header", errBody)
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
	p.connector, p.received = int64(next()), int64(next())
	for count := min(next(), uint64(len(rest))); count > 0; count-- {
		n := int(min(next(), maxRecord+1))
		p.lengths, p.total = append(p.lengths, n), p.total+n
		short = short || p.total > maxRecord
	}
	size := next()
	if short || size > uint64(len(rest)) {
		return p, nil, fmt.Errorf("%w: header cut short", errBody)
	}
	if n, err := s2.DecodedLen(rest[:size]); err != nil || n != p.total {
		return p, nil, fmt.Errorf("%w: its length does not add up", errBody)
	}
	p.block, rest = rest[:size], rest[size:]
	if crc32.Checksum(data[5:len(data)-len(rest)], castagnoli) != binary.LittleEndian.Uint32(data[1:]) {
		return p, rest, errBody
	}
	return p, rest, before
}

// Outcomes of an event in the column record.outcome.
const (
	outPending byte = iota
	outDelivered
	outFiltered
	outDead
	outErased
)

// outcomes returns a byte for each event of a record.
func (s *recordState) outcomes() []byte {
	if int64(len(s.outcome)) == s.events {
		return slices.Clone(s.outcome)
	}
	out := make([]byte, s.events)
	if s.pending == 0 {
		for i := range out {
			out[i] = outDelivered
		}
	}
	return out
}
