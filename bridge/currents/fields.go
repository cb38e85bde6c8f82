package currents

import "github.com/currentsbridge/currentsbridge/internal/jsonlex"

// FieldIterator walks the members of a JSON object that Scan has found valid:
//
//	for f := currents.Fields(object); f.Next(); {
//		use(f.Key(), f.Value())
//	}
//
// It validates nothing, allocates nothing, and gives duplicate keys as they
// come. Over text that is not valid it stops somewhere; it never panics.
type FieldIterator struct {
	object           []byte // may go on behind the object's end
	next             int    // index behind the current value, 0 at first; where late is set, of its first byte
	keyStart, keyEnd int    // between the quotes
	valueStart       int
	late             bool // the value's end is not known yet
	escaped          bool
}

// Fields returns an iterator over the members of object, a raw JSON value
// without white space before it. What is no object has no members.
func Fields(object []byte) FieldIterator {
	if len(object) == 0 || object[0] != '{' {
		return FieldIterator{}
	}
	return FieldIterator{object: object}
}

// Next goes to the next member, the first one at first, and reports whether
// there is one.
func (f *FieldIterator) Next() bool {
	b := f.object
	i := f.next
	if f.late {
		f.late = false
		i = ValueEnd(b, i)
	}
	if i > 0 {
		if i = skipSpace(b, i); i >= len(b) || b[i] != ',' {
			f.next = i // at the closing brace, for Leave
			return false
		}
	}
	if i = skipSpace(b, i+1); i >= len(b) || b[i] != '"' {
		f.next = i
		return false
	}
	f.keyStart = i + 1
	if i, f.escaped = jsonlex.String(b, i); i == jsonlex.Bad {
		f.next = len(b)
		return false
	}
	f.keyEnd = i - 1
	if i >= len(b) || b[i] != ':' {
		i = skipSpace(b, i)
	}
	i = skipSpace(b, i+1)
	f.valueStart, f.next = i, i
	if i >= len(b) {
		return false
	}
	if b[i] == '"' { // nearly always; what is long to skip may be left to Inner
		if f.next, _ = jsonlex.String(b, i); f.next == jsonlex.Bad {
			f.next = len(b)
		}
		return true
	}
	f.late = true
	return true
}

// Key returns the current member's key as it is written, without its quotes,
// escapes not undone. KeyIs and AppendKey undo them.
func (f *FieldIterator) Key() []byte { return f.object[f.keyStart:f.keyEnd] }

// Object reports whether the current member's value is an object.
func (f *FieldIterator) Object() bool {
	return f.valueStart < len(f.object) && f.object[f.valueStart] == '{'
}

// Escaped reports whether the current member's key is written with escapes.
func (f *FieldIterator) Escaped() bool { return f.escaped }

// KeyIs reports whether the current member's key is name, escapes undone.
func (f *FieldIterator) KeyIs(name string) bool {
	var buf [64]byte
	return string(f.PlainKey(buf[:0])) == name
}

// AppendKey appends the current member's key, escapes undone as by AppendText.
func (f *FieldIterator) AppendKey(dst []byte) []byte { return AppendUnescaped(dst, f.Key()) }

// PlainKey returns the current member's key with its escapes undone, in scratch
// where it has any.
func (f *FieldIterator) PlainKey(scratch []byte) []byte {
	if f.escaped {
		return f.AppendKey(scratch)
	}
	return f.Key()
}

// Value returns the current member's value, without white space around it.
func (f *FieldIterator) Value() []byte {
	f.finish()
	return f.object[f.valueStart:f.next]
}

// Span returns the place of the current member in the object: from its key's
// opening quote to the end of its value.
func (f *FieldIterator) Span() (start, end int) {
	f.finish()
	return f.keyStart - 1, f.next
}

// Start returns the places in the object where the current member and its value
// start: of its key's opening quote, and of the value's first byte. Unlike Span
// it does not look for the value's end.
func (f *FieldIterator) Start() (member, value int) { return f.keyStart - 1, f.valueStart }

func (f *FieldIterator) finish() {
	if f.late {
		f.late = false
		f.next = ValueEnd(f.object, f.valueStart)
	}
}

// Inner returns an iterator over the members of the current value. Once that
// is walked to its end, Leave saves f from looking for the value's end again:
//
//	inner := f.Inner()
//	for inner.Next() { … }
//	f.Leave(&inner)
func (f *FieldIterator) Inner() FieldIterator { return Fields(f.object[f.valueStart:]) }

// Leave tells f that inner, which f.Inner returned for the current value, was
// walked to its end. It does nothing where inner is not at its end.
func (f *FieldIterator) Leave(inner *FieldIterator) {
	if end := inner.next; f.late && !inner.late && end < len(inner.object) && inner.object[end] == '}' {
		f.late = false
		f.next = f.valueStart + end + 1
	}
}

// FirstInside returns the first value of an array that Scan has found valid,
// or, where that is an array too, the first value of that, and so on: the first
// that is no array. It is nil where there is none or raw is no array.
func FirstInside(raw []byte) []byte {
	i := 0
	for i < len(raw) && raw[i] == '[' {
		i = skipSpace(raw, i+1)
	}
	if i == 0 || i >= len(raw) || raw[i] == ']' {
		return nil
	}
	return raw[i:ValueEnd(raw, i)]
}

// ValueEnd returns the index behind the value that starts at b[i], where b is text
// that Scan has found valid.
func ValueEnd(b []byte, i int) int {
	switch b[i] {
	case '"':
		if end, _ := jsonlex.String(b, i); end != jsonlex.Bad {
			return end
		}
		return len(b)
	case '{', '[':
		return skipNested(b, i)
	}
	for ; i < len(b); i++ {
		if c := b[i]; c <= ' ' || c == ',' || c == '}' || c == ']' {
			break
		}
	}
	return i
}

// skipNested counts brackets; in valid JSON they match.
func skipNested(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			if i, _ = jsonlex.String(b, i); i == jsonlex.Bad {
				return len(b)
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return len(b)
}
