package jsonlex

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may be nested; deeper text counts as
// malformed. RudderStack has no such limit; a walk needs stack for each level.
const MaxDepth = 100_000

// Valid says whether s is one JSON value with nothing but white space around it.
func Valid(s string) bool {
	w := Walker{Text: s}
	end := w.Value(Space(s, 0), 0)
	return end != Bad && Space(s, end) == len(s)
}

// Walker goes over a text and keeps what it finds out about its values.
type Walker struct {
	Text string
	// Huge: there was a number beyond float64.
	Huge bool
	// Deepest is the most arrays and objects that were open at once.
	Deepest int
}

// Value returns the index behind the JSON value that starts at i, or Bad.
// depth is how many arrays and objects are open around it.
func (w *Walker) Value(i, depth int) int {
	s := w.Text
	if i < 0 || i >= len(s) {
		return Bad
	}
	switch c := s[i]; {
	case c == '{':
		return w.Members(i, depth, func(_ string, start int) int { return w.Value(start, depth+1) })
	case c == '[':
		return w.Array(i, depth, func(start int) int { return w.Value(start, depth+1) })
	case c == '-' || c-'0' <= 9:
		return w.number(i)
	}
	return Scalar(s, i)
}

func (w *Walker) number(i int) int {
	const always = 300 // digits that float64 can hold whatever they are
	end, exponent := number(w.Text, i)
	if end != Bad && (exponent || end-i > always) {
		n, _ := strconv.ParseFloat(w.Text[i:end], 64)
		w.Huge = w.Huge || math.IsInf(n, 0)
	}
	return end
}

// Object goes over the object at i and returns the index behind it, or Bad. visit
// gets each key, unescaped, and where its value starts; it returns the index behind
// the value, or Bad.
func (w *Walker) Object(i, depth int, visit func(key string, start int) int) int {
	return w.Members(i, depth, func(quoted string, start int) int { return visit(Text(quoted), start) })
}

// Fields finds members of the object at i: named returns where to store the text of
// a value, nil to skip it. Of a key given twice the last one counts, or with first
// the first. It returns what Object does.
func (w *Walker) Fields(i, depth int, first bool, named func(key string) *string) int {
	return w.Object(i, depth, func(key string, start int) int {
		end := w.Value(start, depth+1)
		if field := named(key); field != nil && end != Bad && (*field == "" || !first) {
			*field = w.Text[start:end]
		}
		return end
	})
}

// Members is Object with the keys as they are written, quoted.
func (w *Walker) Members(i, depth int, visit func(quoted string, start int) int) int {
	return w.list(i, depth, '}', func(start int) int {
		end, _, value := Key(w.Text, start)
		if value == Bad {
			return Bad
		}
		return visit(w.Text[start:end], value)
	})
}

// Array goes over the array at i and returns the index behind it, or Bad. visit
// gets where each element starts and returns the index behind it, or Bad.
func (w *Walker) Array(i, depth int, visit func(start int) int) int {
	return w.list(i, depth, ']', visit)
}

func (w *Walker) list(i, depth int, closing byte, visit func(start int) int) int {
	w.Deepest = max(w.Deepest, depth+1)
	if depth >= MaxDepth {
		return Bad
	}
	return List(w.Text, i, closing, visit)
}

// Text unquotes a valid JSON string. What is not valid Unicode, such as half a
// surrogate pair, becomes U+FFFD. A string without escapes is not copied.
func Text(quoted string) string {
	plain := quoted[1 : len(quoted)-1]
	if strings.IndexByte(plain, '\\') < 0 && utf8.ValidString(plain) {
		return plain
	}
	var text string
	if err := json.Unmarshal([]byte(quoted), &text); err != nil {
		return plain
	}
	return text
}

// Decode reads valid JSON, faster than encoding/json: objects as map[string]any,
// arrays as []any, and scalars by the function scalar, which gets their text and
// must return a string for a string, keys included. Of several members of one name
// the last one counts, or with first the first.
func Decode(text string, first bool, scalar func(text string) any) any {
	d := decoding{Walker{Text: text}, first, scalar}
	v, _ := d.value(Space(text, 0))
	return v
}

type decoding struct {
	Walker
	first  bool
	scalar func(text string) any
}

func (d *decoding) value(i int) (v any, end int) {
	switch d.Text[i] {
	case '{':
		object := map[string]any{}
		end = d.Members(i, 0, func(quoted string, start int) int {
			v, end := d.value(start)
			key, _ := d.scalar(quoted).(string)
			if _, given := object[key]; !given || !d.first {
				object[key] = v
			}
			return end
		})
		return object, end
	case '[':
		list := []any{}
		end = d.Array(i, 0, func(start int) int {
			v, end := d.value(start)
			list = append(list, v)
			return end
		})
		return list, end
	}
	end = d.Value(i, 0)
	return d.scalar(d.Text[i:end]), end
}
