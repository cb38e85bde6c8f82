// Package wire is the encoding that the stores share: numbers, times and bytes
// one after the other, and a batch as it is kept.
package wire

import (
	"encoding/binary"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// ErrDamaged means that a value in the store is not what was written there. It
// wraps queue.ErrDamaged.
var ErrDamaged = fmt.Errorf("value in the store: %w", queue.ErrDamaged)

// Reader takes apart what encoding/binary's Append functions put together. A
// value that is too short or malformed sets Bad and reads as zero from then on.
type Reader struct {
	Data []byte
	Bad  bool
}

// Uint reads what binary.AppendUvarint wrote.
func (r *Reader) Uint() uint64 {
	v, n := binary.Uvarint(r.Data)
	if !r.skip(n) {
		return 0
	}
	return v
}

// Int reads what binary.AppendVarint wrote.
func (r *Reader) Int() int64 {
	v, n := binary.Varint(r.Data)
	if !r.skip(n) {
		return 0
	}
	return v
}

// Length reads a number that may not be larger than limit.
func (r *Reader) Length(limit int) int {
	v := r.Uint()
	if limit < 0 || v > uint64(limit) {
		r.Bad = true
		return 0
	}
	return int(v)
}

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if r.Bad || len(r.Data) == 0 {
		r.Bad = true
		return 0
	}
	b := r.Data[0]
	r.Data = r.Data[1:]
	return b
}

// Bytes reads what AppendBytes wrote; the bytes are part of the value.
func (r *Reader) Bytes() []byte {
	n := r.Uint()
	if n > uint64(len(r.Data)) { // what is left after the length itself
		r.Bad = true
		return nil
	}
	b := r.Data[:n:n]
	r.Data = r.Data[n:]
	return b
}

// Time reads what AppendTime wrote.
func (r *Reader) Time() time.Time {
	if r.Byte() == 0 {
		return time.Time{}
	}
	return time.Unix(r.Int(), int64(r.Length(int(time.Second))))
}

// Err returns ErrDamaged where something could not be read.
func (r *Reader) Err() error {
	if r.Bad {
		return ErrDamaged
	}
	return nil
}

// skip drops n bytes; n is not positive where there was no number to read.
func (r *Reader) skip(n int) bool {
	if n <= 0 || r.Bad {
		r.Bad = true
		return false
	}
	r.Data = r.Data[n:]
	return true
}

// AppendBytes encodes a length and as many bytes.
func AppendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// AppendTime encodes a time that may be zero.
func AppendTime(dst []byte, at time.Time) []byte {
	if at.IsZero() {
		return append(dst, 0)
	}
	dst = binary.AppendVarint(append(dst, 1), at.Unix())
	return binary.AppendUvarint(dst, uint64(at.Nanosecond()))
}

// Shorten cuts what a destination said to queue.MaxAnswer bytes of whole characters.
func Shorten(text string) string {
	if len(text) <= queue.MaxAnswer {
		return text
	}
	cut := queue.MaxAnswer
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut]
}
