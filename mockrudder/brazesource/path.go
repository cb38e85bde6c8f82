package brazesource

import (
	"errors"
	"math"
	"strings"
)

// errThrown takes the place of an error that JavaScript throws, which drops the event.
var errThrown = errors.New("the transformation would throw")

// getPath reads a path from an event. The whole path may be a literal key. Otherwise
// it is split at dots and followed: a segment that is not a key is joined with the
// next ones until the result is a key, and one that ends in a backslash loses it and
// is joined with the next. A path that leads nowhere gives nil.
func getPath(target value, path string) (value, error) {
	if v, ok, err := get(target, path); ok || err != nil {
		return v, err
	}
	segments := strings.Split(path, ".")
	at := 0
	for at < len(segments) && holdsKeys(target) {
		key := segments[at]
		if strings.HasSuffix(key, `\`) {
			key, at = unescaped(segments, at)
		}
		v, ok, err := get(target, key)
		if !ok && err == nil {
			v, ok, at = getJoined(target, key, segments, at)
		}
		if !ok || err != nil {
			return nil, err
		}
		target = v
		at++
	}
	if at != len(segments) {
		return nil, nil
	}
	return target, nil
}

// unescaped joins the segment at with the next ones as long as the result ends in a
// backslash, which it removes. It returns the index of the last segment that it used,
// which is the length of segments if that one ends in a backslash.
func unescaped(segments []string, at int) (key string, last int) {
	text := []byte(segments[at])
	for len(text) > 0 && text[len(text)-1] == '\\' {
		text[len(text)-1] = '.'
		if at++; at < len(segments) {
			text = append(text, segments[at]...)
		}
	}
	return string(text), at
}

// getJoined joins key, which ends with the segment at, with the next segments until
// the result is a key. A path may have as many segments as an event has bytes, so only
// results that are as long as a key of the target are looked up.
func getJoined(target value, key string, segments []string, at int) (v value, ok bool, last int) {
	sizes := dottedSizes(target)
	if len(sizes) == 0 {
		return nil, false, at // inherited properties have no dot
	}
	size := len(key)
	for n := at + 1; n < len(segments); n++ {
		size += len(".") + len(segments[n])
		if !sizes[size] {
			continue
		}
		joined := key + "." + strings.Join(segments[at+1:n+1], ".")
		if v, ok, err := get(target, joined); ok && err == nil {
			return v, true, n
		}
	}
	return nil, false, at
}

// dottedSizes returns how long the keys with dots of a value are.
func dottedSizes(v value) map[int]bool {
	switch v := v.(type) {
	case *object:
		return v.dotted
	case *array:
		return v.named.dotted
	}
	return nil
}

// segment is one step of a path that is written to.
type segment struct {
	key    string
	number bool // an array index
}

// splitPath splits a path for writing. A path with a slash is one key. A backslash
// escapes the next character, and an empty last segment is ignored. A segment that is
// not blank and that Number reads as a whole number is an index.
func splitPath(path string) (segments []segment) {
	if strings.Contains(path, "/") {
		return []segment{{key: path}}
	}
	part := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		switch {
		case path[i] == '\\' && i+1 == len(path):
			part = append(part, "undefined"...) // as JavaScript reads behind the end
		case path[i] == '\\':
			i++
			part = append(part, path[i])
		case path[i] == '.':
			segments, part = append(segments, segmentOf(string(part))), part[:0]
		default:
			part = append(part, path[i])
		}
	}
	if len(part) > 0 {
		segments = append(segments, segmentOf(string(part)))
	}
	return segments
}

func segmentOf(key string) segment {
	if trim(key) != "" {
		if n := parseNumber(key); n == math.Trunc(n) && !math.IsInf(n, 0) {
			return segment{key: formatNumber(n), number: true}
		}
	}
	return segment{key: key}
}

// unsafe says whether a segment is never written.
func unsafe(key string) bool {
	return key == "__proto__" || key == "constructor" || key == "prototype"
}

// setPath writes a value to a path of the message, or deletes the value there if it is
// nil. Values on the path are replaced: by an array if the next segment is an index and
// the value is not an array, by an object if it is no index and the value has no keys.
func setPath(message *object, path string, v value) error {
	var target value = message
	segments := splitPath(path)
	for i, s := range segments {
		if unsafe(s.key) {
			return errThrown
		}
		if i == len(segments)-1 {
			if v == nil {
				remove(target, s.key)
				return nil
			}
			return set(target, s.key, v)
		}
		child, _, err := get(target, s.key)
		if err != nil {
			return err
		}
		_, isArray := child.(*array)
		switch {
		case segments[i+1].number && !isArray:
			child = &array{}
		case !holdsKeys(child):
			child = &object{}
		default:
			target = child
			continue
		}
		if err := set(target, s.key, child); err != nil {
			return err
		}
		target = child
	}
	return nil
}

// holdsKeys says whether a value has properties.
func holdsKeys(v value) bool {
	switch v.(type) {
	case *object, *array, *function:
		return true
	}
	return false
}
