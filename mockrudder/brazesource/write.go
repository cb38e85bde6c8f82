package brazesource

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
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

func (w *writer) over() bool {
	if len(w.out) > w.limit || w.depth > maxDepth {
		w.full = true
	}
	return w.full
}

func (w *writer) value(v value) {
	if w.over() {
		return
	}
	w.depth++
	defer func() { w.depth-- }()
	switch v := v.(type) {
	case bool:
		w.out = strconv.AppendBool(w.out, v)
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			w.out = append(w.out, "null"...)
		} else {
			w.out = append(w.out, formatNumber(v)...)
		}
	case string:
		w.out = appendString(w.out, v)
	case *object:
		w.object(v)
	case *array:
		w.array(v)
	default: // null, holes, and functions inside arrays
		w.out = append(w.out, "null"...)
	}
}

func (w *writer) object(o *object) {
	w.out = append(w.out, '{')
	first := true
	for _, m := range o.ordered() {
		if _, isFunction := m.value.(*function); isFunction {
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

func (w *writer) array(a *array) {
	w.out = append(w.out, '[')
	w.longest = max(w.longest, int(a.length))
	if 2*int64(a.length) > int64(w.limit-len(w.out)) { // each element takes at least two bytes
		w.full = true
		return
	}
	for i := range a.length {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		v, _ := a.get(indexKey(i))
		if w.value(v); w.full {
			return
		}
	}
	w.out = append(w.out, ']')
}

const hexDigits = "0123456789abcdef"

func appendString(out []byte, s string) []byte {
	out = append(out, '"')
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c >= ' ' && c < utf8.RuneSelf:
			out = append(out, c)
		case c < ' ':
			out = appendControl(out, c)
		default:
			if unit, half := halfPair(s[i:]); half {
				out = append(out, '\\', 'u', hexDigits[unit>>12], hexDigits[unit>>8&15], hexDigits[unit>>4&15], hexDigits[unit&15])
				i += 3
				continue
			}
			out = append(out, c)
		}
		i++
	}
	return append(out, '"')
}

func appendControl(out []byte, c byte) []byte {
	if at := strings.IndexByte("\b\f\n\r\t", c); at >= 0 {
		return append(out, '\\', "bfnrt"[at])
	}
	return append(out, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}
