package check

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/currentsbridge/currentsbridge/internal/jsonlex"
)

// MaxItem is the longest single event, message or request body that is read, in bytes.
const MaxItem = 64 << 20

// Item is one event or message of a stream, or a place with malformed JSON.
type Item struct {
	Raw    []byte // its text
	Line   int    // where it starts, from 1
	Number int    // in the stream, from 1
	// Envelope is "events" or "batch" for an item of a request body of that kind,
	// else "".
	Envelope string
	// Request is the number of that body in the stream, from 1; 0 for an item outside
	// of a body.
	Request int
	Wrapper string // the member of the log record that has the body as text, "" for none
	// Broken is the error of malformed JSON; then there is no Raw, and reading goes on
	// at a later line.
	Broken error

	text    string // the same as Raw
	noEvent error  // why a record of a storage export was not converted
	header
}

// Lines counts the lines of a stream.
type Lines struct {
	Total int `json:"total"`
	Read  int `json:"read"` // the others are malformed
}

var (
	errNotJSON = errors.New("this is not JSON")
	errCutOff  = errors.New("the JSON is cut off")
	errTooLong = errors.New("an event or a request is longer than 64 MiB; split it first, a body for instance by jq -c '.events[]'")
	errEmpty   = errors.New("there is no JSON in it: it is empty")
	errUTF16   = errors.New("this is UTF-16, and JSON is UTF-8; convert it first: iconv -f UTF-16 -t UTF-8")
)

// Each calls visit for every event of a stream, in order. It reads JSON documents one
// after the other (each on one line or several), arrays of them, request bodies
// {"events":[…]} or {"batch":[…]}, also as text in a log record such as
// {"body":"{\"events\":…}"}, lines of mockrudder's own recordings, and all of these
// compressed by gzip. For malformed JSON it calls visit with Item.Broken, and goes on
// at the next line where a document begins. It holds one document in memory at a time.
// It returns the error of visit, the error of r, or one for a document that is too
// long or a stream without any JSON.
func Each(r io.Reader, visit func(Item) error) (Lines, error) { return each(r, MaxItem, visit) }

func each(r io.Reader, maxItem int, visit func(Item) error) (Lines, error) {
	buffered := bufio.NewReaderSize(r, chunk)
	if magic, err := buffered.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		compressed, err := gzip.NewReader(buffered)
		if err != nil {
			return Lines{}, fmt.Errorf("gzip: %w", err)
		}
		buffered = bufio.NewReaderSize(compressed, chunk)
	}
	if mark, _ := buffered.Peek(2); len(mark) == 2 && (mark[0] == 0 || mark[1] == 0 || mark[0] >= 0xfe && mark[1] >= 0xfe) {
		return Lines{}, errUTF16
	}
	if mark, err := buffered.Peek(3); err == nil && string(mark) == "\xef\xbb\xbf" {
		_, _ = buffered.Discard(3)
	}
	s := splitter{r: buffered, maxItem: maxItem, visit: visit, line: 1, last: '\n'}
	err := s.documents()
	total := s.total()
	if err == nil && !s.found {
		err = errEmpty
	}
	return Lines{Total: total, Read: total - s.skipped}, err
}

const chunk = 1 << 16

// splitter splits a stream into documents, and those into events.
type splitter struct {
	r       io.Reader
	maxItem int
	visit   func(Item) error

	buf  []byte // text that was read and not taken
	err  error  // that ended reading
	line int    // where buf begins, from 1
	last byte   // the byte before buf
	read int    // bytes of the stream

	within  within // the array around buf
	found   bool   // something but white space
	number  int
	request int

	torn    bool // commas and closing brackets may be left of a malformed document
	comma   bool // the last one was a comma, or the document just ended
	again   int  // bytes that are read again because of malformed documents
	skipped int  // lines of malformed documents
}

// within is where the splitter is in the arrays of documents.
type within int

const (
	outside within = iota // of any array
	behindBracket
	behindElement
	behindComma
)

// has says whether buf has more than n bytes, after reading what it takes.
func (s *splitter) has(n int) bool {
	for len(s.buf) <= n && s.err == nil {
		s.buf = slices.Grow(s.buf, chunk)
		var more int
		more, s.err = s.r.Read(s.buf[len(s.buf):cap(s.buf)])
		s.buf = s.buf[:len(s.buf)+more]
		s.read += more
	}
	return len(s.buf) > n
}

