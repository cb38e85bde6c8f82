package check

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/currentsbridge/currentsbridge/internal/jsonlex"
)

// MaxItem is the longest single event or message that is read, in bytes.
const MaxItem = 64 << 20

// Item is one event or message of a stream, or a place with malformed JSON.
type Item struct {
	Raw    []byte // its text; valid until the next one is read
	Line   int    // where it starts, from 1
	Number int    // in the stream, from 1
	// Envelope is "events" or "batch" for an item of a request body of that kind,
	// else "".
	Envelope string
	// Request is the number of that body in the stream, from 1; 0 for an item outside
	// of a body.
	Request int
	// Wrapper is the member of the log record that has the body as text, "" for none.
	Wrapper string
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

// ReadError says where a stream is malformed.
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
	errEmpty   = errors.New("there is no JSON in it: it is empty")
	errUTF16   = errors.New("this is UTF-16, and JSON is UTF-8; convert it first: iconv -f UTF-16 -t UTF-8")
)

// Each calls visit for every event of a stream, in order. It reads JSON documents one
// after the other (each on one line or several), arrays of them, request bodies
// {"events":[…]} or {"batch":[…]}, also as text in a log record such as
// {"body":"{\"events\":…}"}, lines of mockrudder's own recordings, and all of these
// compressed by gzip. For malformed JSON it calls visit with Item.Broken, and goes on
// at the next line where a document begins. It holds one event in memory at a time.
// It returns the error of visit, a *ReadError, the error of r, or one for a stream
// without any JSON.
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
	s := splitter{input: newInput(buffered), maxItem: maxItem, visit: visit}
	err := s.documents()
	lines := s.lines()
	if err == nil && s.found == 0 {
		err = errEmpty
	}
	return lines, err
}

// splitter splits a stream into events. It parses only the documents around events;
// the grammar of an event is checked once all of it is read.
type splitter struct {
	*input
	maxItem int
	visit   func(Item) error

	found   int // documents, malformed ones included
	number  int
	request int
	wrapper string
	open    int  // arrays and objects around pos
	lost    int  // those of malformed documents
	comma   bool // the last document was followed by a comma, or malformed
	skipped int  // malformed lines
}

// lines counts the lines up to pos, with a last one without a newline.
func (s *splitter) lines() Lines {
	total := s.line
	if s.column0() {
		total--
	}
	return Lines{Total: total, Read: total - s.skipped}
}

// documents reads to the end of the stream.
func (s *splitter) documents() error {
	for {
		s.keep()
		c, err := s.space()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case s.lost > 0 && (c == ',' || c == ']' || c == '}'): // the rest of a malformed document
			if c != ',' {
				s.lost--
			}
			s.comma = true
			s.skip(1)
			continue
		case !s.comma:
			s.lost = 0
		}
		s.keep()
		s.found++
		s.open, s.comma = 0, false
		if err := s.document(c); err != nil {
			if err = s.recover(err); err != nil {
				return err
			}
			s.comma = true
		}
	}
}

