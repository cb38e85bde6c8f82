package wire

import (
	"fmt"

	"github.com/klauspost/compress/s2"
)

// How the event of a dead letter is kept.
const (
	plain  = 0 // as it is
	packed = 1 // an s2 block
)

// AppendEvent encodes an event, packed where that is shorter. It must be the
// last thing in a value.
func AppendEvent(dst, event []byte) []byte {
	if small := s2.Encode(nil, event); len(small) < len(event) {
		return append(append(dst, packed), small...)
	}
	return append(append(dst, plain), event...)
}

// Event reads what AppendEvent wrote, to the end of the value. It fails with
// ErrDamaged, also where something before could not be read.
func (r *Reader) Event() ([]byte, error) {
	switch kind := r.Byte(); {
	case r.Bad || kind > packed:
		return nil, ErrDamaged
	case kind == plain:
		return append([]byte{}, r.Data...), nil
	}
	if n, err := s2.DecodedLen(r.Data); err != nil || n > MaxBody {
		return nil, ErrDamaged
	}
	event, err := s2.Decode([]byte{}, r.Data) // never nil
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return event, nil
}
