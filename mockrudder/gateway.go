package mockrudder

import (
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/currentsbridge/currentsbridge/mockrudder/internal/jsonscan"
)

// The HTTP API. RudderStack decides in this order: the method, the key, reading
// the body, the rate limit, JSON, the shape of the batch, each message in turn
// (an object? an identity?), and the size last of all. One bad message refuses
// the whole request, and nothing of it is stored.

// parser takes the messages out of a body, or says why not.
type parser func(body string) (events []Event, no refusal, ok bool)

// messages handles the calls that take finished messages.
func (s *Server) messages(read keyReader, parse parser) gin.HandlerFunc {
	return func(c *gin.Context) {
		src, no, ok := s.authenticate(c.Request, read, false)
		if !ok {
			s.refuse(c, "", no)
			return
		}
		body, no, ok := s.intake(c.Request)
		if !ok {
			s.refuse(c, src.key, no)
			return
		}
		events, no, ok := parse(body)
		if !ok {
			s.refuse(c, src.key, no)
			return
		}
		s.accept(src, c.Request, len(body), events)
		s.succeed(c, src.key)
	}
}

// batchScan gathers the messages of a body in one walk over it.
type batchScan struct {
	text    string
	events  []Event
	count   int // messages seen, good or not
	no      refusal
	refused bool
}

func (b *batchScan) refuse(no refusal) {
	if !b.refused {
		b.no, b.refused = no, true
	}
}

// message takes the message that starts at i.
func (b *batchScan) message(i, depth int) int {
	b.count++
	if i >= len(b.text) || b.text[i] != '{' {
		b.refuse(notRudderEvent)
		return jsonscan.Value(b.text, i, depth)
	}
	found, end := scanMessage(b.text, i, depth)
	if end == jsonscan.Bad || b.refused {
		return end
	}
	e, ok := newEvent(b.text[i:end], found)
	if !ok {
		b.refuse(noIdentity)
		return end
	}
	b.events = append(b.events, e)
	return end
}

// batch takes what stands under the key batch: messages in an array, or one by
// itself.
func (b *batchScan) batch(i, depth int) int {
	switch {
	case i < len(b.text) && b.text[i] == '[':
		return jsonscan.Array(b.text, i, depth, func(start int) int { return b.message(start, depth+1) })
	case i < len(b.text) && b.text[i] == 'n': // null
		return jsonscan.Value(b.text, i, depth)
	}
	return b.message(i, depth)
}

func (b *batchScan) result() ([]Event, refusal, bool) {
	switch {
	case b.refused:
		return nil, b.no, false
	case len(b.text) > MaxRequestBytes:
		return nil, tooLarge, false
	}
	return b.events, refusal{}, true
}

// parseBatch takes the body of /v1/batch. Of a key batch given twice the first
// one counts.
func parseBatch(body string) ([]Event, refusal, bool) {
	scan := &batchScan{text: body}
	start, seen := jsonscan.Space(body, 0), false
	var end int
	if start < len(body) && body[start] == '{' {
		end = jsonscan.Object(body, start, 0, func(key string, i int) int {
			if key != "batch" || seen {
				return jsonscan.Value(body, i, 1)
			}
			seen = true
			return scan.batch(i, 1)
		})
	} else {
		end = jsonscan.Value(body, start, 0)
	}
	switch {
	case end == jsonscan.Bad || jsonscan.Space(body, end) != len(body):
		return nil, invalidJSON, false
	case scan.count == 0:
		return nil, emptyBatch, false
	}
	return scan.result()
}

// parseSingle takes the body of a call with one message. The path says of what
// type that is, whatever the message itself says.
func parseSingle(kind string) parser {
	quoted := `"` + kind + `"`
	return func(body string) ([]Event, refusal, bool) {
		start := jsonscan.Space(body, 0)
		var found fields
		var end int
		object := start < len(body) && body[start] == '{'
		if object {
			found, end = scanMessage(body, start, 0)
		} else {
			end = jsonscan.Value(body, start, 0)
		}
		switch {
		case end == jsonscan.Bad || jsonscan.Space(body, end) != len(body):
			return nil, invalidJSON, false
		case body[start] == '[':
			return nil, notRudderEvent, false
		}
		found.kind = quoted
		e, ok := newEvent(body[start:end], found)
		switch {
		case !ok:
			return nil, noIdentity, false
		case len(body) > MaxRequestBytes:
			return nil, tooLarge, false
		}
		e.setType = kind
		return []Event{e}, refusal{}, true
	}
}

// imports handles /v1/import: the messages of each user are a batch of their
// own, so that one user's bad message does not keep out another's. The words of
// all refusals are joined, and more than one gives 500.
func (s *Server) imports(c *gin.Context) {
	src, no, ok := s.authenticate(c.Request, keyInHeader, false)
	if !ok {
		s.refuse(c, "", no)
		return
	}
	body, no, ok := s.intake(c.Request)
	if !ok {
		s.refuse(c, src.key, no)
		return
	}
	groups, ok := groupByUser(body)
	if !ok {
		s.refuse(c, src.key, invalidJSON)
		return
	}
	var refusals []refusal
	for _, group := range groups {
		events, no, ok := parseBatch(group)
		if !ok {
			refusals = append(refusals, no)
			continue
		}
		s.accept(src, c.Request, len(group), events)
	}
	switch len(refusals) {
	case 0:
		s.succeed(c, src.key)
	case 1:
		s.refuse(c, src.key, refusals[0])
	default:
		all := refusal{status: 500}
		for _, no := range refusals {
			all.text += no.text
		}
		s.refuse(c, src.key, all)
	}
}

// groupByUser makes a batch body for each pair of userId and anonymousId, in
// the order in which they first come. An object under batch is taken for a list
// of its values, any other single value for one message.
func groupByUser(body string) (groups []string, ok bool) {
	if !jsonscan.Valid(body) {
		return nil, false
	}
	members := map[string][]string{}
	var order []string
	add := func(i, depth int) int {
		end := jsonscan.Value(body, i, depth)
		var found fields
		if body[i] == '{' {
			found, _ = scanMessage(body, i, depth)
		}
		user := textOf(found.userID) + ":" + textOf(found.anonymousID)
		if members[user] == nil {
			order = append(order, user)
		}
		members[user] = append(members[user], body[i:end])
		return end
	}
	start, seen := jsonscan.Space(body, 0), false
	if body[start] == '{' {
		jsonscan.Object(body, start, 0, func(key string, i int) int {
			switch {
			case key != "batch" || seen:
				return jsonscan.Value(body, i, 1)
			case body[i] == '[':
				seen = true
				return jsonscan.Array(body, i, 1, func(i int) int { return add(i, 2) })
			case body[i] == '{':
				seen = true
				return jsonscan.Object(body, i, 1, func(_ string, i int) int { return add(i, 2) })
			}
			seen = true
			return add(i, 1)
		})
	}
	for _, user := range order {
		groups = append(groups, `{"batch":[`+strings.Join(members[user], ",")+`]}`)
	}
	return groups, true
}
