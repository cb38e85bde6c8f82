package gateway

import (
	"slices"
	"strings"

	"github.com/currentsbridge/currentsbridge/internal/jsonlex"
)

// The HTTP API. RudderStack checks in this order: JSON, the type of the batch, each
// message in turn (an object? an identity?), the size, and last numbers beyond
// float64. One bad message refuses the whole request.

// Parser reads the messages of a body, or says how the request is refused.
type Parser func(body string) ([]Message, *Refusal)

// batchScan reads the messages of a body in one pass.
type batchScan struct {
	jsonlex.Walker
	messages  []Message
	count     int // messages, valid or not
	requestIP string
	no        *Refusal
}

func (b *batchScan) refuse(no *Refusal) {
	if b.no == nil {
		b.no = no
	}
}

// message reads the message that starts at i.
func (b *batchScan) message(i, depth int) int {
	b.count++
	if i >= len(b.Text) || b.Text[i] != '{' {
		b.refuse(NotRudderEvent)
		return b.Value(i, depth)
	}
	var found fields
	end := found.scan(&b.Walker, i, depth)
	if end == jsonlex.Bad || b.no != nil {
		return end
	}
	m, ok := found.message(b.Text[i:end], "")
	if !ok {
		b.refuse(NoIdentity)
		return end
	}
	if strings.HasPrefix(found.requestIP, `"`) { // also for the following messages
		b.requestIP = TextOf(found.requestIP)
	}
	m.RequestIP = b.requestIP
	b.messages = append(b.messages, m)
	return end
}

// batch reads the value of the key batch: an array of messages, or one message.
func (b *batchScan) batch(i, depth int) int {
	switch {
	case i < len(b.Text) && b.Text[i] == '[':
		return b.Array(i, depth, func(start int) int { return b.message(start, depth+1) })
	case i < len(b.Text) && b.Text[i] == 'n': // null
		return b.Value(i, depth)
	}
	return b.message(i, depth)
}

// Batch is the Parser of /v1/batch. Of duplicate keys the first one counts.
func Batch(body string) ([]Message, *Refusal) {
	b := &batchScan{Walker: jsonlex.Walker{Text: body}}
	start, seen := jsonlex.Space(body, 0), false
	var end int
	if start < len(body) && body[start] == '{' {
		end = b.Object(start, 0, func(key string, i int) int {
			if key != "batch" || seen {
				return b.Value(i, 1)
			}
			seen = true
			return b.batch(i, 1)
		})
	} else {
		end = b.Value(start, 0)
	}
	switch {
	case end == jsonlex.Bad || jsonlex.Space(body, end) != len(body):
		return nil, InvalidJSON
	case b.count == 0:
		return nil, EmptyBatch
	case b.no != nil:
		return nil, b.no
	case len(body) > MaxRequestBytes && !b.audience():
		return nil, TooLarge
	case b.Huge:
		return nil, InvalidJSON
	}
	return b.messages, nil
}

// audience says whether one of the messages is an audience list, for which there is
// no size limit.
func (b *batchScan) audience() bool {
	return slices.ContainsFunc(b.messages, func(m Message) bool { return m.Type == "audiencelist" })
}

// Single returns the Parser of a call with one message. The path gives the message
// its type, whatever type it has itself.
func Single(kind string) Parser {
	const wrapper = 20 // bytes that RudderStack writes around the message
	quoted := `"` + kind + `"`
	return func(body string) ([]Message, *Refusal) {
		w := &jsonlex.Walker{Text: body}
		start := jsonlex.Space(body, 0)
		var found fields
		var end int
		if start < len(body) && body[start] == '{' {
			end = found.scan(w, start, 0)
		} else {
			end = w.Value(start, 0)
		}
		switch {
		case end == jsonlex.Bad || jsonlex.Space(body, end) != len(body):
			return nil, InvalidJSON
		case body[start] == '[':
			return nil, NotRudderEvent
		}
		size := len(body) + wrapper + len(quoted) - len(found.kind)
		if found.kind == "" {
			size += len(`,"type":`)
		}
		found.kind = quoted
		m, ok := found.message(body[start:end], "")
		switch {
		case !ok:
			return nil, NoIdentity
		case size > MaxRequestBytes && kind != "audiencelist":
			return nil, TooLarge
		case w.Huge:
			return nil, InvalidJSON
		}
		m.SetType = kind
		return []Message{m}, nil
	}
}

// Groups splits the body of /v1/import: the messages of each pair of userId and
// anonymousId become a batch, in the order of their first messages. An object under
// batch counts as the list of its values, any other value as one message.
func Groups(body string) (batches []string, no *Refusal) {
	if !jsonlex.Valid(body) {
		return nil, InvalidJSON
	}
	members := map[string][]string{}
	var order []string
	w := &jsonlex.Walker{Text: body}
	add := func(i, depth int) int {
		var found fields
		var end int
		if body[i] == '{' {
			end = found.scan(w, i, depth)
		} else {
			end = w.Value(i, depth)
		}
		user := TextOf(found.userID) + ":" + TextOf(found.anonymousID)
		if members[user] == nil {
			order = append(order, user)
		}
		members[user] = append(members[user], body[i:end])
		return end
	}
	start, seen := jsonlex.Space(body, 0), false
	if body[start] == '{' {
		w.Object(start, 0, func(key string, i int) int {
			if key != "batch" || seen {
				return w.Value(i, 1)
			}
			seen = true
			switch body[i] {
			case '[':
				return w.Array(i, 1, func(i int) int { return add(i, 2) })
			case '{':
				return w.Object(i, 1, func(_ string, i int) int { return add(i, 2) })
			}
			return add(i, 1)
		})
	}
	for _, user := range order {
		batches = append(batches, `{"batch":[`+strings.Join(members[user], ",")+`]}`)
	}
	return batches, nil
}
