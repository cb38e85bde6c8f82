package brazesource

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// value is a JavaScript value: null, bool, float64, string, *object, *array or
// *function; nil is undefined. Objects and arrays are references, as in JavaScript.
//
// A string is UTF-8, in which half a surrogate pair has three bytes, encoded like any
// other code point.
type value any

type nullType struct{}

var null value = nullType{}

// member is an own property of an object.
type member struct {
	key   string
	value value // nil: it was deleted
}

// object is a JavaScript object with its own properties.
type object struct {
	members []member       // in the order they came
	index   map[string]int // of larger objects: the places of keys in members
	dotted  map[int]bool   // lengths of the keys with a dot, deleted ones too
}

// smallObject is the number of keys up to which a search is faster than a map.
const smallObject = 12

// fewKeys is the initial capacity of an object.
const fewKeys = 4

func (o *object) find(key string) int {
	if o.index == nil {
		return slices.IndexFunc(o.members, func(m member) bool { return m.key == key && m.value != nil })
	}
	if i, ok := o.index[key]; ok {
		return i
	}
	return -1
}

func (o *object) get(key string) (value, bool) {
	if i := o.find(key); i >= 0 {
		return o.members[i].value, true
	}
	return nil, false
}

func (o *object) set(key string, v value) {
	if i := o.find(key); i >= 0 {
		o.members[i].value = v
		return
	}
	if strings.IndexByte(key, '.') >= 0 {
		if o.dotted == nil {
			o.dotted = map[int]bool{}
		}
		o.dotted[len(key)] = true
	}
	if o.members == nil {
		o.members = make([]member, 0, fewKeys)
	}
	o.members = append(o.members, member{key, v})
	switch {
	case o.index != nil:
		o.index[key] = len(o.members) - 1
	case len(o.members) > smallObject:
		o.index = make(map[string]int, 2*len(o.members))
		for i, m := range o.members {
			if m.value != nil {
				o.index[m.key] = i
			}
		}
	}
}

func (o *object) delete(key string) {
	if i := o.find(key); i >= 0 {
		o.members[i].value = nil
		delete(o.index, key)
	}
}

// ordered returns the members in JavaScript's order: array indices ascending, then the
// others in the order in which they were set.
func (o *object) ordered() []member {
	if !slices.ContainsFunc(o.members, func(m member) bool { return m.value == nil || rank(m.key) != math.MaxUint64 }) {
		return o.members
	}
	list := slices.DeleteFunc(slices.Clone(o.members), func(m member) bool { return m.value == nil })
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

// array is a JavaScript array: an object with a length. Its elements are the members
// whose keys are indices, so that an index of a billion takes no more memory than one
// of ten. JSON omits other members.
type array struct {
	object

	length uint32
}

func (a *array) set(key string, v value) {
	a.object.set(key, v)
	if i, is := arrayIndex(key); is {
		a.length = max(a.length, i+1)
	}
}

func (a *array) resize(length uint32) {
	for _, m := range a.ordered() {
		if i, is := arrayIndex(m.key); is && i >= length {
			a.delete(m.key)
		}
	}
	a.length = length
}

// own returns the own properties of a value, nil for one that has none.
func own(v value) *object {
	switch v := v.(type) {
	case *object:
		return v
	case *array:
		return &v.object
	}
	return nil
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

// truthy is JavaScript's Boolean(v).
func truthy(v value) bool {
	switch v := v.(type) {
	case nil, nullType:
		return false
	case bool:
		return v
	case float64:
		return v != 0
	case string:
		return v != ""
	}
	return true
}
