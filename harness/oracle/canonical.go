package oracle

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
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

// SumOf hashes a value that Decode has made, or one built of the same types.
func SumOf(v any, numbers Numbers) Sum {
	full := sha256.Sum256(appendCanonical(nil, v, numbers))
	return Sum(full[:16])
}

// sumText hashes a text, such as an event's id.
func sumText(text string) Sum {
	full := sha256.Sum256([]byte(text))
	return Sum(full[:16])
}

// appendCanonical writes v so that equal values give equal bytes and different
// values different ones. The form is for hashing only, it is not JSON.
func appendCanonical(dst []byte, v any, numbers Numbers) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, 'n')
	case bool:
		if v {
			return append(dst, 't')
		}
		return append(dst, 'f')
	case string:
		return appendText(append(dst, 's'), v)
	case json.Number:
		return appendText(append(dst, '0'), numberText(v, numbers))
	case []any:
		dst = append(dst, '[')
		for _, item := range v {
			dst = appendCanonical(dst, item, numbers)
		}
		return append(dst, ']')
	case map[string]any:
		dst = append(dst, '{')
		for _, key := range slices.Sorted(maps.Keys(v)) {
			dst = appendText(dst, key)
			dst = appendCanonical(dst, v[key], numbers)
		}
		return append(dst, '}')
	default:
		// Unreachable for decoded JSON; two unknown values never compare equal.
		return appendText(append(dst, '?'), fmt.Sprintf("%T %v", v, v))
	}
}

// appendText writes the length first, so that no text can pass for another.
func appendText(dst []byte, text string) []byte {
	dst = strconv.AppendInt(dst, int64(len(text)), 10)
	dst = append(dst, ':')
	return append(dst, text...)
}

func numberText(n json.Number, numbers Numbers) string {
	if numbers == Exact {
		return n.String()
	}
	f, err := n.Float64()
	if err != nil {
		return n.String()
	}
	return strconv.FormatFloat(f+0, 'g', -1, 64)
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
	if !bytes.Equal(appendCanonical(nil, want, d.numbers), appendCanonical(nil, got, d.numbers)) {
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
