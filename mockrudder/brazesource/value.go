package brazesource

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// value is a JavaScript value; the zero value is undefined. Objects are references, as
// in JavaScript.
type value struct {
	// json is null, a bool, a number or a string as JSON.stringify writes it. Infinity,
	// for which JSON has no text, is kept.
	json   string
	object *object // of an object, array or function
}

var null = value{json: "null"}

// undefined also is the value of a member that was deleted.
func (v value) undefined() bool { return v.json == "" && v.object == nil }

type class uint8

const (
	plain class = iota
	array
	function // a built-in one that values inherit; JSON omits it
)

// object is a JavaScript object, array or function with its own properties. The
// elements of an array are the members whose keys are indices, so that an index of a
// billion takes no more memory than one of ten.
type object struct {
	class   class
	length  uint32 // of an array
	members []member
	seen    uint64         // a bit of each key, so that most other keys are told without a search
	index   map[string]int // of larger objects: the places of keys in members
	dotted  map[int]bool   // lengths of the keys with a dot, deleted ones too
	looked  int            // how many members were looked at for it
}

// member is an own property of an object, in the order they came.
type member struct {
	key   string
	value value
}

// smallObject is the number of keys up to which a search is faster than a map.
const smallObject = 64

// bit is the bit of a key in seen.
func bit(key string) uint64 {
	if key == "" {
		return 1
	}
	return 1 << ((uint(len(key))*7 + uint(key[0])*3 + uint(key[len(key)-1])) % 64)
}

func (o *object) find(key string) int {
	if o.seen&bit(key) == 0 {
		return -1
	}
	if len(o.members) <= smallObject {
		for i := range o.members {
			if m := &o.members[i]; m.key == key && !m.value.undefined() {
				return i
			}
		}
		return -1
	}
	if o.index == nil {
		o.index = make(map[string]int, 2*len(o.members))
		for i, m := range o.members {
			if !m.value.undefined() {
				o.index[m.key] = i
			}
		}
	}
	if i, ok := o.index[key]; ok {
		return i
	}
	return -1
}

func (o *object) get(key string) value {
	if i := o.find(key); i >= 0 {
		return o.members[i].value
	}
	return value{}
}

func (o *object) set(key string, v value) {
	if i := o.find(key); i >= 0 {
		o.members[i].value = v
		return
	}
	if o.index != nil {
		o.index[key] = len(o.members)
	}
	o.append(key, v)
}

// append is set for a key that is new.
func (o *object) append(key string, v value) {
	o.seen |= bit(key)
	o.members = append(o.members, member{key, v})
	if o.class == array {
		if i, is := arrayIndex(key); is {
			o.length = max(o.length, i+1)
		}
	}
}

func (o *object) delete(key string) {
	if i := o.find(key); i >= 0 {
		o.members[i].value = value{}
		delete(o.index, key)
	}
}

// dottedLengths are the lengths of the keys with a dot, deleted ones too.
func (o *object) dottedLengths() map[int]bool {
	for ; o.looked < len(o.members); o.looked++ {
		if key := o.members[o.looked].key; strings.IndexByte(key, '.') >= 0 {
			if o.dotted == nil {
				o.dotted = map[int]bool{}
			}
			o.dotted[len(key)] = true
		}
	}
	return o.dotted
}

// ordered returns the members in JavaScript's order: array indices ascending, then the
// others in the order in which they were set.
func (o *object) ordered() []member {
	last, inOrder := uint64(0), true
	for i := range o.members {
		m := &o.members[i]
		r := rank(m.key)
		inOrder = inOrder && r >= last && !m.value.undefined()
		last = r
	}
	if inOrder {
		return o.members
	}
	list := slices.DeleteFunc(slices.Clone(o.members), func(m member) bool { return m.value.undefined() })
	slices.SortStableFunc(list, func(a, b member) int { return cmp.Compare(rank(a.key), rank(b.key)) })
	return list
}

// rank is an array index, or more than any index for other keys.
func rank(key string) uint64 {
	if i, is := arrayIndex(key); is {
		return uint64(i)
	}
	return math.MaxUint64
}

// resize changes the length of an array.
func (o *object) resize(length uint32) {
	for _, m := range o.ordered() {
		if i, is := arrayIndex(m.key); is && i >= length {
			o.delete(m.key)
		}
	}
	o.length = length
}

// arrayIndex reads a key that is an array index of JavaScript: a whole number below
// 2^32-1 without leading zeros.
func arrayIndex(key string) (uint32, bool) {
	if key == "" || key[0] < '0' || key[0] > '9' || key[0] == '0' && len(key) > 1 {
		return 0, false
	}
	n, err := strconv.ParseUint(key, 10, 32)
	return uint32(n), err == nil && n < math.MaxUint32
}

// indexKey is an array index as a key.
func indexKey(i uint32) string { return strconv.FormatUint(uint64(i), 10) }

// truthy is JavaScript's Boolean(v).
func truthy(v value) bool {
	switch v.json {
	case "null", "false", "0", `""`:
		return false
	}
	return !v.undefined()
}
