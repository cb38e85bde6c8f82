package bytecheck

import (
	"encoding/json"
	"iter"
	"math"
	"unicode/utf8"

	"github.com/currentsbridge/currentsbridge/internal/jsonlex"
)

// MaxDepth is how deep arrays and objects may be nested; what is deeper counts
// as broken. It is the limit of encoding/json.
const MaxDepth = 10000

// Kind is what a value is.
type Kind uint8

// The kinds of values.
const (
	Null Kind = iota
	Boolean
	Number
	String
	Object
	Array
)

// Node is a value's place in an Index. The whole document is node 0.
type Node uint32

// node is a value, or the key of an object. What an object or array holds
// stands right behind it: of an object key, value, key, value.
type node struct {
	start, end uint32 // of its bytes
	next       Node   // the first node that is not inside of this one
	kind       Kind
	flags      jsonlex.Flags
}

// Index says where the values of a JSON text lie. Its zero value is ready; it
// is for one goroutine at a time, and holds the text until the next Read.
type Index struct {
	text  []byte
	nodes []node

	slots []Node // of the objects that are being checked, see walk.object
}

// Read notes where the values of a text lie. It is false where the text is not
// one JSON document as encoding/json reads it, and for texts of 2 GiB and more.
func (x *Index) Read(text []byte) bool {
	x.text, x.nodes, x.slots = text, x.nodes[:0], x.slots[:0]
	if len(text) > math.MaxInt32 {
		return false
	}
	end := x.value(jsonlex.Space(text, 0), 0)
	return end != jsonlex.Bad && jsonlex.Space(text, end) == len(text)
}

// Large says that the Index has grown so much that it is better not kept.
func (x *Index) Large() bool { return cap(x.nodes) > 1<<16 || cap(x.slots) > 1<<16 }

// Forget drops the text.
func (x *Index) Forget() { x.text = nil }

// Kind returns what a value is.
func (x *Index) Kind(n Node) Kind { return x.nodes[n].kind }

// Raw returns a value's bytes, a part of the document's.
func (x *Index) Raw(n Node) []byte { return x.text[x.nodes[n].start:x.nodes[n].end] }

// Text returns what a string or key means: without quotes, escapes undone, and
// U+FFFD for what is no Unicode. Where possible it is a part of the document's
// bytes.
func (x *Index) Text(n Node) []byte {
	of := &x.nodes[n]
	inner := x.text[of.start+1 : of.end-1]
	if of.flags == 0 || of.flags == jsonlex.High && utf8.Valid(inner) {
		return inner
	}
	var text string
	_ = json.Unmarshal(x.Raw(n), &text) // Read has seen that it is a string
	return []byte(text)
}

// Members goes over the keys and values of an object, in order.
func (x *Index) Members(object Node) iter.Seq2[Node, Node] {
	return func(yield func(key, value Node) bool) {
		end := x.nodes[object].next
		for key := object + 1; key < end; key = x.nodes[key+1].next {
			if !yield(key, key+1) {
				return
			}
		}
	}
}

// Member returns the value that an object has under a name: the last one, if
// the name comes twice. It is not ok where there is none or no object.
func (x *Index) Member(object Node, name string) (value Node, ok bool) {
	if x.nodes[object].kind != Object {
		return 0, false
	}
	for key, of := range x.Members(object) {
		if string(x.Text(key)) == name {
			value, ok = of, true
		}
	}
	return value, ok
}

// Items goes over the items of an array, in order.
func (x *Index) Items(array Node) iter.Seq2[int, Node] {
	return func(yield func(i int, item Node) bool) {
		end, i := x.nodes[array].next, 0
		for item := array + 1; item < end; item = x.nodes[item].next {
			if !yield(i, item) {
				return
			}
			i++
		}
	}
}

// value notes the value that starts at i, with so many arrays and objects open
// around it, and returns the index behind it or jsonlex.Bad.
func (x *Index) value(i, depth int) int {
	if i >= len(x.text) {
		return jsonlex.Bad
	}
	switch c := x.text[i]; {
	case c == '"':
		return x.str(i)
	case c == '{':
		return x.list(i, depth, Object, '}', x.member)
	case c == '-' || c >= '0' && c <= '9':
		end, flags := jsonlex.Number(x.text, i)
		return x.scalar(i, end, Number, flags)
	case c == '[':
		return x.list(i, depth, Array, ']', x.value)
	case c == 't':
		return x.scalar(i, jsonlex.Word(x.text, i, "true"), Boolean, 0)
	case c == 'f':
		return x.scalar(i, jsonlex.Word(x.text, i, "false"), Boolean, 0)
	case c == 'n':
		return x.scalar(i, jsonlex.Word(x.text, i, "null"), Null, 0)
	}
	return jsonlex.Bad
}

func (x *Index) scalar(start, end int, kind Kind, flags jsonlex.Flags) int {
	if end != jsonlex.Bad {
		x.nodes = append(x.nodes, node{uint32(start), uint32(end), Node(len(x.nodes) + 1), kind, flags})
	}
	return end
}

func (x *Index) str(i int) int {
	end, flags := jsonlex.String(x.text, i)
	return x.scalar(i, end, String, flags)
}

// list notes an object or array and what stands in it.
func (x *Index) list(i, depth int, kind Kind, closing byte, one func(i, depth int) int) int {
	if depth >= MaxDepth {
		return jsonlex.Bad
	}
	n := len(x.nodes)
	x.nodes = append(x.nodes, node{start: uint32(i), kind: kind})
	end := jsonlex.List(x.text, i, closing, func(start int) int { return one(start, depth+1) })
	x.nodes[n].end, x.nodes[n].next = uint32(end), Node(len(x.nodes))
	return end
}

// member notes a key and its value.
func (x *Index) member(i, depth int) int {
	_, value := jsonlex.Key(x.text, i)
	if value == jsonlex.Bad {
		return jsonlex.Bad
	}
	x.str(i)
	return x.value(value, depth)
}
