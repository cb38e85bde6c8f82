package load

import (
	"encoding/binary"

	"github.com/currentsbridge/currentsbridge/mockbraze/population"
)

// numbering makes the ids of a run: UUIDs (version 4) from a seed and a running
// number. Within a run two numbers never share an id, because the lower half is
// a permutation of the number. Between runs of different seeds the upper half, 60
// bits of a hash, has to be equal too. An id can be turned back into its number,
// so what arrived is booked without keeping ids.
type numbering struct {
	upper, lower population.Draw
}

func newNumbering(seed uint64) numbering {
	d := population.Draw(seed).With(population.Key("load ids"))
	return numbering{upper: d.With(0), lower: d.With(1)}
}

// The permutation is over 62 bits: a UUID has 64 in its lower half, of which two
// are fixed. Its steps are an addition, shifts and products with odd numbers,
// each of which has an inverse.
const (
	mask62    = 1<<62 - 1
	oddA      = 0xBF58476D1CE4E5B9
	oddB      = 0x94D049BB133111EB
	inverseA  = 0x96DE1B173F119089
	inverseB  = 0x319642B2D24D8EC3
	versionOf = 0x4000
	variantOf = 2 << 62
)

func (m numbering) permute(n uint64) uint64 {
	x := (n + m.lower.Bits()) & mask62
	x = ((x ^ x>>31) * oddA) & mask62
	x = ((x ^ x>>31) * oddB) & mask62
	return x ^ x>>31
}

func (m numbering) restore(x uint64) uint64 {
	x ^= x >> 31
	x = (x * inverseB) & mask62
	x ^= x >> 31
	x = (x * inverseA) & mask62
	x ^= x >> 31
	return (x - m.lower.Bits()) & mask62
}

// halves are the 128 bits of id n.
func (m numbering) halves(n uint64) (hi, lo uint64) {
	return m.upper.With(n).Bits()&^0xF000 | versionOf, m.permute(n) | variantOf
}

// append appends id n in its usual form of 36 characters.
func (m numbering) append(dst []byte, n uint64) []byte {
	hi, lo := m.halves(n)
	return appendUUID(dst, hi, lo)
}

// numberOf is the number of an id of this run below issued.
func (m numbering) numberOf(id []byte, issued uint64) (n uint64, ok bool) {
	hi, lo, ok := parseUUID(id)
	if !ok {
		return 0, false
	}
	n = m.restore(lo & mask62)
	if n >= issued {
		return 0, false
	}
	wantHi, wantLo := m.halves(n)
	return n, hi == wantHi && lo == wantLo
}

// appendUUID appends 128 bits as a UUID in lower case.
func appendUUID(dst []byte, hi, lo uint64) []byte {
	const hexDigits = "0123456789abcdef"
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], hi)
	binary.BigEndian.PutUint64(raw[8:], lo)
	var text [36]byte
	at := 0
	for i, b := range raw {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			text[at] = '-'
			at++
		}
		text[at], text[at+1] = hexDigits[b>>4], hexDigits[b&15]
		at += 2
	}
	return append(dst, text[:]...)
}

// parseUUID reads what appendUUID writes.
func parseUUID(text []byte) (hi, lo uint64, ok bool) {
	if len(text) != 36 {
		return 0, 0, false
	}
	for i, c := range text {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return 0, 0, false
			}
			continue
		}
		var digit uint64
		switch {
		case c >= '0' && c <= '9':
			digit = uint64(c - '0')
		case c >= 'a' && c <= 'f':
			digit = uint64(c-'a') + 10
		default:
			return 0, 0, false
		}
		hi, lo = hi<<4|lo>>60, lo<<4|digit
	}
	return hi, lo, true
}
