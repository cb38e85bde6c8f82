package check

import (
	"bytes"
	"errors"
	"io"
)

// input reads a stream, counts its lines, and keeps the text from a mark on, so that
// reading can go back to the mark.
type input struct {
	r    io.Reader
	buf  []byte
	mark int // where the kept text begins
	pos  int // of the next byte
	err  error

	line     int // of pos, from 1
	markLine int // of mark
	again    int // bytes that are read again
	total    int // bytes read
}

const chunk = 1 << 16

func newInput(r io.Reader) *input { return &input{r: r, line: 1, markLine: 1} }

// keep sets the mark to pos.
func (in *input) keep() { in.mark, in.markLine = in.pos, in.line }

// rest returns the part of the text from pos on that is in the buffer, at least one
// byte, or an error.
func (in *input) rest() ([]byte, error) {
	for in.pos == len(in.buf) {
		if in.err != nil {
			return nil, in.err
		}
		in.fill()
	}
	return in.buf[in.pos:], nil
}

// fill reads more into the buffer.
func (in *input) fill() {
	if gone := in.mark - 1; gone > 0 { // one byte more, for column0
		in.buf = in.buf[:copy(in.buf, in.buf[gone:])]
		in.pos, in.mark = in.pos-gone, in.mark-gone
	}
	if cap(in.buf)-len(in.buf) < chunk/2 {
		in.buf = append(make([]byte, 0, max(chunk, 2*len(in.buf))), in.buf...)
	}
	n, err := in.r.Read(in.buf[len(in.buf):cap(in.buf)])
	in.buf, in.err = in.buf[:len(in.buf)+n], err
	in.total += n
}

// skip advances pos by n bytes of the buffer.
func (in *input) skip(n int) {
	in.line += bytes.Count(in.buf[in.pos:in.pos+n], []byte{'\n'})
	in.pos += n
}

// column0 says whether pos is at the beginning of a line.
func (in *input) column0() bool { return in.pos == 0 || in.buf[in.pos-1] == '\n' }

// kept is the text from the mark to pos.
func (in *input) kept() []byte { return in.buf[in.mark:in.pos] }

// resume goes back to the mark, and on to the next line that begins with a brace or a
// bracket. It says whether there is one. The error is one of the stream, but not EOF.
func (in *input) resume() (found bool, err error) {
	in.again += in.pos - in.mark
	in.pos, in.line = in.mark, in.markLine
	for {
		rest, err := in.rest()
		if err != nil {
			return false, ignoreEnd(err)
		}
		newline := bytes.IndexByte(rest, '\n')
		if newline < 0 {
			in.skip(len(rest))
			in.keep()
			continue
		}
		in.skip(newline + 1)
		in.keep()
		rest, err = in.rest()
		if err != nil {
			return false, ignoreEnd(err)
		}
		if rest[0] == '{' || rest[0] == '[' {
			return true, nil
		}
	}
}

func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
