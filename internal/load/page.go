package load

import (
	"errors"
	"strconv"

	"github.com/currentsbridge/currentsbridge/internal/jsonlex"
)

// errPage says that an answer of the far end is not what was expected.
var errPage = errors.New("the answer is no page of events of a mockrudder")

// page is what is wanted of a page of /_mock/events.
type page struct {
	events int
	next   string
	total  uint64
}

// scanPage walks over {"events":[…],"next":"…","total":n} and hands over the
// message id and the time of each event. Everything else is skipped, not decoded:
// a page holds every message twice.
func scanPage(text []byte, visit func(messageID, receivedAt []byte)) (page, error) {
	var p page
	s := scanner{text: text}
	if s.at = jsonlex.Space(text, 0); s.at == len(text) || text[s.at] != '{' {
		return p, errPage
	}
	s.object(func(key []byte) {
		switch string(key) {
		case "events":
			s.array(func() {
				p.events++
				visit(s.event())
			})
		case "next":
			p.next = string(s.string())
		case "total":
			p.total, _ = strconv.ParseUint(string(s.skip()), 10, 64)
		default:
			s.skip()
		}
	})
	if s.bad {
		return p, errPage
	}
	return p, nil
}

// scanner stands at a place of JSON text. Once something is wrong it is bad and
// goes no further.
type scanner struct {
	text []byte
	at   int
	bad  bool
}

// event reads one event: messageId stands in its message, or beside it in a
// summary.
func (s *scanner) event() (messageID, receivedAt []byte) {
	s.object(func(key []byte) {
		switch string(key) {
		case "message":
			s.object(func(key []byte) {
				if string(key) == "messageId" {
					messageID = s.string()
				} else {
					s.skip()
				}
			})
		case "messageId":
			messageID = s.string()
		case "received_at":
			receivedAt = s.string()
		default:
			s.skip()
		}
	})
	return messageID, receivedAt
}

// is steps over a character, with the white space before it.
func (s *scanner) is(c byte) bool {
	s.at = jsonlex.Space(s.text, s.at)
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

// object calls value at each value of an object; value must read it.
func (s *scanner) object(value func(key []byte)) {
	if !s.is('{') {
		s.skip() // null, for example
		return
	}
	if s.is('}') {
		return
	}
	for !s.bad {
		key := s.string()
		if !s.is(':') {
			s.bad = true
			return
		}
		value(key)
		if !s.is(',') {
			s.bad = s.bad || !s.is('}')
			return
		}
	}
}

// array calls value at each value of an array; value must read it.
func (s *scanner) array(value func()) {
	if !s.is('[') {
		s.bad = true
		return
	}
	if s.is(']') {
		return
	}
	for !s.bad {
		value()
		if !s.is(',') {
			s.bad = s.bad || !s.is(']')
			return
		}
	}
}

// string reads a string; nil where it is something else. One with escapes is
// left as it is: no id of a run and no time has any.
func (s *scanner) string() []byte {
	text := s.skip()
	if len(text) < 2 || text[0] != '"' {
		return nil
	}
	return text[1 : len(text)-1]
}

// skip steps over a value and returns its text.
func (s *scanner) skip() []byte {
	s.at = jsonlex.Space(s.text, s.at)
	start, depth := s.at, 0
	for !s.bad && s.at < len(s.text) {
		switch c := s.text[s.at]; c {
		case '"':
			end, _ := jsonlex.String(s.text, s.at)
			if end == jsonlex.Bad {
				s.bad = true
				return nil
			}
			s.at = end
		case '{', '[':
			depth++
			s.at++
			continue
		case '}', ']':
			if depth == 0 {
				s.bad = true
				return nil
			}
			depth--
			s.at++
		case ',', ':', ' ', '\n', '\t', '\r':
			s.at++
			continue
		default:
			for s.at < len(s.text) && plainByte(s.text[s.at]) {
				s.at++
			}
		}
		if depth == 0 {
			return s.text[start:s.at]
		}
	}
	s.bad = true
	return nil
}

// plainByte says whether a byte belongs to a number or word.
func plainByte(c byte) bool {
	switch c {
	case '"', '{', '[', '}', ']', ',', ':', ' ', '\n', '\t', '\r':
		return false
	}
	return true
}
