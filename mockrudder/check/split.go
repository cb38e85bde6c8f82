package check

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/currentsbridge/currentsbridge/mockrudder/internal/jsonscan"
)

// MaxItem is the longest single event or message that is read, in bytes.
const MaxItem = 64 << 20

// Item is one event or message of a stream.
type Item struct {
	Raw    []byte // its text; good until the next one is read
	Line   int    // where it starts, from 1
	Number int    // its place among those of the stream, from 1
	// Envelope is "events" or "batch" where it stood in a request body of that
	// kind, else "".
	Envelope string
	// Request is the number of that body among those of the stream, from 1; 0
	// where the item stood alone.
	Request int

	text string // the same as Raw
}

// ReadError says where a stream is not what it should be.
type ReadError struct {
	Line int
	Err  error
}

func (e *ReadError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

func (e *ReadError) Unwrap() error { return e.Err }

var (
	errNotJSON = errors.New("this is not JSON")
	errCutOff  = errors.New("the JSON is cut off")
	errTooLong = errors.New("an event is longer than this program reads")
)

// Each calls visit for every event of a stream, in order: JSON documents one
// after the other (one a line or over several lines), arrays of them, request
// bodies {"events":[…]} or {"batch":[…]}, and any of that compressed by gzip.
// It holds one event in memory at a time. It ends with the error of visit, a
// *ReadError, or the error of r.
func Each(r io.Reader, visit func(Item) error) error { return each(r, MaxItem, visit) }

func each(r io.Reader, maxItem int, visit func(Item) error) error {
	in := bufio.NewReaderSize(r, 1<<16)
	if magic, err := in.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		unpacked, err := gzip.NewReader(in)
		if err != nil {
			return fmt.Errorf("gzip: %w", err)
		}
		in = bufio.NewReaderSize(unpacked, 1<<16)
	}
	if mark, err := in.Peek(3); err == nil && string(mark) == "\xef\xbb\xbf" {
		_, _ = in.Discard(3)
	}
	s := splitter{in: in, line: 1, maxItem: maxItem, visit: visit}
	for {
		switch _, err := s.space(); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := s.document(); err != nil {
			return err
		}
	}
}

// splitter takes a stream apart. It looks no deeper than it must, and the
// grammar of each event is checked once it has been read whole.
type splitter struct {
	in      *bufio.Reader
	line    int
	number  int
	request int
	maxItem int
	item    []byte
	visit   func(Item) error
}

func (s *splitter) fail(err error) error {
	if errors.Is(err, io.EOF) {
		err = errCutOff
	}
	if errors.Is(err, errCutOff) || errors.Is(err, errNotJSON) || errors.Is(err, errTooLong) {
		return &ReadError{s.line, err}
	}
	return err
}

// space skips white space and returns the byte behind it, unread.
func (s *splitter) space() (byte, error) {
	for {
		c, err := s.in.ReadByte()
		if err != nil {
			return 0, err
		}
		switch c {
		case '\n':
			s.line++
		case ' ', '\t', '\r':
		default:
			return c, s.in.UnreadByte()
		}
	}
}

// document reads one value of the top level, which is not at its end.
func (s *splitter) document() error {
	c, err := s.space()
	if err != nil {
		return s.fail(err)
	}
	switch c {
	case '[':
		return s.array("")
	case '{':
		return s.object()
	}
	return s.event("")
}

// array visits the elements of an array, and what stands in those that are
// request bodies.
func (s *splitter) array(envelope string) error {
	return s.members('[', ']', func() error {
		if c, err := s.space(); err == nil && c == '{' && envelope == "" {
			return s.object()
		}
		return s.event(envelope)
	})
}

// members reads what stands between brackets, with commas between.
func (s *splitter) members(open, end byte, member func() error) error {
	if err := s.expect(open); err != nil {
		return err
	}
	for first := true; ; first = false {
		c, err := s.space()
		if err != nil {
			return s.fail(err)
		}
		switch {
		case c == end && first:
			return s.expect(end)
		case !first:
			if c == end {
				return s.expect(end)
			}
			if err := s.expect(','); err != nil {
				return err
			}
			if _, err := s.space(); err != nil {
				return s.fail(err)
			}
		}
		if err := member(); err != nil {
			return err
		}
	}
}

