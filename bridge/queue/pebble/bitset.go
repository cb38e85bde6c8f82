package pebble

import "encoding/binary"

// bitset says which events of a record have an outcome. It is as long as needed.
type bitset []uint64

func (b bitset) has(i int) bool {
	return i>>6 < len(b) && b[i>>6]&(1<<(i&63)) != 0
}

// sized returns an empty set for n events, in b's memory where that is enough.
func (b bitset) sized(n int) bitset {
	words := (n + 63) / 64
	if cap(b) < words {
		return make(bitset, words)
	}
	b = b[:words]
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

func parseBitset(value []byte) bitset {
	b := make(bitset, 0, len(value)/8)
	for ; len(value) >= 8; value = value[8:] {
		b = append(b, binary.LittleEndian.Uint64(value))
	}
	return b
}
