package oracle

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Sum is a 64-bit hash of a JSON value, the same for every order of keys and every way
// to escape a string, different for every other difference. Each process has its own.
type Sum uint64

// Numbers says when two JSON numbers are the same.
type Numbers uint8

const (
	// Exact numbers are the same when they are written the same: 1 is not 1.0,
	// and 9007199254740993 is not 9007199254740992.
	Exact Numbers = iota
	// Float numbers are the same when they are the same float64, as
	// RudderStack's gateway reads them.
	Float
)

// Decode reads one JSON document and keeps numbers as they are written
// (json.Number). It fails on anything but white space after the document.
func Decode(document []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(document))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("decode JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("decode JSON: more than one document")
	}
	return v, nil
}

// SumOf hashes a value that Decode has made, or one built of the same types.
func SumOf(v any) (sum Sum) {
	switch v := v.(type) {
	case map[string]any:
		sum = '{'
		for key, member := range v { // in any order
			sum += part{'{', key, SumOf(member)}.sum()
		}
		return sum
	case []any:
		sum = '['
		for i, element := range v {
			sum += part{'[', strconv.Itoa(i), SumOf(element)}.sum()
		}
		return sum
	case string:
		return part{'"', v, 0}.sum()
	default: // null, a boolean or a number, as it is written
		return part{0, fmt.Sprint(v), 0}.sum()
	}
}

// part is a member of an object, an element of a list, or a scalar.
type part struct {
	kind  byte
	text  string // the key, the index or the scalar
	value Sum
}

var seed = maphash.MakeSeed()

func (p part) sum() Sum { return Sum(maphash.Comparable(seed, p)) }

// Diff says where two values differ, at most limit places, each as
// "path: want X, got Y". The paths are JSON pointers.
func Diff(want, got any, numbers Numbers, limit int) []string {
	wanted, came := map[string]string{}, map[string]string{}
	flatten("", want, numbers, wanted)
	flatten("", got, numbers, came)
	all := maps.Clone(wanted)
	maps.Copy(all, came)
	var found []string
	for _, path := range slices.Sorted(maps.Keys(all)) {
		if wanted[path] != came[path] && len(found) < limit {
			found = append(found, fmt.Sprintf("%s: want %s, got %s", path, cut(wanted[path]), cut(came[path])))
		}
	}
	return found
}

// flatten notes every value by its JSON pointer (RFC 6901), an object or a list as an
// empty one.
func flatten(path string, v any, numbers Numbers, into map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		into[path] = "{}"
		for key, value := range v {
			flatten(path+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(key), value, numbers, into)
		}
		return
	case []any:
		into[path] = "[]"
		for i, value := range v {
			flatten(path+"/"+strconv.Itoa(i), value, numbers, into)
		}
		return
	case json.Number:
		if f, err := v.Float64(); err == nil && numbers == Float {
			into[path] = strconv.FormatFloat(f+0, 'g', -1, 64) // of two zeros there is one
			return
		}
	}
	into[path] = text(v)
}

func text(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%v", v) // unreachable for what Decode has made
	}
	return string(text)
}

func cut(text string) string {
	const longest = 120
	if len(text) > longest {
		return text[:longest] + "…"
	}
	return cmp.Or(text, "nothing")
}
