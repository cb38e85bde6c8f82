package brazesource

import (
	"cmp"
	"math"
	"strconv"
	"strings"
)

// function is a built-in function that JavaScript values inherit. JSON omits it.
type function struct {
	name   string
	params float64
}

// The functions that values inherit.
var (
	objectMethods = methods("toString valueOf toLocaleString",
		"hasOwnProperty __lookupGetter__ __lookupSetter__ isPrototypeOf propertyIsEnumerable",
		"__defineGetter__ __defineSetter__")
	arrayMethods = methods("pop reverse shift keys entries values flat toReversed",
		"at concat fill find findIndex findLast findLastIndex lastIndexOf push unshift sort includes indexOf join forEach filter flatMap map every some "+
			"reduce reduceRight toSorted",
		"copyWithin slice splice toSpliced with")
	functionMethods = methods("", "bind call", "apply")
)

// methods are functions by their names, from lists of those with no, one and two
// parameters.
func methods(lists ...string) map[string]*function {
	all := map[string]*function{}
	for params, names := range lists {
		for name := range strings.FieldsSeq(names) {
			all[name] = &function{name, float64(params)}
		}
	}
	return all
}

// inherited returns an inherited property of an object, array or function, which a
// path can lead to: properties.toString.x is a property of a function.
func inherited(target value, key string) (v value, ok bool) {
	constructor, own := "Object", objectMethods
	switch target.(type) {
	case *array:
		constructor, own = "Array", arrayMethods
	case *function:
		constructor, own = "Function", functionMethods
		if key == "arguments" || key == "caller" {
			panic(thrown{}) // reading them is forbidden
		}
	}
	switch key {
	case "__proto__":
		return &object{}, true
	case "constructor":
		return &function{constructor, 1}, true
	}
	if method := cmp.Or(own[key], objectMethods[key]); method != nil {
		return method, true
	}
	return nil, false
}

// get reads a property, own or inherited, as JavaScript's in and [] do.
func get(target value, key string) (v value, ok bool) {
	switch t := target.(type) {
	case *object:
		v, ok = t.get(key)
	case *array:
		if v, ok = t.get(key); key == "length" {
			v, ok = float64(t.length), true
		}
	case *function:
		switch key {
		case "name":
			v, ok = t.name, true
		case "length":
			v, ok = t.params, true
		}
	default:
		return nil, false
	}
	if ok {
		return v, true
	}
	return inherited(target, key)
}

// set writes a property. Writes to functions are ignored: no message shows them.
func set(target value, key string, v value) {
	switch t := target.(type) {
	case *object:
		t.set(key, v)
	case *array:
		if key == "length" {
			setLength(t, v)
		} else {
			t.set(key, v)
		}
	case *function:
		switch key {
		case "name", "length", "arguments", "caller":
			panic(thrown{}) // not writable
		}
	}
}

func setLength(a *array, v value) {
	n := toNumber(v)
	if n != math.Trunc(n) || n < 0 || n >= 1<<32 { // NaN differs from itself
		panic(thrown{})
	}
	a.resize(uint32(n))
}

// toNumber is JavaScript's Number(v) for any value but undefined.
func toNumber(v value) float64 {
	switch v {
	case null, false:
		return 0
	case true:
		return 1
	}
	return parseNumber(toString(v))
}

// toString is JavaScript's String(v) for any value. For an object whose own toString
// hides the inherited one it throws.
func toString(v value) string {
	switch v := v.(type) {
	case nil:
		return "undefined"
	case nullType:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return formatNumber(v)
	case string:
		return v
	case *array:
		return joinArray(v)
	case *object:
		if _, hidden := v.get("toString"); hidden {
			panic(thrown{})
		}
		return "[object Object]"
	}
	return "function" // in place of its source text, which has no effect on a message
}

// joinArray is String(v) of an array: its elements separated by commas.
func joinArray(a *array) string {
	if int64(a.length) > int64(len(a.members)) {
		return "," // an array with gaps may be huge; for the callers any text that is no number will do
	}
	var text strings.Builder
	for i := range a.length {
		if i > 0 {
			text.WriteByte(',')
		}
		if v, _ := a.get(indexKey(i)); v != nil && v != null {
			text.WriteString(toString(v))
		}
	}
	return text.String()
}

// indexKey is an array index as a key.
func indexKey(i uint32) string { return strconv.FormatUint(uint64(i), 10) }
