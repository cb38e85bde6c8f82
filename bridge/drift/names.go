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

// recent remembers at least the last maxRecent sums that were added. The zero
// value is ready.
type recent struct {
	newer, older map[uint64]struct{} // when newer is full it becomes older
}

// maxRecent is more than the events that are on their way to RudderStack at one
// time.
const maxRecent = 16 << 10

// add reports whether sum is new.
func (r *recent) add(sum uint64) bool {
	_, known := r.newer[sum]
	if _, older := r.older[sum]; known || older {
		return false
	}
	if len(r.newer) == maxRecent {
		r.newer, r.older = r.older, r.newer
		clear(r.newer)
	}
	if r.newer == nil {
		r.newer = make(map[uint64]struct{})
	}
	r.newer[sum] = struct{}{}
	return true
}
