package intake

import (
	"bytes"
	"strconv"
	"sync/atomic"
)

// framing follows the requests on a connection of HTTP/1 as bytes, from one
// request's headers to the next one's, for one thing that net/http hides: where
// a request has Transfer-Encoding, it removes Content-Length. Such a request may
// be meant to smuggle another one past a proxy (RFC 9112, section 6.1).
//
// Chunks are not followed: after a request that has them, as after one whose
// length is not understood, the connection is to be closed.
type framing struct {
	line     []byte // what came of a line of the headers, cut at maxLine
	body     int64  // bytes of the body that are still to come
	size     int64  // of the request's body
	headers  bool   // the request line is complete
	length   bool   // the request has a Content-Length
	coding   bool   // and a Transfer-Encoding
	unclear  bool   // the length is not a plain number
	off      bool
	requests int64

	// Read by the handler. last is the number of the request, from 1, after which
	// the connection is to be closed, 0 as long as there is none; ambiguous tells
	// that this one has both headers.
	last      atomic.Int64
	ambiguous atomic.Bool
}

// maxLine is as much as is needed of a line: the name and a length.
const maxLine = 64

// see follows what was read.
func (f *framing) see(p []byte) {
	for len(p) > 0 && !f.off {
		if f.body > 0 {
			n := min(f.body, int64(len(p)))
			f.body -= n
			p = p[n:]
			continue
		}
		end := bytes.IndexByte(p, '\n')
		part := p
		if end >= 0 {
			part = p[:end]
		}
		f.line = append(f.line, part[:min(len(part), maxLine-len(f.line))]...)
		if end < 0 {
			return
		}
		f.endLine()
		f.line = f.line[:0]
		p = p[end+1:]
	}
}

// endLine takes up one line of the request line and headers.
func (f *framing) endLine() {
	line := bytes.TrimRight(f.line, "\r")
	switch {
	case len(line) == 0 && !f.headers:
		return // net/http passes over a few of these before a request
	case len(line) == 0:
		f.endHeaders()
		return
	case !f.headers:
		f.headers = true
		f.requests++
		if f.off = bytes.HasPrefix(line, []byte("PRI ")); f.off { // HTTP/2
			f.last.Store(f.requests)
		}
		return
	case line[0] == ' ' || line[0] == '\t':
		f.unclear = f.unclear || f.length // the line before goes on
		return
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	switch {
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		f.coding = true
	case bytes.EqualFold(name, []byte("Content-Length")):
		n, err := strconv.ParseUint(string(bytes.Trim(value, " \t")), 10, 63)
		f.unclear = f.unclear || err != nil || len(f.line) == maxLine
		f.length, f.size = true, int64(n)
	}
}

// endHeaders goes on to the body.
func (f *framing) endHeaders() {
	if f.coding || f.unclear {
		f.off = true
		f.ambiguous.Store(f.coding && f.length)
		f.last.Store(f.requests)
	}
	f.body = f.size
	f.headers, f.length, f.size = false, false, 0
}
