package drift

import (
	"unicode"
	"unicode/utf8"
)

// maxName is how long a name may be, in bytes.
const maxName = 100

// appendClean appends a name as it may stand in a label or a line of the log.
func appendClean(dst, name []byte) []byte {
	start := len(dst)
	for len(name) > 0 {
		r, n := utf8.DecodeRune(name)
		name = name[n:]
		if !unicode.IsPrint(r) {
			r = utf8.RuneError
		}
		if len(dst)-start+utf8.RuneLen(r) > maxName {
			break
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

// recent remembers the last sums that were added. The zero value is ready.
type recent struct {
	known map[uint64]struct{}
	ring  []uint64
	next  int // the place of the oldest one, once the ring is full
}

// maxRecent is how many sums are remembered: more than are on their way to
// RudderStack at one time.
const maxRecent = 16 << 10

// add reports whether sum is new.
func (r *recent) add(sum uint64) bool {
	if _, ok := r.known[sum]; ok {
		return false
	}
	if r.known == nil {
		r.known = make(map[uint64]struct{})
	}
	if len(r.ring) < maxRecent {
		r.ring = append(r.ring, sum)
	} else {
		delete(r.known, r.ring[r.next])
		r.ring[r.next] = sum
		r.next = (r.next + 1) % maxRecent
	}
	r.known[sum] = struct{}{}
	return true
}
