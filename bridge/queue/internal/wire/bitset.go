package wire

// Bitset is a set of events of a record, by their index. It is as long as needed.
type Bitset []uint64

// Has tells whether i is in the set.
func (b Bitset) Has(i int) bool {
	return i>>6 < len(b) && b[i>>6]&(1<<(i&63)) != 0
}

// Sized returns an empty set for n events, in b's memory where that is enough.
func (b Bitset) Sized(n int) Bitset {
	size := Words(n)
	if cap(b) < size {
		return make(Bitset, size)
	}
	b = b[:size]
	clear(b)
	return b
}

// Set puts i, for which the set must be large enough, into the set.
func (b Bitset) Set(i int) { b[i>>6] |= 1 << (i & 63) }

// Words is how many words a set for n events has.
func Words(n int) int { return (n + 63) / 64 }
