package brazesource

import (
	"math"
	"strings"
	"unicode/utf8"
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

// getPath reads the path section.name from an event, whose member section is within. The
// whole path may be a literal key. Otherwise it is followed.
func getPath(event *object, section string, within value, name string) value {
	if len(event.dottedLengths()) == 0 {
		return follow(within, name)
	}
	path := section + "." + name
	if v := event.get(path); !v.undefined() {
		return v
	}
	return follow(value{object: event}, path)
}

// follow splits a path at dots: a segment that is not a key is joined with the next
// ones until the result is a key, and one that ends in a backslash loses it and is
// joined with the next. A path that leads nowhere gives undefined.
func follow(target value, path string) value {
	for rest, more := path, true; more; {
		if target.object == nil {
			return value{}
		}
		var key string
		key, rest, more = strings.Cut(rest, ".")
		if strings.HasSuffix(key, `\`) {
			var ok bool
			if key, rest, more, ok = unescaped(key, rest, more); !ok {
				return value{}
			}
		}
		v, ok := get(target, key)
		if !ok && more {
			v, ok, rest, more = getJoined(target.object, key, rest)
		}
		if !ok {
			return value{}
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
func getJoined(o *object, key, rest string) (v value, ok bool, behind string, more bool) {
	dotted := o.dottedLengths()
	if len(dotted) == 0 {
		return value{}, false, "", false
	}
	for n := range len(rest) + 1 {
		if n < len(rest) && rest[n] != '.' || !dotted[len(key)+len(".")+n] {
			continue
		}
		if v := o.get(key + "." + rest[:n]); !v.undefined() {
			return v, true, rest[min(n+1, len(rest)):], n < len(rest)
		}
	}
	return value{}, false, "", false
}

// segment is one step of a path that is written to.
type segment struct {
	key    string
	number bool // an array index
}

// appendPath splits a path for writing. A path with a slash is one key. A backslash
// escapes the next character, and an empty last segment is ignored. A segment that is
// not blank and that Number reads as a whole number is an index.
func appendPath(segments []segment, section, path string) []segment {
	if strings.IndexByte(path, '/') >= 0 {
		return append(segments, segment{key: section + "." + path})
	}
	segments = append(segments, segment{key: section})
	for path != "" {
		var key string
		key, path = cutKey(path)
		segments = append(segments, segmentOf(key))
	}
	return segments
}

// cutKey cuts the first key off a path.
func cutKey(path string) (key, rest string) {
	key, rest, _ = strings.Cut(path, ".")
	i := strings.IndexByte(key, '\\')
	if i < 0 {
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
	// What Number reads as a whole number starts with a digit, a sign, a dot or white space.
	if key != "" && (key[0] <= '9' || key[0] >= utf8.RuneSelf) && strings.ContainsAny(key, "0123456789") {
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
// undefined. Values on the path are replaced: by an array if the next segment is an
// index and the value is not an array, by an object if it is no index and the value has
// no keys.
func (p *parser) setPath(message *object, path []segment, v value) {
	target := message
	for i, s := range path {
		if unsafe(s.key) {
			panic(thrown{})
		}
		if i < len(path)-1 {
			target = p.child(target, s.key, path[i+1].number)
			continue
		}
		if !v.undefined() {
			set(target, s.key, v)
		} else if target.class != function {
			target.delete(s.key)
		}
	}
}

func (p *parser) child(target *object, key string, indexed bool) *object {
	child, _ := get(value{object: target}, key)
	switch o := child.object; {
	case indexed && (o == nil || o.class != array):
		child.object = p.make(array)
	case o == nil:
		child.object = p.make(plain)
	default:
		return o
	}
	set(target, key, value{object: child.object})
	return child.object
}
