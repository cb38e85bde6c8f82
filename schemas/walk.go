package schemas

import (
	"strconv"
	"sync"

	"github.com/currentsbridge/currentsbridge/schemas/internal/bytecheck"
)

// indexes keeps the memory of walks for the next ones. Its zero value is ready.
type indexes struct{ pool sync.Pool }

func (i *indexes) take() *bytecheck.Index {
	if x, ok := i.pool.Get().(*bytecheck.Index); ok {
		return x
	}
	return &bytecheck.Index{}
}

// give puts an index back, unless a huge document has made it large.
func (i *indexes) give(x *bytecheck.Index) {
	if x.Large() {
		return
	}
	x.Forget()
	i.pool.Put(x)
}

// spot is the place of an item in a list, or the whole document.
type spot struct {
	list string
	i    int
}

func (s spot) String() string {
	if s.list == "" {
		return ""
	}
	return s.list + strconv.Itoa(s.i)
}

// walkEvent judges an event by its bytes. It is not ok where the event is
// invalid; then out is as it was, and gojsonschema has the word.
func (v *Validator) walkEvent(x *bytecheck.Index, event bytecheck.Node, at spot, out *Verdict) (name string, ok bool) {
	rules := &v.envelope
	var text []byte
	if typ, ok := x.Member(event, "event_type"); ok && x.Kind(typ) == bytecheck.String {
		text = x.Text(typ)
		if known, ok := v.events[string(text)]; ok {
			rules = known
		}
	}
	first := len(x.Unknown())
	if !rules.checker.Valid(x, event) {
		return "", false
	}
	name = rules.name
	if name == "" {
		name = string(text)
		out.Drift = append(out.Drift, unknownType(name, at.String()))
	}
	out.Drift = rules.noted(out.Drift, x, first, at)
	return name, true
}

// walkMessage judges a message by its bytes. It is not ok where the message is
// invalid.
func (v *Validator) walkMessage(x *bytecheck.Index, message bytecheck.Node) (name string, ok bool) {
	typ, ok := x.Member(message, "type")
	if !ok || x.Kind(typ) != bytecheck.String {
		return "", false
	}
	rules, known := v.messages[string(x.Text(typ))]
	if !known {
		return "", false
	}
	return rules.name, rules.checker.Valid(x, message)
}

// decoded is the tree of a value that was read well.
func decoded(x *bytecheck.Index, n bytecheck.Node) any {
	doc, err := decode(x.Raw(n))
	if err != nil {
		return nil // cannot be: Read has seen that it is JSON
	}
	return doc
}
