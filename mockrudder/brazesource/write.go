package brazesource

import (
	"strings"
)

// writer writes values as JSON as JavaScript's JSON.stringify does, and stops at its
// limit.
type writer struct {
	out   []byte
	limit int // of the length of out
	full  bool
	depth int

	longest int // elements of the longest array
}

// maxDepth is the depth beyond which a value counts as too large. Only a value that was
// put into itself is so deep.
const maxDepth = 20_000

func (w *writer) value(v value) {
	if len(w.out) > w.limit || w.depth > maxDepth {
		w.full = true
		return
	}
	w.depth++
	switch {
	case v.object == nil && !strings.HasSuffix(v.json, "Infinity") && v.json != "":
		w.out = append(w.out, v.json...)
	case v.object == nil || v.object.class == function: // in an array
		w.out = append(w.out, "null"...)
	case v.object.class == array:
		w.array(v.object)
	default:
		w.object(v.object)
	}
	w.depth--
}

func (w *writer) object(o *object) {
	w.out = append(w.out, '{')
	first := true
	for _, m := range o.ordered() {
		if m.value.object != nil && m.value.object.class == function {
			continue
		}
		if !first {
			w.out = append(w.out, ',')
		}
		first = false
		w.out = append(appendString(w.out, m.key), ':')
		if w.value(m.value); w.full {
			return
		}
	}
	w.out = append(w.out, '}')
}

func (w *writer) array(a *object) {
	w.out = append(w.out, '[')
	w.longest = max(w.longest, int(a.length))
	if 2*int64(a.length) > int64(w.limit-len(w.out)) { // each element takes at least two bytes
		w.full = true
		return
	}
	elements := a.ordered()
	for i := range a.length {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		var v value
		if len(elements) > 0 && rank(elements[0].key) == uint64(i) {
			v, elements = elements[0].value, elements[1:]
		}
		if w.value(v); w.full {
			return
		}
	}
	w.out = append(w.out, ']')
}

// quote returns a string as JSON.
func quote(s string) string { return string(appendString(make([]byte, 0, len(s)+len(`""`)), s)) }

const hexDigits = "0123456789abcdef"

func appendString(out []byte, s string) []byte {
	const firstOfHalfPair = 0xED
	out = append(out, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c != firstOfHalfPair {
			continue
		}
		unit, half := halfPair(s[i:])
		if c == firstOfHalfPair && !half {
			continue
		}
		out = append(out, s[from:i]...)
		from = i + 1
		if half {
			out = append(out, '\\', 'u', hexDigits[unit>>12], hexDigits[unit>>8&15], hexDigits[unit>>4&15], hexDigits[unit&15])
			from = i + 3
		} else if at := strings.IndexByte("\"\\\b\f\n\r\t", c); at >= 0 {
			out = append(out, '\\', `"\bfnrt`[at])
		} else {
			out = append(out, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(out, s[from:]...), '"')
}
