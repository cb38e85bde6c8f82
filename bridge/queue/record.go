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

// A body is what the table of bodies holds of a record:
//
//	1 byte   version, bodyVersion
//	4 bytes  CRC-32C of all that follows
//	uvarint  connector
//	uvarint  time of receipt, microseconds since 1970
//	uvarint  number of events
//	uvarint  length of each event
//	s2 block of the events' bytes, one after the other
//
// So a body whose record cannot be read any more still says what it is.
const bodyVersion = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errBody means that a body is not what was written.
var errBody = errors.New("body does not match its checksum")

// buffers are used again for what an encoding or decoding needs for a moment.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// appendBody appends the body of events to dst.
func appendBody(dst []byte, connector, received int64, events [][]byte) []byte {
	total := 0
	for _, e := range events {
		total += len(e)
	}
	scratch := buffers.Get().(*[]byte)
	all := slices.Grow((*scratch)[:0], total)
	for _, e := range events {
		all = append(all, e...)
	}
	start := len(dst)
	dst = append(dst, bodyVersion, 0, 0, 0, 0)
	dst = binary.AppendUvarint(dst, uint64(connector))
	dst = binary.AppendUvarint(dst, uint64(received))
	dst = binary.AppendUvarint(dst, uint64(len(events)))
	for _, e := range events {
		dst = binary.AppendUvarint(dst, uint64(len(e)))
	}
	dst = slices.Grow(dst, s2.MaxEncodedLen(total))
	block := s2.Encode(dst[len(dst):cap(dst)], all) // in place: there is room
	dst = dst[:len(dst)+len(block)]
	binary.LittleEndian.PutUint32(dst[start+1:], crc32.Checksum(dst[start+5:], castagnoli))
	giveBuffer(scratch, all)
	return dst
}

// maxPooled is the largest buffer that is kept for later.
const maxPooled = 1 << 20

func giveBuffer(to *[]byte, used []byte) {
	if cap(used) > maxPooled {
		used = nil
	}
	*to = used[:0]
	buffers.Put(to)
}

// decodedBody is a body read back. The events share one array of bytes.
type decodedBody struct {
	connector, received int64
	events              [][]byte
	all                 *[]byte // what they share, out of buffers; nil: damaged
}

// decodeBody reads a body. Where it is damaged the error wraps errBody, and what
// could be read of it is returned beside.
func decodeBody(data []byte) (decodedBody, error) {
	if len(data) < 5 || data[0] != bodyVersion {
		return decodedBody{}, fmt.Errorf("%w: no header", errBody)
	}
	sum := crc32.Checksum(data[5:], castagnoli)
	damaged := sum != binary.LittleEndian.Uint32(data[1:])
	b, err := parseBody(data[5:])
	if damaged {
		return b, errBody
	}
	return b, err
}

func parseBody(rest []byte) (b decodedBody, err error) {
	next := func() (v uint64) {
		v, n := binary.Uvarint(rest)
		if n <= 0 {
			err = fmt.Errorf("%w: header cut short", errBody)
			return 0
		}
		rest = rest[n:]
		return v
	}
	b.connector, b.received = int64(next()), int64(next())
	count := next()
	if err != nil || count > uint64(len(rest)) {
		return b, fmt.Errorf("%w: header cut short", errBody)
	}
	lengths := make([]int, count)
	total := 0
	for i := range lengths {
		lengths[i] = int(next() & (1<<40 - 1))
		total += lengths[i]
	}
	if err != nil {
		return b, err
	}
	if n, lenErr := s2.DecodedLen(rest); lenErr != nil || n != total {
		return b, fmt.Errorf("%w: its length does not add up", errBody)
	}
	b.all = buffers.Get().(*[]byte)
	all, err := s2.Decode((*b.all)[:cap(*b.all)], rest)
	if err != nil {
		return b, fmt.Errorf("%w: %w", errBody, err)
	}
	*b.all = all
	b.events = make([][]byte, count)
	for i, n := range lengths {
		b.events[i], all = all[:n:n], all[n:]
	}
	return b, nil
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
func outcomes(stored []byte, events, pending int64) []byte {
	if int64(len(stored)) == events {
		return slices.Clone(stored)
	}
	out := make([]byte, events)
	if pending == 0 {
		for i := range out {
			out[i] = outDelivered
		}
	}
	return out
}