// take goes on behind n bytes of buf.
func (s *splitter) take(n int) {
	if n > 0 {
		s.line += bytes.Count(s.buf[:n], []byte{'\n'})
		s.last = s.buf[n-1]
		s.buf = s.buf[n:]
	}
}

// total is the number of lines before buf, with a last one without a newline.
func (s *splitter) total() int {
	if s.last == '\n' {
		return s.line - 1
	}
	return s.line
}

// space skips white space, and returns the next byte without taking it.
func (s *splitter) space() (byte, error) {
	for s.has(0) {
		n := len(s.buf) - len(bytes.TrimLeft(s.buf, " \n\t\r"))
		if n < len(s.buf) {
			s.take(n)
			return s.buf[0], nil
		}
		s.take(n)
	}
	return 0, s.err
}

// documents reads to the end of the stream. Arrays at the top level only separate
// documents, so that they may have any size.
func (s *splitter) documents() error {
	for {
		c, err := s.space()
		s.found = s.found || err == nil
		switch {
		case errors.Is(err, io.EOF) && s.within == outside:
			return nil
		case errors.Is(err, io.EOF):
			err = s.broken(0, errCutOff)
		case err != nil:
		case c == '[' && s.within == outside:
			s.within, s.comma = behindBracket, false
			s.take(1)
		case c == ']' && (s.within == behindBracket || s.within == behindElement):
			s.within = outside
			s.take(1)
		case c == ',' && s.within == behindElement:
			s.within = behindComma
			s.take(1)
		case s.torn && strings.IndexByte(",]}", c) >= 0:
			s.comma = c == ','
			s.take(1)
		case s.within == behindElement:
			err = s.broken(0, errNotJSON)
		default:
			err = s.value(c)
		}
		if err != nil {
			return err
		}
	}
}

// value reads one value, which begins with c.
func (s *splitter) value(c byte) error {
	s.torn, s.comma = s.torn && s.comma, false
	n, err := s.scan()
	text, line := string(s.buf[:n]), s.line
	switch {
	case errors.Is(err, errCutOff):
		s.again += n
		return s.broken(0, err)
	case err != nil:
		return err
	case !jsonlex.Valid(text):
		s.again += n
		if syntax, ok := errors.AsType[*json.SyntaxError](json.Unmarshal([]byte(text), new(json.RawMessage))); ok {
			n = min(n, max(0, int(syntax.Offset)-1))
		}
		return s.broken(n, errNotJSON)
	case s.within == outside && c != '{' && s.has(n) && strings.IndexByte(":,}]", s.buf[n]) >= 0:
		return s.broken(0, errNotJSON) // the rest of a line whose beginning is missing
	}
	s.take(n)
	if s.within != outside {
		s.within = behindElement
	}
	return s.document(text, line)
}

// scan returns the length of the value at the beginning of buf. It only counts brackets
// outside of strings. A newline in a string, or one after which the next document
// begins, cuts the value off.
func (s *splitter) scan() (n int, err error) {
	depth, ended := 0, false
	for ; n < len(s.buf) || s.has(n); n++ {
		switch s.buf[n] {
		case '"':
			if n, ended = s.quote(n); !ended {
				return n, s.end(n)
			}
			ended = depth == 0
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return n, nil // of what is around a number or a word
			}
			depth--
			ended = depth == 0
		case ',', ':', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return n, nil
			}
			if s.buf[n] == '\n' && s.begins(n) {
				return n, errCutOff
			}
		}
		if ended {
			return n + 1, nil
		}
		if n > s.maxItem {
			return n, s.end(n)
		}
	}
	if depth == 0 && errors.Is(s.err, io.EOF) {
		return n, nil
	}
	return n, s.end(n)
}

// quote returns the index of the quote that ends the string at n, or of a newline or the
// end of the stream before it.
func (s *splitter) quote(n int) (end int, ended bool) {
	for n++; (n < len(s.buf) || s.has(n)) && n <= s.maxItem; n++ {
		switch s.buf[n] {
		case '"':
			return n, true
		case '\n':
			return n, false
		case '\\':
			if s.has(n+1) && s.buf[n+1] != '\n' {
				n++
			}
		}
	}
	return n, false
}

