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
func inherited(target value, key string) (v value, ok bool, err error) {
	constructor, own := "Object", objectMethods
	switch target.(type) {
	case *array:
		constructor, own = "Array", arrayMethods
	case *function:
		constructor, own = "Function", functionMethods
		if key == "arguments" || key == "caller" {
			return nil, false, errThrown // reading them is forbidden
		}
	}
	switch key {
	case "__proto__":
		return &object{}, true, nil
	case "constructor":
		return &function{constructor, 1}, true, nil
	}
	if method := cmp.Or(own[key], objectMethods[key]); method != nil {
		return method, true, nil
	}
	return nil, false, nil
}

// get reads a property, own or inherited, as JavaScript's in and [] do.
func get(target value, key string) (v value, ok bool, err error) {
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
		return nil, false, nil
	}
	if ok {
		return v, true, nil
	}
	return inherited(target, key)
}

// set writes a property. Writes to functions are ignored: no message shows them.
func set(target value, key string, v value) error {
	switch t := target.(type) {
	case *object:
		t.set(key, v)
	case *array:
		if key == "length" {
			return setLength(t, v)
		}
		t.set(key, v)
	case *function:
		switch key {
		case "name", "length", "arguments", "caller":
			return errThrown // not writable
		}
	}
	return nil
}

func setLength(a *array, v value) error {
	n, err := toNumber(v)
	if err != nil {
		return err
	}
	if n != math.Trunc(n) || n < 0 || n >= 1<<32 { // NaN differs from itself
		return errThrown
	}
	a.resize(uint32(n))
	return nil
}

// toNumber is JavaScript's Number(v) for any value.
func toNumber(v value) (float64, error) {
	switch v := v.(type) {
	case float64:
		return v, nil
	case bool:
		if v {
			return 1, nil
		}
		return 0, nil
	case nullType:
		return 0, nil
	case nil:
		return math.NaN(), nil
	}
	text, err := toString(v)
	if err != nil {
		return 0, err
	}
	return parseNumber(text), nil
}

// toString is JavaScript's String(v) for any value. For an object whose own toString
// hides the inherited one it throws.
func toString(v value) (string, error) {
	switch v := v.(type) {
	case nil:
		return "undefined", nil
	case nullType:
		return "null", nil
	case bool:
		if v {
			return "true", nil
		}
		return "false", nil
	case float64:
		return formatNumber(v), nil
	case string:
		return v, nil
	case *array:
		return joinArray(v)
	case *object:
		if _, hidden := v.get("toString"); hidden {
			return "", errThrown
		}
		return "[object Object]", nil
	}
	return "function", nil // in place of its source text, which has no effect on a message
}

// joinArray is String(v) of an array: its elements separated by commas.
func joinArray(a *array) (string, error) {
	if int64(a.length) > int64(len(a.members)) {
		return ",", nil // an array with gaps may be huge; for the callers any text that is no number will do
	}
	var text strings.Builder
	for i := range a.length {
		if i > 0 {
			text.WriteByte(',')
		}
		v, _ := a.get(indexKey(i))
		if v == nil || v == null {
			continue
		}
		part, err := toString(v)
		if err != nil {
			return "", err
		}
		text.WriteString(part)
	}
	return text.String(), nil
}

// indexKey is an array index as a key.
func indexKey(i uint32) string { return strconv.FormatUint(uint64(i), 10) }
