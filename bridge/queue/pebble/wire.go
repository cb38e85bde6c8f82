package pebble

import (
	"encoding/binary"
	"fmt"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// errDamaged means that a value in the store is not what was written there.
var errDamaged = fmt.Errorf("value in the store: %w", queue.ErrDamaged)

// reader takes apart what encoding/binary's Append functions put together. A
// value that is too short or malformed sets bad and reads as zero from then on.
type reader struct {
	data []byte
	bad  bool
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.data)
	if !r.skip(n) {
		return 0
	}
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.data)
	if !r.skip(n) {
		return 0
	}
	return v
}

// length reads a number that may not be larger than limit.
func (r *reader) length(limit int) int {
	v := r.uint()
	if v > uint64(limit) {
		r.bad = true
		return 0
	}
	return int(v)
}

func (r *reader) byte() byte {
	if len(r.data) == 0 {
		r.bad = true
		return 0
	}
	b := r.data[0]
	r.data = r.data[1:]
	return b
}

// bytes reads a length and as many bytes, which are part of the value.
func (r *reader) bytes() []byte {
	n := r.length(len(r.data))
	b := r.data[:n]
	r.data = r.data[n:]
	return b
}

// skip drops n bytes; n is not positive where there was no number to read.
func (r *reader) skip(n int) bool {
	if n <= 0 || r.bad {
		r.bad = true
		return false
	}
	r.data = r.data[n:]
	return true
}

func (r *reader) err() error {
	if r.bad {
		return errDamaged
	}
	return nil
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}