// end is the error of a value that does not end after n bytes.
func (s *splitter) end(n int) error {
	if n > s.maxItem {
		return fmt.Errorf("line %d: %w", s.line, errTooLong)
	}
	if s.err == nil || errors.Is(s.err, io.EOF) {
		return errCutOff
	}
	return s.err
}

// begins says whether a document begins behind the newline at n: a line begins with a
// bracket, and the text before it asks for no other value.
func (s *splitter) begins(n int) bool {
	if !s.has(n+1) || s.buf[n+1] != '{' && s.buf[n+1] != '[' {
		return false
	}
	before := bytes.TrimRight(s.buf[:n], " \n\t\r")
	return strings.IndexByte(":,[", before[len(before)-1]) < 0
}

// broken reports malformed JSON n bytes behind the beginning of buf, and goes on at the
// next line that begins with a bracket.
func (s *splitter) broken(n int, why error) error {
	start := s.line
	s.take(n)
	s.number++
	if err := s.visit(Item{Line: s.line, Number: s.number, Broken: why}); err != nil {
		return err
	}
	const enough, times = 1 << 20, 8
	if s.again > enough+times*s.read {
		return fmt.Errorf("line %d: too much behind this is not JSON", s.line)
	}
	s.within, s.torn, s.comma = outside, true, true
	for {
		if !s.has(0) {
			s.skipped += max(0, s.total()-start+1)
			return nil
		}
		newline := bytes.IndexByte(s.buf, '\n')
		if newline < 0 {
			s.take(len(s.buf))
			continue
		}
		s.take(newline + 1)
		if s.has(0) && (s.buf[0] == '{' || s.buf[0] == '[') {
			s.skipped += s.line - start
			return nil
		}
	}
}

// document visits the events of a document that starts at a line.
func (s *splitter) document(text string, line int) error {
	if is, err := s.body(text, "", line); is || err != nil {
		return err
	}
	if h := headerOf(text); text[0] == '{' && !h.looksBraze() && !h.looksRudder() {
		if done, err := s.wrapped(text, line); done {
			return err
		}
	}
	return s.item(Item{Line: line}, text)
}

func (s *splitter) item(item Item, text string) error {
	s.number++
	item.Number, item.Raw, item.text, item.header = s.number, []byte(text), text, headerOf(text)
	return s.visit(item)
}

// body visits the events of a request body, and says whether the text is one: an object
// with an array under events or batch. Other members are ignored.
func (s *splitter) body(text, wrapper string, line int) (is bool, err error) {
	if text[0] != '{' {
		return false, nil
	}
	w, counted := jsonlex.Walker{Text: text}, 0
	w.Object(0, 0, func(key string, i int) int {
		if key != "events" && key != "batch" || text[i] != '[' {
			return w.Value(i, 1)
		}
		is = true
		s.request++
		return w.Array(i, 1, func(i int) int {
			end := w.Value(i, 2)
			if wrapper == "" {
				line += strings.Count(text[counted:i], "\n")
				counted = i
			}
			if err == nil {
				err = s.item(Item{Line: line, Envelope: key, Request: s.request, Wrapper: wrapper}, text[i:end])
			}
			return end
		})
	})
	return is, err
}

// wrapped visits the events of a body that is text in a log record, or the message of a
// line of a recording of mockrudder, and says whether the object is one of these.
func (s *splitter) wrapped(text string, line int) (done bool, err error) {
	w := jsonlex.Walker{Text: text}
	members := map[string]string{}
	w.Object(0, 0, func(key string, i int) int {
		end := w.Value(i, 1)
		members[key] = text[i:end]
		return end
	})
	if message := members["message"]; strings.HasPrefix(message, "{") && members["raw"] != "" && members["received_at"] != "" {
		return true, s.item(Item{Line: line, Envelope: "batch", Wrapper: "message"}, message)
	}
	for _, key := range slices.Sorted(maps.Keys(members)) {
		value := members[key]
		if value[0] != '"' || !strings.Contains(value, `\"events\"`) && !strings.Contains(value, `\"batch\"`) {
			continue
		}
		body := strings.TrimSpace(jsonlex.Text(value))
		if !jsonlex.Valid(body) {
			continue
		}
		if is, err := s.body(body, key, line); is || err != nil {
			return true, err
		}
	}
	return false, nil
}
