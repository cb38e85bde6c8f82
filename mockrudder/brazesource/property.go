package brazesource

import (
	"math"
	"strings"
)

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
func methods(lists ...string) *object {
	all := &object{}
	for params, names := range lists {
		for name := range strings.FieldsSeq(names) {
			all.set(name, functionOf(name, uint32(params)))
		}
	}
	return all
}

func functionOf(name string, params uint32) value {
	o := &object{class: function}
	o.set("name", value{json: quote(name)})
	o.set("length", value{json: indexKey(params)})
	o.dottedLengths() // all transformations share it: nothing is left to find out later
	return value{object: o}
}

// inherited returns an inherited property of an object, array or function, which a
// path can lead to: properties.toString.x is a property of a function.
func inherited(c class, key string) (v value, ok bool) {
	constructor, methods := "Object", objectMethods
	switch c {
	case array:
		constructor, methods = "Array", arrayMethods
	case function:
		constructor, methods = "Function", functionMethods
		if key == "arguments" || key == "caller" {
			panic(thrown{}) // reading them is forbidden
		}
	}
	switch key {
	case "__proto__":
		return value{object: &object{}}, true
	case "constructor":
		return functionOf(constructor, 1), true
	}
	if v = methods.get(key); v.undefined() {
		v = objectMethods.get(key)
	}
	return v, !v.undefined()
}

// get reads a property, own or inherited, as JavaScript's in and [] do.
func get(target value, key string) (v value, ok bool) {
	o := target.object
	if o == nil {
		return value{}, false
	}
	if o.class == array && key == "length" {
		return value{json: indexKey(o.length)}, true
	}
	if v = o.get(key); !v.undefined() {
		return v, true
	}
	return inherited(o.class, key)
}

// set writes a property. Writes to functions are ignored: no message shows them.
func set(o *object, key string, v value) {
	switch {
	case o.class == function:
		switch key {
		case "name", "length", "arguments", "caller":
			panic(thrown{}) // not writable
		}
	case o.class == array && key == "length":
		n := toNumber(v)
		if n != math.Trunc(n) || n < 0 || n >= 1<<32 { // NaN differs from itself
			panic(thrown{})
		}
		o.resize(uint32(n))
	default:
		o.set(key, v)
	}
}

// toNumber is JavaScript's Number(v) for any value but undefined.
func toNumber(v value) float64 {
	switch v.json {
	case "null", "false":
		return 0
	case "true":
		return 1
	}
	return parseNumber(toString(v))
}

// toString is JavaScript's String(v) for any value. For an object whose own toString
// hides the inherited one it throws.
func toString(v value) string {
	switch o := v.object; {
	case v.undefined():
		return "undefined"
	case o == nil && v.json[0] == '"':
		return unquote(v.json)
	case o == nil:
		return v.json
	case o.class == array:
		return joinArray(o)
	case o.class == function:
		return "function" // in place of its source text, which has no effect on a message
	case !o.get("toString").undefined():
		panic(thrown{})
	}
	return "[object Object]"
}

// joinArray is String(v) of an array: its elements separated by commas.
func joinArray(a *object) string {
	if int64(a.length) > int64(len(a.members)) {
		return "," // an array with gaps may be huge; for the callers any text that is no number will do
	}
	var text strings.Builder
	for i := range a.length {
		if i > 0 {
			text.WriteByte(',')
		}
		if v := a.get(indexKey(i)); !v.undefined() && v != null {
			text.WriteString(toString(v))
		}
	}
	return text.String()
}
