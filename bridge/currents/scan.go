package currents

import "github.com/currentsbridge/currentsbridge/internal/jsonlex"

// The functions here walk the fixed outer levels of a body: document, events,
// event, user. Each takes the index of the first byte of its value and returns the
// index behind it, or jsonlex.Bad.

// document scans the whole body. found says whether the last member called
// events of the object at the top was an array.
func (b *Batch) document(body []byte) (end int, found bool) {
	i := skipSpace(body, 0)
	if i >= len(body) || body[i] != '{' {
		return b.value(body, i), false
	}
	end = b.members(body, i, func(key []byte, at int) int {
		if string(key) != "events" {
			return b.value(body, at)
		}
		b.Events, b.count, b.single = b.Events[:0], 0, 0 // the last one counts
		if found = at < len(body) && body[at] == '['; !found {
			return b.value(body, at)
		}
		return jsonlex.List(body, at, ']', func(i int) int {
			b.count++
			if b.Limit > 0 && b.count > b.Limit {
				return b.value(body, i) // one too many is enough to refuse; only validity still matters
			}
			return b.element(body, i)
		})
	})
	return end, found
}

// members scans the object at i. visit gets each key, escapes undone, and where its
// value starts, and returns the index behind that.
func (b *Batch) members(body []byte, i int, visit func(key []byte, at int) int) int {
	return jsonlex.List(body, i, '}', func(start int) int {
		end, escaped, at := jsonlex.Key(body, start)
		if at == jsonlex.Bad {
			return jsonlex.Bad
		}
		key := body[start+1 : end-1]
		if escaped {
			b.scratch = AppendUnescaped(b.scratch[:0], key)
			key = b.scratch
		}
		return visit(key, at)
	})
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
	e.End = b.members(body, i, func(key []byte, at int) int {
		switch string(key) {
		case "event_type":
			return b.take(body, at, &e.Type)
		case "id":
			return b.take(body, at, &e.ID)
		case "user":
			return b.user(body, at, e)
		}
		return b.value(body, at)
	})
	return e.End
}

// user scans the value of an event's user; one that is no object has no ids.
func (b *Batch) user(body []byte, i int, e *Event) int {
	e.UserID, e.ExternalUserID = nil, nil
	if i >= len(body) || body[i] != '{' {
		return b.value(body, i)
	}
	return b.members(body, i, func(key []byte, at int) int {
		switch string(key) {
		case "user_id":
			return b.take(body, at, &e.UserID)
		case "external_user_id":
			return b.take(body, at, &e.ExternalUserID)
		}
		return b.value(body, at)
	})
}

// take scans a value that is kept.
func (b *Batch) take(body []byte, i int, raw *[]byte) int {
	end := b.value(body, i)
	if end >= 0 {
		*raw = body[i:end]
	}
	return end
}

// value scans any JSON value that starts at i. It does not call itself: which
// brackets are open is kept as one bit a level, so that no depth can overflow a stack.
func (b *Batch) value(body []byte, i int) int {
	open, object := 0, false // brackets, and whether the innermost one is an object's
	for i >= 0 && i < len(body) {
		// A value starts at i.
		switch c := body[i]; c {
		case '"':
			i, _ = jsonlex.String(body, i)
		case '{', '[':
			if open%64 == 0 && open/64 == len(b.open) {
				b.open = append(b.open, 0)
			}
			word, bit := &b.open[open/64], uint64(1)<<(open%64)
			*word &^= bit
			if object = c == '{'; object {
				*word |= bit
			}
			open++
			if i = skipSpace(body, i+1); i < len(body) && body[i] != c+2 { // '{'+2 is '}', '['+2 is ']'
				if object {
					_, _, i = jsonlex.Key(body, i)
				}
				continue
			}
		default:
			i = jsonlex.Scalar(body, i)
		}
		// A value has ended before i.
		for open > 0 && i != jsonlex.Bad {
			if i = skipSpace(body, i); i >= len(body) {
				return jsonlex.Bad
			}
			if body[i] == ',' {
				i = skipSpace(body, i+1)
				if object {
					_, _, i = jsonlex.Key(body, i)
				}
				break
			}
			if object != (body[i] == '}') || !object && body[i] != ']' {
				return jsonlex.Bad
			}
			i++
			if open--; open > 0 {
				object = b.open[(open-1)/64]>>((open-1)%64)&1 == 1
			}
		}
		if open == 0 {
			return i
		}
	}
	return jsonlex.Bad
}
