package oracle

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Sum is a 128-bit hash of a JSON value, the same for every order of keys and
// every way to escape a string, different for every other difference.
type Sum [16]byte

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
func Decode(text []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
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

// SumOf hashes a value that Decode has made, or one built of the same types:
// encoding/json sorts keys, escapes every string in one way, and leaves numbers
// as they were written.
func SumOf(v any) Sum {
	text, err := json.Marshal(v)
	if err != nil {
		text = []byte(err.Error()) // unreachable for what Decode has made
	}
	return sumText(string(text))
}

// sumText hashes a text, such as an event's id.
func sumText(text string) Sum {
	full := sha256.Sum256([]byte(text))
	return Sum(full[:16])
}

// floats is a copy of a value in which every number that is a float64 is one.
func floats(v any) any {
	switch v := v.(type) {
	case json.Number:
		if f, err := v.Float64(); err == nil {
			return f + 0 // of two zeros there is one
		}
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = floats(v[i])
		}
		return list
	case map[string]any:
		object := make(map[string]any, len(v))
		for key := range v {
			object[key] = floats(v[key])
		}
		return object
	}
	return v
}

// Diff says where two values differ, at most limit places, each as
// "path: want X, got Y". The paths are JSON pointers.
func Diff(want, got any, numbers Numbers, limit int) []string {
	d := differ{numbers: numbers, limit: limit}
	d.compare("", want, got)
	return d.found
}

type differ struct {
	numbers Numbers
	limit   int
	found   []string
}

func (d *differ) compare(path string, want, got any) {
	if len(d.found) >= d.limit {
		return
	}
	if wantMap, ok := want.(map[string]any); ok {
		if gotMap, ok := got.(map[string]any); ok {
			d.compareMaps(path, wantMap, gotMap)
			return
		}
	}
	if wantList, ok := want.([]any); ok {
		if gotList, ok := got.([]any); ok && len(wantList) == len(gotList) {
			for i := range wantList {
				d.compare(path+"/"+strconv.Itoa(i), wantList[i], gotList[i])
			}
			return
		}
	}
	same := reflect.DeepEqual(want, got)
	if !same && d.numbers == Float {
		same = reflect.DeepEqual(floats(want), floats(got))
	}
	if !same {
		d.note(path, show(want), show(got))
	}
}

func (d *differ) compareMaps(path string, want, got map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(want)) {
		value, there := got[key]
		if !there {
			d.note(path+"/"+escapePointer(key), show(want[key]), "nothing")
			continue
		}
		d.compare(path+"/"+escapePointer(key), want[key], value)
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if _, there := want[key]; !there {
			d.note(path+"/"+escapePointer(key), "nothing", show(got[key]))
		}
	}
}

func (d *differ) note(path, want, got string) {
	if len(d.found) < d.limit {
		d.found = append(d.found, fmt.Sprintf("%s: want %s, got %s", path, want, got))
	}
}

// escapePointer writes a key as a JSON pointer does (RFC 6901).
func escapePointer(key string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
}

// show writes a value for a person to read, cut where it is long.
func show(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%v", v)
	}
	const longest = 120
	if len(text) > longest {
		return string(text[:longest]) + "…"
	}
	return string(text)
}
