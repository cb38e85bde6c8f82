package brazesource

import (
	"errors"
	"math"
	"strings"
)

// errThrown stands for an error that JavaScript would throw; the event that
// causes it is dropped.
var errThrown = errors.New("the transformation would throw")

// getPath reads a path from an event. The whole path may be a literal key. Else
// it is split at dots and walked: a segment that is no key is joined with those
// after it until that is a key, and one that ends in a backslash loses it and is
// joined with the next. nil is for a path that leads nowhere.
func getPath(target value, path string) (value, error) {
	if v, ok, err := get(target, path); ok || err != nil {
		return v, err
	}
	segments := strings.Split(path, ".")
	at := 0
	for at < len(segments) && holdsKeys(target) {
		key := segments[at]
		for strings.HasSuffix(key, `\`) {
			at++
			next := ""
			if at < len(segments) {
				next = segments[at]
			}
			key = key[:len(key)-1] + "." + next
		}
		v, ok, err := get(target, key)
		for n := at + 1; !ok && err == nil && n < len(segments); n++ {
			key += "." + segments[n]
			if v, ok, err = get(target, key); ok {
				at = n
			}
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

// segment is one step of a path that is written to.
type segment struct {
	key    string
	number bool // it was read as a whole number: an array index
}

// splitPath splits a path for writing. A path with a slash is one key. A
// backslash takes the next character as it is, and an empty last segment falls
// away. A segment that is not blank and that Number reads as a whole number is
// an index.
func splitPath(path string) []segment {
	if strings.Contains(path, "/") {
		return []segment{{key: path}}
	}
	var segments []segment
	part := make([]byte, 0, len(path))
	push := func() {
		s := segment{key: string(part)}
		if trim(s.key) != "" {
			if n := parseNumber(s.key); n == math.Trunc(n) && !math.IsInf(n, 0) {
				s = segment{key: formatNumber(n), number: true}
			}
		}
		segments, part = append(segments, s), part[:0]
	}
	for i := 0; i < len(path); i++ {
		switch {
		case path[i] == '\\' && i+1 == len(path):
			part = append(part, "undefined"...) // JavaScript adds what is behind the end
		case path[i] == '\\':
			i++
			part = append(part, path[i])
		case path[i] == '.':
			push()
		default:
			part = append(part, path[i])
		}
	}
	if len(part) > 0 {
		push()
	}
	return segments
}

// unsafe says whether a segment must never be written.
func unsafe(key string) bool {
	return key == "__proto__" || key == "constructor" || key == "prototype"
}

// setPath writes a value to a path of the message, or deletes what is there
// where the value is nil. What is in the way is replaced: by an array where the
// next segment is an index and the value is no array, by an object where it is
// none and the value holds no keys.
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

// holdsKeys says whether a value is one that can be walked into.
func holdsKeys(v value) bool {
	switch v.(type) {
	case *object, *array, *function:
		return true
	}
	return false
}
