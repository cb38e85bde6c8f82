package mockrudder

import (
	"bytes"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// answer is an answer that has not been sent yet, or never is.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

// spoils says whether the fault does something to an answer.
func (f *Fault) spoils() bool { return f.Trickle > 0 || f.WrongBody != "" || f.Close == Middle }

// spoil sends an answer with what the fault does to it.
func (s *Server) spoil(w http.ResponseWriter, r *http.Request, f Fault, a *answer) {
	a.WriteHeader(http.StatusOK)
	body := a.body.Bytes()
	if f.WrongBody != "" {
		var kind string
		body, kind = f.WrongBody.content(a.status)
		a.header.Set("Content-Type", kind)
	}
	maps.Copy(w.Header(), a.header)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(a.status)
	control := http.NewResponseController(w)
	_ = control.Flush() // fails only where the client has left
	pieces := split(body)
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

// split cuts a body into at most 100 pieces, of a byte each where it is short.
func split(body []byte) (pieces [][]byte) {
	const most = 100
	for step := len(body)/most + 1; len(body) > 0; {
		n := min(step, len(body))
		pieces, body = append(pieces, body[:n]), body[n:]
	}
	return pieces
}

// content is the body and its type.
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
