package currents

// The functions here walk the fixed outer levels of a body: document, events,
// event, user. Each takes the index of the first byte of its value
// and returns the index behind it, or the complement of the offset of the
// first wrong byte, which is negative.

// document scans the whole body. found says whether the last member called
// events of the object at the top was an array.
func (b *Batch) document(body []byte) (end int, found bool) {
	i := skipSpace(body, 0)
	if i < len(body) && body[i] == '{' {
		i, found = b.top(body, i)
	} else {
		i = b.value(body, i)
	}
	if i < 0 {
		return i, false
	}
	if i = skipSpace(body, i); i != len(body) {
		return ^i, false
	}
	return i, found
}

func (b *Batch) top(body []byte, i int) (end int, found bool) {
	for first := true; ; first = false {
		at, key, escaped := nextMember(body, i, first)
		if at < 0 || key == nil {
			return at, found
		}
		if string(b.plain(key, escaped)) != "events" {
			i = b.value(body, at)
		} else if found = at < len(body) && body[at] == '['; found {
			b.Events, b.count, b.single = b.Events[:0], 0, 0 // the last one counts
			i = b.events(body, at)
		} else {
			b.Events, b.count, b.single = b.Events[:0], 0, 0
			i = b.value(body, at)
		}
		if i < 0 {
			return i, false
		}
	}
}

func (b *Batch) events(body []byte, i int) int {
	i = skipSpace(body, i+1)
	if i < len(body) && body[i] == ']' {
		return i + 1
	}
	for {
		b.count++
		if b.Limit > 0 && b.count > b.Limit {
			i = b.value(body, i) // one too many is enough to refuse; only validity still matters
		} else {
			i = b.element(body, i)
		}
		if i < 0 {
			return i
		}
		i = skipSpace(body, i)
		if i >= len(body) {
			return ^i
		}
		switch body[i] {
		case ',':
			i = skipSpace(body, i+1)
		case ']':
			return i + 1
		default:
			return ^i
		}
	}
}

// element scans one element of events and appends it, or counts it where it is no
// object, follows another one that is none, and MaxSingle is reached.
func (b *Batch) element(body []byte, i int) int {
	if i < len(body) && body[i] == '{' {
		return b.event(body, i)
	}
	end := b.value(body, i)
	if n := len(b.Events); end >= 0 && b.single >= MaxSingle && n > 0 && !b.Events[n-1].Object {
		b.Events[n-1].Count++
	} else if end >= 0 {
		b.single++
		b.Events = append(b.Events, Event{Start: i, End: end, Count: 1})
	}
	return end
}

// event scans one event that is an object and appends it.
func (b *Batch) event(body []byte, i int) int {
	b.Events = append(b.Events, Event{Start: i, Object: true, Count: 1})
	e := &b.Events[len(b.Events)-1]
	for first := true; ; first = false {
		at, key, escaped := nextMember(body, i, first)
		if at < 0 {
			return at
		}
		if key == nil {
			e.End = at
			return at
		}
		switch key = b.plain(key, escaped); string(key) {
		case "event_type":
			i = b.value(body, at)
			e.Type = slice(body, at, i)
		case "id":
			i = b.value(body, at)
			e.ID = slice(body, at, i)
		case "user":
			i = b.user(body, at, e)
		default:
			i = b.value(body, at)
		}
		if i < 0 {
			return i
		}
	}
}

// user scans the value of an event's user; one that is no object has no ids.
func (b *Batch) user(body []byte, i int, e *Event) int {
	e.UserID, e.ExternalUserID = nil, nil
	if i >= len(body) || body[i] != '{' {
		return b.value(body, i)
	}
	for first := true; ; first = false {
		at, key, escaped := nextMember(body, i, first)
		if at < 0 || key == nil {
			return at
		}
		key = b.plain(key, escaped)
		if i = b.value(body, at); i < 0 {
			return i
		}
		switch string(key) {
		case "user_id":
			e.UserID = body[at:i]
		case "external_user_id":
			e.ExternalUserID = body[at:i]
		}
	}
}

// nextMember goes to the next member of an object. i is the index of the
// opening brace (first) or the index behind the last value. It returns the
// index of the member's value and its key without the quotes, or, where the
// object ends, the index behind it and nil, or a negative end and nil. escaped: the
// key is written with escapes.
func nextMember(body []byte, i int, first bool) (at int, key []byte, escaped bool) {
	if first {
		i = skipSpace(body, i+1)
		if i < len(body) && body[i] == '}' {
			return i + 1, nil, false
		}
	} else {
		i = skipSpace(body, i)
		if i >= len(body) {
			return ^i, nil, false
		}
		if body[i] != ',' {
			if body[i] == '}' {
				return i + 1, nil, false
			}
			return ^i, nil, false
		}
		i = skipSpace(body, i+1)
	}
	if i >= len(body) || body[i] != '"' {
		return ^i, nil, false
	}
	start := i + 1
	i, escaped = scanString(body, start)
	if i < 0 {
		return i, nil, false
	}
	key = body[start : i-1]
	if i >= len(body) || body[i] != ':' {
		if i = skipSpace(body, i); i >= len(body) || body[i] != ':' {
			return ^i, nil, false
		}
	}
	return skipSpace(body, i+1), key, escaped
}

// slice is body[from:to], or nil after an error.
func slice(body []byte, from, to int) []byte {
	if to < 0 {
		return nil
	}
	return body[from:to]
}

// plain returns key with its escapes undone; it is valid until the next call.
func (b *Batch) plain(key []byte, escaped bool) []byte {
	if !escaped {
		return key
	}
	b.scratch = appendUnescaped(b.scratch[:0], key)
	return b.scratch
}