func (s *splitter) expect(want byte) error {
	switch c, err := s.in.ReadByte(); {
	case err != nil:
		return s.fail(err)
	case c != want:
		return s.fail(errNotJSON)
	}
	return nil
}

// object reads an event, or the events of a request body: the object is one
// where an array stands under events or batch.
func (s *splitter) object() error {
	line, envelope := s.line, ""
	item := append(s.item[:0], '{')
	err := s.members('{', '}', func() error {
		if len(item) > 1 {
			item = append(item, ',')
		}
		start := len(item)
		var err error
		if item, err = s.value(item); err != nil {
			return err
		}
		quoted := string(item[start:])
		if quoted == "" || quoted[0] != '"' || !jsonscan.Valid(quoted) {
			return s.fail(errNotJSON)
		}
		key := jsonscan.Text(quoted)
		if _, err := s.space(); err != nil {
			return s.fail(err)
		}
		if err := s.expect(':'); err != nil {
			return err
		}
		c, err := s.space()
		if err != nil {
			return s.fail(err)
		}
		if c == '[' && (key == "events" || key == "batch") {
			envelope, s.item = key, nil
			s.request++
			return s.array(key)
		}
		if item, err = s.value(append(item, ':')); err != nil {
			return err
		}
		if envelope != "" {
			item = item[:1] // nothing beside the events is judged
		}
		return nil
	})
	if err != nil || envelope != "" {
		return err
	}
	s.item = append(item, '}')
	return s.judge(line, "")
}

// event reads one value and visits it.
func (s *splitter) event(envelope string) error {
	line := s.line
	var err error
	if s.item, err = s.value(s.item[:0]); err != nil {
		return err
	}
	return s.judge(line, envelope)
}

func (s *splitter) judge(line int, envelope string) error {
	text := string(s.item)
	if !jsonscan.Valid(text) {
		return &ReadError{line, errNotJSON}
	}
	s.number++
	item := Item{Raw: s.item, Line: line, Number: s.number, Envelope: envelope, text: text}
	if envelope != "" {
		item.Request = s.request
	}
	return s.visit(item)
}

// value appends the text of one value. It counts brackets and minds strings;
// the rest of the grammar is left to who looks at the text.
func (s *splitter) value(to []byte) ([]byte, error) {
	var v valueScan
	for {
		if _, err := s.in.Peek(1); err != nil {
			if errors.Is(err, io.EOF) && v.depth == 0 && !v.inString && len(to) > 0 {
				return to, nil
			}
			return to, s.fail(err)
		}
		part, _ := s.in.Peek(s.in.Buffered())
		n, done := v.scan(part)
		part = part[:n]
		s.line += bytes.Count(part, []byte{'\n'})
		if len(to)+n > s.maxItem {
			return to, s.fail(errTooLong)
		}
		to = append(to, part...)
		if _, err := s.in.Discard(n); err != nil || done {
			return to, err
		}
	}
}

// valueScan is how far the reading of a value has come.
type valueScan struct {
	depth             int
	inString, escaped bool
}

// scan takes the next part of the text and returns how many bytes of it belong
// to the value, and whether it ends with them.
func (v *valueScan) scan(part []byte) (n int, done bool) {
	for i := 0; i < len(part); i++ {
		if v.inString {
			if i = v.str(part, i); !v.inString && v.depth == 0 {
				return i + 1, true
			}
			continue
		}
		switch c := part[i]; c {
		case '"':
			v.inString = true
		case '{', '[':
			v.depth++
		case '}', ']', ',', ':', ' ', '\t', '\r', '\n':
			if v.depth == 0 { // the end of a number or a word
				return i, true
			}
			if c == '}' || c == ']' {
				if v.depth--; v.depth == 0 {
					return i + 1, true
				}
			}
		}
	}
	return len(part), false
}

// str goes on inside of a string and returns where its end is, or that of the
// part.
func (v *valueScan) str(part []byte, i int) int {
	for ; i < len(part); i++ {
		if v.escaped {
			v.escaped = false
			continue
		}
		quote := bytes.IndexByte(part[i:], '"')
		if quote < 0 {
			quote = len(part) - i
		}
		if slash := bytes.IndexByte(part[i:i+quote], '\\'); slash >= 0 {
			i += slash
			v.escaped = true
			continue
		}
		if i += quote; i < len(part) {
			v.inString = false
		}
		return i
	}
	return i
}