// recover reports malformed JSON and goes on behind it.
func (s *splitter) recover(err error) error {
	var at *ReadError
	if !errors.As(err, &at) || errors.Is(err, errTooLong) {
		return err
	}
	broken := s.markLine
	s.number++
	if err := s.visit(Item{Line: broken, Number: s.number, Request: s.request, Broken: at.Err}); err != nil {
		return err
	}
	const enough, times = 1 << 20, 8
	if s.again > enough+times*s.total {
		return &ReadError{broken, errors.New("too much behind this is not JSON")}
	}
	found, err := s.resume()
	if err != nil {
		return err
	}
	s.lost += s.open
	if found {
		s.skipped += s.line - broken
		return nil
	}
	lines := s.lines()
	s.skipped += lines.Total - broken + 1
	return nil
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

// space skips white space and returns the next byte, without reading it.
func (s *splitter) space() (byte, error) {
	for {
		rest, err := s.rest()
		if err != nil {
			return 0, err
		}
		n := 0
		for n < len(rest) && (rest[n] == ' ' || rest[n] == '\n' || rest[n] == '\t' || rest[n] == '\r') {
			n++
		}
		s.skip(n)
		if n < len(rest) {
			return rest[n], nil
		}
		if s.pos-s.mark > s.maxItem {
			return 0, errTooLong
		}
	}
}

// document reads one value of the top level, which begins with c.
func (s *splitter) document(c byte) error {
	switch c {
	case '[':
		return s.array("")
	case '{':
		return s.object()
	}
	return s.event("")
}

// array visits the elements of an array, and the events of those that are request
// bodies.
func (s *splitter) array(envelope string) error {
	return s.members(']', func() error {
		s.keep()
		if c, err := s.space(); err == nil && c == '{' && envelope == "" {
			return s.object()
		}
		return s.event(envelope)
	})
}

// members reads an opening bracket, comma-separated members, and the closing bracket end.
func (s *splitter) members(end byte, member func() error) error {
	s.skip(1)
	s.open++
	for first := true; ; first = false {
		c, err := s.space()
		if err != nil {
			return s.fail(err)
		}
		if c == end {
			s.open--
			return s.expect(end)
		}
		if !first {
			if err := s.expect(','); err != nil {
				return err
			}
			if c, err := s.space(); err != nil || c == end {
				return s.fail(cmp.Or(err, errNotJSON))
			}
		}
		if err := member(); err != nil {
			return err
		}
	}
}

func (s *splitter) expect(want byte) error {
	rest, err := s.rest()
	switch {
	case err != nil:
		return s.fail(err)
	case rest[0] != want:
		return s.fail(errNotJSON)
	}
	s.skip(1)
	return nil
}

// object reads an event, or the events of a request body: an object with an array under
// events or batch.
func (s *splitter) object() error {
	s.keep()
	line, envelope := s.line, ""
	err := s.members('}', func() error {
		if envelope != "" {
			s.keep() // other members of a body are ignored
		}
		key, err := s.key()
		if err != nil {
			return err
		}
		c, err := s.space()
		if err != nil {
			return s.fail(err)
		}
		if c == '[' && (key == "events" || key == "batch") {
			envelope = key
			s.request++
			return s.array(key)
		}
		return s.value()
	})
	switch {
	case err != nil:
		return err
	case envelope != "":
		s.keep()
		return nil
	}
	return s.judge(line, "")
}

// key reads the key of a member and the colon behind it.
func (s *splitter) key() (string, error) {
	start := s.pos - s.mark
	if err := s.value(); err != nil {
		return "", err
	}
	quoted := string(s.kept()[start:])
	if quoted == "" || quoted[0] != '"' || !jsonlex.Valid(quoted) {
		return "", s.fail(errNotJSON)
	}
	if _, err := s.space(); err != nil {
		return "", s.fail(err)
	}
	return jsonlex.Text(quoted), s.expect(':')
}

// event reads one value and visits it.
func (s *splitter) event(envelope string) error {
	s.keep()
	line, begins := s.line, s.column0()
	if err := s.value(); err != nil {
		return err
	}
	if begins && envelope != "" && isBody(string(s.kept())) {
		return s.tornBefore() // the previous body is torn, and this is the next one
	}
	if envelope == "" && s.open == 0 {
		if next, err := s.rest(); err == nil && strings.IndexByte(":,}]", next[0]) >= 0 {
			return s.fail(errNotJSON) // the rest of a line whose beginning is missing
		}
	}
	return s.judge(line, envelope)
}

// tornBefore fails at the end of the line before the mark.
func (s *splitter) tornBefore() error {
	s.pos, s.line = s.mark, s.markLine
	s.mark, s.markLine = s.mark-1, s.markLine-1
	return s.fail(errCutOff)
}

// isBody says whether a text is a request body.
func isBody(text string) (is bool) {
	if text == "" || text[0] != '{' {
		return false
	}
	w := jsonlex.Walker{Text: text}
	w.Object(0, 0, func(key string, i int) int {
		is = is || (key == "events" || key == "batch") && i < len(text) && text[i] == '['
		return w.Value(i, 1)
	})
	return is
}

// judge checks the kept text and visits it.
func (s *splitter) judge(line int, envelope string) error {
	raw := s.kept()
	text := string(raw)
	if !jsonlex.Valid(text) {
		return &ReadError{line, errNotJSON}
	}
	item := Item{Raw: raw, Line: line, Envelope: envelope, Wrapper: s.wrapper, text: text, header: headerOf(text)}
	if envelope == "" && !item.looksBraze() && !item.looksRudder() {
		if done, err := s.wrapped(item); done {
			s.keep()
			return err
		}
	}
	if envelope != "" {
		item.Request = s.request
	}
	s.number++
	item.Number = s.number
	s.keep()
	return s.visit(item)
}

// wrapped visits the events of a body that is text in a log record, or the message of a
// line of a recording of mockrudder, and says whether the item is one of these.
func (s *splitter) wrapped(item Item) (done bool, err error) {
	if item.text[0] != '{' {
		return false, nil
	}
	w := jsonlex.Walker{Text: item.text}
	members := map[string]string{}
	w.Object(0, 0, func(key string, i int) int {
		end := w.Value(i, 1)
		members[key] = item.text[i:end]
		return end
	})
	if message := members["message"]; strings.HasPrefix(message, "{") && members["raw"] != "" && members["received_at"] != "" {
		s.number++
		item.Raw, item.text, item.header = []byte(message), message, headerOf(message)
		item.Envelope, item.Number, item.Wrapper = "batch", s.number, "message"
		return true, s.visit(item)
	}
	for _, key := range slices.Sorted(maps.Keys(members)) {
		value := members[key]
		if value[0] != '"' || !strings.Contains(value, `\"events\"`) && !strings.Contains(value, `\"batch\"`) {
			continue
		}
		body := strings.TrimSpace(jsonlex.Text(value))
		if !jsonlex.Valid(body) || !isBody(body) {
			continue
		}
		inner := splitter{input: newInput(strings.NewReader(body)), maxItem: s.maxItem, number: s.number, request: s.request, wrapper: key,
			visit: func(inside Item) error {
				inside.Line = item.Line
				return s.visit(inside)
			}}
		err := inner.documents()
		s.number, s.request = inner.number, inner.request
		return true, err
	}
	return false, nil
}

// value reads one value, which is kept. It only counts brackets outside of strings; the
// caller checks the grammar. A newline in a string, or one after which the next
// document begins, is an error.
func (s *splitter) value() error {
	var v valueScan
	for start := s.pos - s.mark; ; {
		rest, err := s.rest()
		if err != nil {
			if errors.Is(err, io.EOF) && v.depth == 0 && !v.inString && s.pos-s.mark > start {
				return nil
			}
			return s.fail(err)
		}
		n, state := v.scan(rest)
		if state == torn {
			return s.fail(errCutOff)
		}
		s.skip(n)
		if s.pos-s.mark > s.maxItem {
			return s.fail(errTooLong)
		}
		if state == ended {
			return nil
		}
		if state == newline {
			if next, err := s.rest(); err == nil && (next[0] == '{' || next[0] == '[') && !s.continues() {
				return s.fail(errCutOff)
			}
		}
	}
}

// continues says whether the text before pos requires another value.
func (s *splitter) continues() bool {
	before := bytes.TrimRight(s.kept(), " \n\t\r")
	return len(before) > 0 && strings.IndexByte(":,[", before[len(before)-1]) >= 0
}

// valueScan is the state of reading a value in parts.
type valueScan struct {
	depth             int
	inString, escaped bool
}

// state says where the scan of a part stopped.
type state int

const (
	more    state = iota // at the end of the part
	ended                // at the end of the value
	newline              // behind a newline inside brackets
	torn                 // at a newline inside a string
)

// scan reads the next part of the text and returns how many bytes of it belong to the
// value.
func (v *valueScan) scan(part []byte) (n int, at state) {
	for i := 0; i < len(part); i++ {
		if v.inString {
			if i = v.str(part, i); i < 0 {
				return 0, torn
			}
			if !v.inString && v.depth == 0 {
				return i + 1, ended
			}
			continue
		}
		switch c := part[i]; c {
		case '"':
			v.inString = true
		case '{', '[':
			v.depth++
		case '\n':
			if v.depth == 0 {
				return i, ended
			}
			return i + 1, newline
		case '}', ']', ',', ':', ' ', '\t', '\r':
			if v.depth == 0 { // the end of a number or a word
				return i, ended
			}
			if c == '}' || c == ']' {
				if v.depth--; v.depth == 0 {
					return i + 1, ended
				}
			}
		}
	}
	return len(part), more
}

// str reads on inside a string and returns the index of its end or that of the part, or
// -1 for a newline in it.
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
			quote = slash
		}
		if bytes.IndexByte(part[i:i+quote], '\n') >= 0 {
			return -1
		}
		if i += quote; i < len(part) && part[i] == '\\' {
			v.escaped = true
			continue
		}
		if i < len(part) {
			v.inString = false
		}
		return i
	}
	return i
}
