package brazesource

import (
	"math"
	"strings"
)

// thrown is what the model panics with where JavaScript throws, which drops the event.
type thrown struct{}

// throws says whether a function panics with thrown.
func throws(f func()) (threw bool) {
	defer func() {
		failure := recover()
		if _, threw = failure.(thrown); failure != nil && !threw {
			panic(failure)
		}
	}()
	f()
	return false
}

// getPath reads a path from an event. The whole path may be a literal key. Otherwise
// it is split at dots and followed: a segment that is not a key is joined with the
// next ones until the result is a key, and one that ends in a backslash loses it and
// is joined with the next. A path that leads nowhere gives nil.
func getPath(event *object, path string) value {
	if v, ok := event.get(path); ok {
		return v
	}
	var target value = event
	for rest, more := path, true; more; {
		if !holdsKeys(target) {
			return nil
		}
		var key string
		key, rest, more = strings.Cut(rest, ".")
		if strings.HasSuffix(key, `\`) {
			var ok bool
			if key, rest, more, ok = unescaped(key, rest, more); !ok {
				return nil
			}
		}
		v, ok := get(target, key)
		if !ok && more {
			v, ok, rest, more = getJoined(target, key, rest)
		}
		if !ok {
			return nil
		}
		target = v
	}
	return target
}

// unescaped joins a segment with the next ones as long as the result ends in a
// backslash, which it removes. It is not ok for a path that ends in one.
func unescaped(segment, rest string, more bool) (key, behind string, some, ok bool) {
	text := []byte(segment)
	for len(text) > 0 && text[len(text)-1] == '\\' {
		if !more {
			return "", "", false, false
		}
		text[len(text)-1] = '.'
		segment, rest, more = strings.Cut(rest, ".")
		text = append(text, segment...)
	}
	return string(text), rest, more, true
}

// getJoined joins key with the next segments of the path until the result is a key. A
// path may have as many segments as an event has bytes, so only results that are as
// long as a key of the target are looked up. Inherited properties have no dot.
func getJoined(target value, key, rest string) (v value, ok bool, behind string, more bool) {
	o := own(target)
	if o == nil || len(o.dotted) == 0 {
		return nil, false, "", false
	}
	for n := range len(rest) + 1 {
		if n < len(rest) && rest[n] != '.' || !o.dotted[len(key)+len(".")+n] {
			continue
		}
		if v, ok := o.get(key + "." + rest[:n]); ok {
			return v, true, rest[min(n+1, len(rest)):], n < len(rest)
		}
	}
	return nil, false, "", false
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
	segments = make([]segment, 0, strings.Count(path, ".")+1)
	for path != "" {
		var key string
		key, path = cutKey(path)
		segments = append(segments, segmentOf(key))
	}
	return segments
}

// cutKey cuts the first key off a path.
func cutKey(path string) (key, rest string) {
	i := strings.IndexAny(path, `.\`)
	if i < 0 || path[i] == '.' {
		key, rest, _ = strings.Cut(path, ".")
		return key, rest
	}
	text := []byte(path[:i])
	for ; i < len(path) && path[i] != '.'; i++ {
		if path[i] == '\\' {
			i++
		}
		if i == len(path) {
			return string(text) + "undefined", "" // as JavaScript reads behind the end
		}
		text = append(text, path[i])
	}
	return string(text), path[min(i+1, len(path)):]
}

func segmentOf(key string) segment {
	if strings.ContainsAny(key, "0123456789") {
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
func setPath(message *object, path string, v value) {
	var target value = message
	segments := splitPath(path)
	for i, s := range segments {
		if unsafe(s.key) {
			panic(thrown{})
		}
		if i == len(segments)-1 {
			if o := own(target); v == nil && o != nil {
				o.delete(s.key)
			} else if v != nil {
				set(target, s.key, v)
			}
			return
		}
		child, _ := get(target, s.key)
		_, isArray := child.(*array)
		switch {
		case segments[i+1].number && !isArray:
			child = &array{}
			set(target, s.key, child)
		case !holdsKeys(child):
			child = &object{}
			set(target, s.key, child)
		}
		target = child
	}
}

// holdsKeys says whether a value has properties.
func holdsKeys(v value) bool {
	switch v.(type) {
	case *object, *array, *function:
		return true
	}
	return false
}
