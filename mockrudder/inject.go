package mockrudder

import (
	"bytes"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/mockrudder/internal/gateway"
)

// inject does to a request what a fault says. It closes a connection by panicking
// with http.ErrAbortHandler, as net/http asks for.
func (s *Server) inject(w http.ResponseWriter, r *http.Request, f Fault) {
	key := anyKey(r)
	if s.config.sources[key] == nil {
		key = ""
	}
	if f.Close != Before && f.Close != Reset && (f.Latency > 0 || f.Hang != 0) {
		_, r.Body = buffered(r.Body) // net/http notices that a client leaves only once the body is read
	}
	if f.Latency > 0 && !s.pause(r.Context(), time.Duration(f.Latency)) {
		s.abort(key)
	}
	if f.Trickle > 0 || f.WrongBody != "" || f.Close == Middle {
		response := &bufferedResponse{header: http.Header{}}
		s.act(response, r, f, key)
		s.alter(w, r, f, response)
		return
	}
	s.act(w, r, f, key)
}

// act does what a fault puts in place of the response, or responds as usual.
func (s *Server) act(w http.ResponseWriter, r *http.Request, f Fault, key string) {
	switch {
	case f.Close == Before:
		s.abort(key)
	case f.Close == Reset:
		reset(w)
		s.abort(key)
	case f.Close == After:
		_, _ = io.Copy(io.Discard, r.Body)
		s.abort(key)
	case f.Close == Stored:
		s.gateway.ServeHTTP(&bufferedResponse{header: http.Header{}}, r)
		panic(http.ErrAbortHandler)
	case f.Hang != 0:
		s.pause(r.Context(), time.Duration(f.Hang))
		s.abort(key)
	case f.Status != 0:
		if f.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(f.RetryAfter))
		}
		_, _ = io.Copy(io.Discard, r.Body)
		s.store.answered(key, f.Status)
		body := f.Body
		if body == "" {
			body = http.StatusText(f.Status)
		}
		http.Error(w, strings.TrimSuffix(body, "\n"), f.Status)
	default:
		s.gateway.ServeHTTP(w, r.WithContext(gateway.WithOutage(r.Context(), string(f.Transformer), string(f.Database))))
	}
}

// reset has a TCP connection closed by a TCP reset.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return // the connection is closed in the usual way
	}
	defer conn.Close()
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

// abort closes the connection without a response.
func (s *Server) abort(key string) {
	s.store.answered(key, 0)
	panic(http.ErrAbortHandler)
}

// bufferedResponse keeps a response in memory.
type bufferedResponse struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (b *bufferedResponse) Header() http.Header { return b.header }

func (b *bufferedResponse) WriteHeader(status int) {
	if b.status == 0 {
		b.status = status
	}
}

func (b *bufferedResponse) Write(p []byte) (int, error) {
	b.WriteHeader(http.StatusOK)
	return b.body.Write(p)
}

// alter sends a response with the changes that the fault makes to it.
func (s *Server) alter(w http.ResponseWriter, r *http.Request, f Fault, response *bufferedResponse) {
	response.WriteHeader(http.StatusOK)
	body := response.body.Bytes()
	if f.WrongBody != "" {
		var kind string
		body, kind = f.WrongBody.content(response.status)
		response.header.Set("Content-Type", kind)
	}
	maps.Copy(w.Header(), response.header)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(response.status)
	control := http.NewResponseController(w)
	_ = control.Flush() // fails only where the client has left
	const most = 100    // pieces, of a byte each where the body is short
	pieces := slices.Collect(slices.Chunk(body, len(body)/most+1))
	for i, piece := range pieces {
		if f.Trickle > 0 && !s.pause(r.Context(), time.Duration(f.Trickle)/time.Duration(len(pieces))) {
			panic(http.ErrAbortHandler)
		}
		if f.Close == Middle && i >= len(pieces)/2 {
			panic(http.ErrAbortHandler)
		}
		if _, err := w.Write(piece); err != nil {
			return // the client has left
		}
		_ = control.Flush()
	}
	if f.Close == Middle {
		panic(http.ErrAbortHandler)
	}
}

// content returns the body and its media type.
func (b WrongBody) content(status int) (body []byte, contentType string) {
	switch b {
	case Garbage:
		return []byte("\x00\xff\xfe\x80 not text \x00\xc3\x28"), "application/octet-stream"
	case HTMLPage:
		title := strconv.Itoa(status) + " " + http.StatusText(status)
		return []byte("<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title +
			"</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"), "text/html"
	case JSONError:
		return []byte(`{"error":"upstream connect error"}`), "application/json"
	}
	return nil, "text/plain; charset=utf-8"
}
