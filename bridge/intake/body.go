package intake

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
)

// failure is a refusal that reading or storing a body ended in.
type failure struct {
	status int
	text   string
}

func (f *failure) Error() string { return f.text }

// encoding tells whether the body is packed; ok is false where it is packed in
// a way that is not taken.
func encoding(r *http.Request) (packed, ok bool) {
	values := r.Header["Content-Encoding"]
	if len(values) == 0 {
		return false, true
	}
	switch strings.ToLower(strings.TrimSpace(strings.Join(values, ","))) {
	case "", "identity":
		return false, true
	case "gzip", "x-gzip":
		return true, true
	}
	return false, false
}

// unmeasured tells whether the end of the body cannot be known: HTTP/1.0 has no
// chunks, and net/http takes a body in chunks for an empty one there. Answered
// 200, as Braze's probe is, its events would be lost.
func unmeasured(r *http.Request) bool {
	return !r.ProtoAtLeast(1, 1) && len(r.Header["Content-Length"]) == 0
}

// patient reads a request's body. A client may be silent for a while, and the
// whole body may take a while, but neither for ever; and what comes packed may
// not be more than it may be unpacked, or packed nothing could go on and on.
type patient struct {
	left      int64 // how many bytes may come
	body      io.Reader
	deadlines *http.ResponseController
	idle      time.Duration
	end       time.Time
	err       error // what broke the connection or its framing
}

func (p *patient) Read(b []byte) (int, error) {
	deadline := time.Now().Add(p.idle)
	if deadline.After(p.end) {
		deadline = p.end
	}
	// Without a connection, as in a test, there is nothing to wait for.
	_ = p.deadlines.SetReadDeadline(deadline)
	n, err := p.body.Read(b)
	if p.left -= int64(n); p.left < 0 {
		err = errTooLong
	}
	if err != nil && err != io.EOF {
		p.err = err
	}
	return n, err
}

// errTooLong means that more bytes came than a body may have.
var errTooLong = errors.New("the body is too long")

// unpackers keeps gzip readers for reuse.
type unpackers struct{ pool sync.Pool }

// unpackerSize is about what a gzip reader takes: window, tables and input.
const unpackerSize = 64 << 10

func (u *unpackers) get(packed io.Reader) (*gzip.Reader, error) {
	kept, ok := u.pool.Get().(*gzip.Reader)
	if !ok {
		kept = new(gzip.Reader)
	}
	if err := kept.Reset(packed); err != nil {
		u.pool.Put(kept)
		return nil, err
	}
	return kept, nil
}

// read reads and unpacks a whole body. The buffer goes back with put.
func (in *Intake) read(w http.ResponseWriter, r *http.Request, into room, packed bool) (*buffer, error) {
	in.metrics.reading.Inc()
	defer in.metrics.reading.Dec()
	from := &patient{
		body:      r.Body,
		deadlines: http.NewResponseController(w),
		left:      in.cfg.MaxBody,
		idle:      in.cfg.IdleRead,
		end:       time.Now().Add(in.cfg.BodyRead),
	}
	if !packed {
		return in.fill(into, from, from)
	}
	if !into.small.take(unpackerSize) {
		return nil, errNoRoom
	}
	defer into.small.give(unpackerSize)
	unpacked, err := in.unpackers.get(from)
	if err == io.EOF && from.left == in.cfg.MaxBody { // no byte at all: an empty body, packed or not
		return in.buffers.get(0, into)
	}
	if err == io.EOF { // some headers that are cut short end so
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, in.broken(from, err)
	}
	defer in.unpackers.pool.Put(unpacked)
	return in.fill(into, unpacked, from)
}

func (in *Intake) fill(into room, source io.Reader, from *patient) (*buffer, error) {
	b, err := in.buffers.get(0, into)
	if err != nil {
		return nil, err
	}
	whole := false
	defer func() {
		if !whole { // whatever came between
			in.buffers.put(b)
		}
	}()
	for {
		n, err := source.Read(b.data[len(b.data):cap(b.data)])
		b.data = b.data[:len(b.data)+n]
		switch {
		case int64(len(b.data)) > in.cfg.MaxBody:
			err = in.tooLarge()
		case err == io.EOF:
			whole = true
			return b, nil
		case err != nil:
			err = in.broken(from, err)
		case len(b.data) == cap(b.data):
			b, err = in.buffers.grow(b)
		}
		if err != nil {
			return nil, err
		}
	}
}

func (in *Intake) tooLarge() error {
	return &failure{http.StatusRequestEntityTooLarge,
		fmt.Sprintf("the body is larger than %d bytes unpacked; send fewer events in a request, or raise max_body", in.cfg.MaxBody)}
}

// broken says what is wrong with a body that could not be read to its end: the
// way it came, or the way it is packed.
func (in *Intake) broken(from *patient, err error) error {
	switch {
	case errors.Is(from.err, errTooLong):
		return in.tooLarge()
	case errors.Is(from.err, os.ErrDeadlineExceeded):
		return &failure{http.StatusRequestTimeout, "the body did not come in time; send it again"}
	case from.err != nil:
		return &failure{http.StatusBadRequest, "the body could not be read to its end; send it again"}
	}
	return &failure{http.StatusBadRequest, fmt.Sprintf("the body is not what Content-Encoding: gzip says (%v); send it again", err)}
}
