package pebble

import (
	"encoding/binary"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
)

// wordSize is the size of a word of a set in the store, in bytes.
const wordSize = 8

func appendBitset(dst []byte, b wire.Bitset) []byte {
	for _, w := range b {
		dst = binary.LittleEndian.AppendUint64(dst, w)
	}
	return dst
}

func parseBitset(value []byte) wire.Bitset {
	b := make(wire.Bitset, 0, len(value)/wordSize)
	for ; len(value) >= wordSize; value = value[wordSize:] {
		b = append(b, binary.LittleEndian.Uint64(value))
	}
	return b
}
