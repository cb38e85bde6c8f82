package pebble

import "encoding/binary"

// bitset is a set of events of a record, by their index. It is as long as needed.
type bitset []uint64

func (b bitset) has(i int) bool {
	return i>>6 < len(b) && b[i>>6]&(1<<(i&63)) != 0
}

// sized returns an empty set for n events, in b's memory where that is enough.
func (b bitset) sized(n int) bitset {
	size := words(n)
	if cap(b) < size {
		return make(bitset, size)
	}
	b = b[:size]
	clear(b)
	return b
}

func (b bitset) set(i int) { b[i>>6] |= 1 << (i & 63) }

func (b bitset) append(dst []byte) []byte {
	for _, w := range b {
		dst = binary.LittleEndian.AppendUint64(dst, w)
	}
	return dst
}

// wordSize is the size of a word in the store, in bytes.
const wordSize = 8

// words is how many words a set for n events has.
func words(n int) int { return (n + 63) / 64 }

func parseBitset(value []byte) bitset {
	b := make(bitset, 0, len(value)/wordSize)
	for ; len(value) >= wordSize; value = value[wordSize:] {
		b = append(b, binary.LittleEndian.Uint64(value))
	}
	return b
}
