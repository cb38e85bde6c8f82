package mapping

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
)

// append appends the event as the rules leave it: what they do not name keeps
// every byte. Duplicate keys and keys written with escapes are met each.
func (p *personal) append(dst, event []byte) []byte {
	w := rewriter{personal: p, dst: dst, event: event}
	if p.typed {
		w.findType()
	}
	w.object(currents.Fields(event), 0, &p.top)
	w.upTo(len(event))
	return w.dst
}

// rewriter goes through an event and copies what stays.
type rewriter struct {
	*personal
	dst, event []byte
	done       int    // event[:done] is copied or left out
	eventType  []byte // its text, where a rule hangs on it
	key        [64]byte
}

func (w *rewriter) findType() {
	for f := currents.Fields(w.event); f.Next(); {
		if f.KeyIs("event_type") {
			w.eventType = plainText(f.Value(), nil)
		}
	}
}

// upTo copies the event up to index i.
func (w *rewriter) upTo(i int) {
	if i > w.done {
		w.dst = append(w.dst, w.event[w.done:i]...)
		w.done = i
	}
}

// object goes through the members of an object that starts at index base. Of
// members that are dropped, the comma and white space before the first one
// stay where another member follows; else those go. The iterator comes back at
// its end; by value, because by pointer each one would be allocated.
func (w *rewriter) object(f currents.FieldIterator, base int, rules *ruleset) currents.FieldIterator {
	last, gap, end := 1, -1, 0 // behind the last one that stayed; where those dropped since start and end
	for f.Next() {
		r := rules.find(plainKey(&f, w.key[:0]))
		action := w.action(r, &f)
		start, value := f.Start()
		if action == Drop {
			_, end = f.Span()
			if gap < 0 {
				gap = start
			}
			continue
		}
		if gap >= 0 {
			w.upTo(base + gap)
			w.done = base + start
			gap = -1
		}
		switch {
		case action == Hash:
			w.upTo(base + value)
			w.hash(f.Value())
			w.done = base + value + len(f.Value())
		case r != nil && r.inner != nil:
			inner := w.object(f.Inner(), base+value, r.inner)
			f.Leave(&inner)
		}
		_, last = f.Span()
	}
	if gap >= 0 {
		w.upTo(base + last)
		w.done = base + end
	}
	return f
}

// action returns what is done to the current member.
func (w *rewriter) action(r *rule, f *currents.FieldIterator) Action {
	if r == nil || r.action == Keep || r.spared != nil && r.spared[string(w.eventType)] {
		return Keep
	}
	if value := f.Value(); r.action == Hash && (!present(value) || r.id && !currents.UsableIdentity(value)) {
		return Keep // or all who have no id would become one person
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

// guard keeps back events that have no identity left once an id is dropped.
// RudderStack refuses the whole request for one of them, or its Braze source
// drops it without a word.
type guard struct {
	personal *personal
	webhook  bool
	pool     sync.Pool // of *guarded
}

type guarded struct {
	event []byte
	scan  currents.Batch
}

// maxGuarded is how large a buffer is kept, so that one huge event does not
// stay in memory.
const maxGuarded = 1 << 20

// keeps tells whether the event still has an identity as the rules leave it, or
// never had one; then it becomes a dead letter as it would without the rules.
func (g *guard) keeps(event []byte) bool {
	s, ok := g.pool.Get().(*guarded)
	if !ok {
		s = &guarded{}
	}
	s.event = g.personal.append(s.event[:0], event)
	keeps := g.identified(s, s.event) || !g.identified(s, event)
	if cap(s.event) <= maxGuarded {
		g.pool.Put(s)
	}
	return keeps
}

// identified tells whether an event has an identity, for all that is known.
func (g *guard) identified(s *guarded, event []byte) bool {
	if s.scan.ScanEvent(event) != nil {
		return true
	}
	e := &s.scan.Events[0]
	if g.webhook {
		return e.WebhookProblem() != currents.NoIdentity
	}
	return e.Problem() != currents.NoIdentity
}
