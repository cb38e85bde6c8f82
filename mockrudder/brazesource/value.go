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

// object is a JavaScript object with its own properties.
type object struct {
	keys    []string // in the order they came
	values  []value  // nil where the key was deleted
	index   map[string]int
	indices bool         // some key is an array index
	dotted  map[int]bool // lengths of the keys with a dot, deleted ones too
}

// smallObject is the number of keys up to which a search is faster than a map.
const smallObject = 12

// fewKeys is the initial capacity of an object.
const fewKeys = 4

func (o *object) find(key string) int {
	if o.index != nil {
		if i, ok := o.index[key]; ok {
			return i
		}
		return -1
	}
	for i, k := range o.keys {
		if k == key && o.values[i] != nil {
			return i
		}
	}
	return -1
}

func (o *object) get(key string) (value, bool) {
	if i := o.find(key); i >= 0 {
		return o.values[i], true
	}
	return nil, false
}

func (o *object) set(key string, v value) {
	if i := o.find(key); i >= 0 {
		o.values[i] = v
		return
	}
	if _, ok := arrayIndex(key); ok {
		o.indices = true
	}
	if strings.IndexByte(key, '.') >= 0 {
		if o.dotted == nil {
			o.dotted = map[int]bool{}
		}
		o.dotted[len(key)] = true
	}
	if o.keys == nil {
		o.keys, o.values = make([]string, 0, fewKeys), make([]value, 0, fewKeys)
	}
	o.keys, o.values = append(o.keys, key), append(o.values, v)
	switch {
	case o.index != nil:
		o.index[key] = len(o.keys) - 1
	case len(o.keys) > smallObject:
		o.index = make(map[string]int, 2*len(o.keys))
		for i, k := range o.keys {
			if o.values[i] != nil {
				o.index[k] = i
			}
		}
	}
}

func (o *object) delete(key string) {
	if i := o.find(key); i >= 0 {
		o.values[i] = nil
		delete(o.index, key)
	}
}

// ordered returns the keys in JavaScript's order: array indices ascending, then the
// others in the order in which they were set.
func (o *object) ordered() []string {
	keys := make([]string, 0, len(o.keys))
	for i, key := range o.keys {
		if o.values[i] != nil {
			keys = append(keys, key)
		}
	}
	if o.indices {
		slices.SortStableFunc(keys, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	}
	return keys
}

// rank is an array index, or more than any index for other keys.
func rank(key string) int64 {
	if i, is := arrayIndex(key); is {
		return int64(i)
	}
	return math.MaxInt64
}

// array is a JavaScript array. Elements are in dense up to the first gap, and beyond
// it in sparse, so that an index of a billion takes no more memory than one of ten.
type array struct {
	length uint32
	dense  []value // nil is a hole
	sparse map[uint32]value
	named  object // other properties than elements; JSON omits them
}

func (a *array) get(i uint32) (value, bool) {
	if int64(i) < int64(len(a.dense)) {
		return a.dense[i], a.dense[i] != nil
	}
	v, ok := a.sparse[i]
	return v, ok
}

func (a *array) set(i uint32, v value) {
	switch n := int64(len(a.dense)); {
	case int64(i) < n:
		a.dense[i] = v
	case int64(i) == n:
		a.dense = append(a.dense, v)
		delete(a.sparse, i)
	default:
		if a.sparse == nil {
			a.sparse = map[uint32]value{}
		}
		a.sparse[i] = v
	}
	a.length = max(a.length, i+1)
}

func (a *array) delete(i uint32) {
	if int64(i) < int64(len(a.dense)) {
		a.dense[i] = nil
	} else {
		delete(a.sparse, i)
	}
}

func (a *array) resize(length uint32) {
	if int64(length) < int64(len(a.dense)) {
		clear(a.dense[length:])
		a.dense = a.dense[:length]
	}
	for i := range a.sparse {
		if i >= length {
			delete(a.sparse, i)
		}
	}
	a.length = length
}

// arrayIndex reads a key that is an array index of JavaScript: a whole number below
// 2^32-1 without leading zeros.
func arrayIndex(key string) (uint32, bool) {
	if key == "" || len(key) > 10 || key[0] == '0' && len(key) > 1 {
		return 0, false
	}
	for i := range len(key) {
		if key[i] < '0' || key[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(key, 10, 32)
	if err != nil || n == 1<<32-1 {
		return 0, false
	}
	return uint32(n), true
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
