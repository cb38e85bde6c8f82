package mapping

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
)

// append appends the event as the rules leave it: what they do not name keeps
// every byte. Duplicate keys and keys written with escapes are met each. drifts
// tells that something in it may not be in the glossary.
func (p *personal) append(dst, event []byte) (out []byte, drifts bool) {
	w := rewriter{personal: p, dst: dst, event: event}
	w.whole()
	if w.late { // what came before the type was taken for that of an unknown one
		w = rewriter{personal: p, dst: w.dst[:len(dst)], event: event, typed: true, again: true, typ: w.typ}
		w.whole()
	}
	return w.dst, w.drifts
}

// rewriter goes through an event and copies what stays.
type rewriter struct {
	*personal
	dst, event []byte
	done       int  // event[:done] is copied or left out
	typ        int  // number of the event's type; -1: the glossary does not have it
	typed      bool // typ is known
	used       bool // a rule that may hang on the type was asked for
	late       bool // … before the type, or a second one, was met
	again      bool // the second pass, after a late type: it is known from the beginning
	drifts     bool
	key        [64]byte
}

// find returns the rule for the current member; nil: it stays. The value is
// looked at only where it matters, because finding its end costs.
func (s *scope) find(key []byte, f *currents.FieldIterator) (r *rule, known bool) {
	if s.known != nil {
		if i := s.known.find(key); i >= 0 {
			return s.rules[i], true
		}
	}
	r = s.named.find(key)
	if s.unknown != nil && (r == nil || r.action == Keep && !r.named) && holdsText(f.Value()) {
		return s.unknown, false
	}
	return r, false
}

// holdsText reports whether a raw value is text, or may have some inside.
func holdsText(value []byte) bool {
	return value[0] == '"' || value[0] == '{' || value[0] == '['
}

// section returns the rules for user or for properties, which may hang on the type.
func (w *rewriter) section(n int) *scope {
	w.used = true
	if w.typed && w.typ >= 0 {
		return &w.types[w.typ][n]
	}
	return &w.others[n]
}

func (w *rewriter) whole() {
	w.members(currents.Fields(w.event), 0, nil)
	w.upTo(len(w.event))
	w.drifts = w.drifts || !w.typed || w.typ < 0
}

// setType notes a raw event type. Of several the last one counts.
func (w *rewriter) setType(value []byte) {
	w.late = w.late || w.used || w.typed
	w.typ, w.typed = w.shapes.number(value), true
}

// topRule returns the rule for a member of the event itself. RudderStack's
// source reads a key properties.email_address, or email_address, as that
// property, and user.user_id as that field of user.
func (w *rewriter) topRule(key []byte, f *currents.FieldIterator) *rule {
	if r := w.top.find(key); r != nil {
		return r
	}
	w.drifts = true
	n := inUser
	rest, ofUser := bytes.CutPrefix(key, []byte("user."))
	if !ofUser {
		n, rest = inProperties, bytes.TrimPrefix(key, []byte("properties."))
	}
	r, _ := w.section(n).find(rest, f)
	return r
}

// upTo copies the event up to index i.
func (w *rewriter) upTo(i int) {
	if i > w.done {
		w.dst = append(w.dst, w.event[w.done:i]...)
		w.done = i
	}
}

// members goes through the members of an object that starts at index base. Of
// members that are dropped, the comma and white space before the first one stay
// where another member follows; else those go. No scope is that of the event itself.
// The iterator comes back at its end; by value, because by pointer each one would be
// allocated.
func (w *rewriter) members(f currents.FieldIterator, base int, in *scope) currents.FieldIterator {
	last, gap, end := 1, -1, 0 // behind the last one that stayed; where those dropped since start and end
	for f.Next() {
		key := f.PlainKey(w.key[:0])
		var r *rule
		if in == nil {
			if string(key) == "event_type" && !w.again {
				w.setType(f.Value())
			}
			r = w.topRule(key, &f)
		} else {
			var known bool
			r, known = in.find(key, &f)
			w.drifts = w.drifts || !known && !in.inside
		}
		start, value := f.Start()
		switch action(r, &f) {
		case Drop:
			_, end = f.Span()
			if gap < 0 {
				gap = start
			}
			continue
		case Hash:
			gap = w.skip(gap, base, start)
			w.upTo(base + value)
			w.hash(f.Value())
			w.done = base + value + len(f.Value())
		default:
			gap = w.skip(gap, base, start)
			if r != nil && (r.section > 0 || r.inner != nil) {
				inside := r.inner
				if r.section > 0 {
					inside = w.section(r.section - 1)
				}
				inner := w.members(f.Inner(), base+value, inside)
				f.Leave(&inner)
			}
		}
		_, last = f.Span()
	}
	if gap >= 0 {
		w.upTo(base + last)
		w.done = base + end
	}
	return f
}

// skip leaves out the members that were dropped up to the one at start.
func (w *rewriter) skip(gap, base, start int) int {
	if gap >= 0 {
		w.upTo(base + gap)
		w.done = base + start
	}
	return -1
}

func action(r *rule, f *currents.FieldIterator) Action {
	if r == nil {
		return Keep
	}
	if r.action == Hash {
		value := f.Value()
		if !present(value) || currents.Redacted(value) || r.id && !currents.UsableIdentity(value) {
			return Keep // or all who have no id would become one person
		}
	}
	return r.action
}

// hash appends the hash of a raw value's text: of a string its text, escapes
// undone, of an object or array its JSON without white space, of all others
// their JSON.
func (w *rewriter) hash(value []byte) {
	start := len(w.dst)
	w.dst = append(w.dst, w.salt...)
	switch value[0] {
	case '"':
		w.dst, _ = currents.AppendText(w.dst, value)
	case '{', '[':
		w.dst = appendCompact(w.dst, value)
	default:
		w.dst = append(w.dst, value...)
	}
	sum := sha256.Sum256(w.dst[start:])
	w.dst = append(w.dst[:start], '"')
	w.dst = hex.AppendEncode(w.dst, sum[:])
	w.dst = append(w.dst, '"')
}

// appendCompact appends raw JSON without the white space outside of strings.
func appendCompact(dst, raw []byte) []byte {
	inside := false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '"':
			inside = !inside
		case c == '\\' && i+1 < len(raw):
			dst = append(dst, c)
			i++
		case !inside && c <= ' ':
			continue
		}
		dst = append(dst, raw[i])
	}
	return dst
}

// leavesIdentity reports whether an event still has an identity once an id is dropped,
// or never had one. RudderStack refuses the whole request for one without, or its
// Braze source drops it silently.
func (p *personal) leavesIdentity(event []byte, webhook bool) bool {
	var user, external bool
	usable := func(id []byte) bool { return currents.UsableIdentity(id) || webhook && currents.Redacted(id) }
	for f := currents.Fields(event); f.Next(); {
		if !f.KeyIs("user") {
			continue
		}
		user, external = false, false // the last one counts
		inner := f.Inner()
		for inner.Next() {
			if inner.KeyIs("user_id") {
				user = usable(inner.Value())
			} else if inner.KeyIs("external_user_id") {
				external = usable(inner.Value())
			}
		}
		f.Leave(&inner)
	}
	return user && !p.dropUserID || external && !p.dropExternalID || !user && !external
}
