package mockrudder

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// How long RudderStack takes to say that its transformer does not answer.
const (
	transformerDownAfter = time.Second
	transformerHangAfter = 30 * time.Second
)

// misbehave does to a request what a fault says. It ends a connection by
// panicking with http.ErrAbortHandler, which net/http takes as the order to
// close it without an answer.
func (s *Server) misbehave(w http.ResponseWriter, r *http.Request, f Fault) {
	key := anyKey(r)
	if s.config.sources[key] == nil {
		key = ""
	}
	if f.Close != Before && (f.Latency > 0 || f.Hang != 0) {
		r.Body = buffered(r.Body) // only with the body read is a client that leaves noticed
	}
	if f.Latency > 0 && !s.pause(r.Context(), time.Duration(f.Latency)) {
		s.abort(key)
	}
	if f.spoils() {
		answer := &answer{header: http.Header{}}
		s.act(answer, r, f, key)
		s.spoil(w, r, f, answer)
		return
	}
	s.act(w, r, f, key)
}

// act does what a fault does instead of an answer, or answers.
func (s *Server) act(w http.ResponseWriter, r *http.Request, f Fault, key string) {
	switch {
	case f.Close == Before:
		s.abort(key)
	case f.Close == After:
		_, _ = io.Copy(io.Discard, r.Body)
		s.abort(key)
	case f.Close == Stored:
		s.gateway.ServeHTTP(&answer{header: http.Header{}}, r)
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
	case f.Transformer != "":
		s.gateway.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), transformerKey{}, f.Transformer)))
	default:
		s.gateway.ServeHTTP(w, r)
	}
}

// abort closes the connection without an answer.
func (s *Server) abort(key string) {
	s.store.answered(key, 0)
	panic(http.ErrAbortHandler)
}

// pause waits and says whether the time passed: not where the client left or
// the server was closed. A negative time does not pass.
func (s *Server) pause(ctx context.Context, span time.Duration) bool {
	var over <-chan time.Time
	if span >= 0 {
		timer := time.NewTimer(span)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
		return true
	case <-ctx.Done():
	case <-s.open.Done():
	}
	return false
}

// transformerKey is under what a request's context holds the TransformerState
// that a fault gives it.
type transformerKey struct{}

// transformer answers for a transformer that a fault has made fail, and says
// whether it did.
func (s *Server) transformer(r *http.Request, key string) (no refusal, failed bool) {
	state, _ := r.Context().Value(transformerKey{}).(TransformerState)
	switch state {
	case TransformerDown:
		s.pause(r.Context(), transformerDownAfter)
		return noTransformer, true
	case TransformerHang:
		s.pause(r.Context(), transformerHangAfter)
		s.abort(key)
	}
	return refusal{}, false
}

// buffered reads a body to its end and returns one that gives the same, and
// the same error if there was one.
func buffered(body io.ReadCloser) io.ReadCloser {
	text, err := io.ReadAll(io.LimitReader(body, maxRead+1))
	if err == nil {
		err = io.EOF
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(text), failing{err}), body}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
