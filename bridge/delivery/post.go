package delivery

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// responseTime is how long the rest of a response may take once its status has
// come.
const responseTime = 5 * time.Second

// maxAnswer is how many bytes of a response are kept for the dead letters and the
// log.
const maxAnswer = queue.MaxAnswer

// drainBytes is how much of a response is read, beyond what is kept, so that its
// connection can be used again. RudderStack's responses are one line.
const drainBytes = 64 << 10

var errTimeout = errors.New("timeout")

// response is the outcome of one request.
type response struct {
	status       int    // noAnswer: none came
	words        string // RudderStack's, or why there is none
	broken       bool   // the body did not come to its end
	retryAfter   time.Duration
	began, ended time.Time
	bytes        int  // of the body that was sent
	compressed   bool // it was
	cut          bool // cut off by ctx before a response came: nothing is known

	// Set by Sender.classify:
	kind kind
	own  bool   // a 400 or 413 in RudderStack's own words
	text string // what went wrong, in a line
}

// poster makes requests to one destination.
type poster struct {
	connections pool
	request     *http.Request // what every request is cloned from
	version     *http.Request // likewise, of the question what the destination can
	secret      string        // never shown
	timeout     time.Duration
}

// post sends body, which is compressed with gzip or not, and waits for the
// response; alone on a connection of its own. The body is not read any more once
// it has returned.
func (p *poster) post(ctx context.Context, body []byte, compressed, alone bool) response {
	a := response{began: time.Now(), bytes: len(body), compressed: compressed}
	call, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(p.timeout, func() { cancel(errTimeout) })
	defer timer.Stop()

	load := &payload{bytes: body}
	defer load.withdraw()
	var conn httptrace.GotConnInfo
	call = httptrace.WithClientTrace(call, &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { conn = c }})
	req := p.request.Clone(call)
	req.ContentLength = int64(len(body))
	req.Body = load.reader()
	if compressed {
		req.Header.Set("Content-Encoding", "gzip")
	}
	// With it the transport may send again on a new connection what an idle
	// one that the other side had closed took nothing of.
	req.GetBody = func() (io.ReadCloser, error) { return load.reader(), nil }

	// Not http.Client: it follows redirects, and its errors show the URL, write key and all.
	res, err := p.connections.get(alone).RoundTrip(req)
	if err != nil {
		a.ended = time.Now()
		a.cut = ctx.Err() != nil
		if errors.Is(context.Cause(call), errTimeout) {
			a.words = fmt.Sprintf("no answer within %s", p.timeout)
		} else {
			a.words = p.clean("no answer: " + explain(err))
		}
		return a
	}
	a.status = res.StatusCode
	early := misplaced(res, conn, load)
	timer.Reset(min(responseTime, time.Until(a.began.Add(p.timeout))))
	body, err = p.read(res)
	a.words = p.clean(string(body))
	a.ended = time.Now()
	a.retryAfter = retryAfter(res.Header, a.ended)
	a.broken = err != nil
	if early != "" {
		a.words = p.clean(fmt.Sprintf("no answer: %d %s, which %s", a.status, a.words, early))
		a.status, a.retryAfter = noAnswer, 0
	}
	return a
}

// Probe sends a batch of no events, which changes nothing, and returns the response:
// its status, 0 where none came, and its words.
func Probe(ctx context.Context, c Config) (status int, words string, err error) {
	p, err := c.poster()
	if err != nil {
		return 0, "", err
	}
	b := builder{config: &c}
	b.build(nil)
	// Unlike in post, a response that comes before the body was read tells enough.
	req := p.request.Clone(ctx)
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(b.body)), int64(len(b.body))
	res, err := p.connections.get(true).RoundTrip(req)
	if err != nil {
		return 0, p.clean("no answer: " + explain(err)), nil
	}
	kept, _ := p.read(res) // what has come says enough
	return res.StatusCode, p.clean(string(kept)), nil
}

// misplaced says why a response may not be one to its request; empty: it is one. A
// proxy may write a response when a connection has been idle for too long, or two
// of them, and the next request finds it. On a new connection there is none but its
// own: a refusal may come before the body was taken, of nginx for what is too large,
// and taking it cannot. HTTP/2 knows what belongs together.
func misplaced(res *http.Response, conn httptrace.GotConnInfo, load *payload) string {
	if res.ProtoMajor != 1 {
		return ""
	}
	unread := !load.sent() || early(conn.Conn)
	if unread && (conn.Reused || res.StatusCode < 300) {
		return "came before the request was written"
	}
	if conn.Reused && res.Close && res.StatusCode >= 300 {
		return "came as the other side closed a connection that had been idle"
	}
	return ""
}

// explain is the text of an error of the transport, with what to do about it.
func explain(err error) string {
	if distrust := (*tls.CertificateVerificationError)(nil); errors.As(err, &distrust) {
		return err.Error() + "; if it is the right one, name the CA that signed it in the connector's settings"
	}
	return err.Error()
}

// read reads the response's body, keeps what fits and closes it. The error says
// that it did not come to its end.
func (p *poster) read(res *http.Response) (kept []byte, err error) {
	defer res.Body.Close()
	if res.StatusCode < 200 {
		// After 101 the body is the bare connection and may never end.
		return nil, nil
	}
	kept, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err == nil {
		if _, err = io.CopyN(io.Discard, res.Body, drainBytes); errors.Is(err, io.EOF) {
			err = nil
		}
	}
	return kept, err
}

// clean makes text fit to be kept and shown: valid UTF-8, trimmed, no longer
// than maxAnswer, without the write key.
func (p *poster) clean(text string) string {
	text = strings.TrimSpace(strings.ToValidUTF8(text, "\uFFFD"))
	if len(p.secret) > 3 { // a shorter one is no secret, and would be replaced in too many places
		text = strings.ReplaceAll(text, p.secret, "[write key]")
	}
	if len(text) > maxAnswer {
		text = strings.ToValidUTF8(text[:maxAnswer], "")
	}
	return text
}

// describe says in a line what went wrong, for State.LastError and the log.
func (a response) describe() string {
	words, _, _ := strings.Cut(a.words, "\n")
	if a.status == noAnswer {
		return words
	}
	const enough = 200 // a proxy's error page says no more in its first line
	if len(words) > enough {
		words = strings.ToValidUTF8(words[:enough], "") + "…"
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", a.status, words))
}

// payload is a request's body that can be taken back. A transport may go on
// reading a body after it has returned a response, while the buffer is filled
// for the next request; after withdraw it finds nothing.
type payload struct {
	mu    sync.Mutex
	bytes []byte
	ended bool // all of it was read
}

// sent reports whether the transport has read all of the body.
func (p *payload) sent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

var errWithdrawn = errors.New("body was withdrawn")

func (p *payload) withdraw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes = nil
}

func (p *payload) reader() io.ReadCloser { return &payloadReader{payload: p} }

type payloadReader struct {
	payload *payload
	offset  int
}

func (r *payloadReader) Read(dst []byte) (int, error) {
	r.payload.mu.Lock()
	defer r.payload.mu.Unlock()
	switch {
	case r.payload.bytes == nil:
		return 0, errWithdrawn
	case r.offset == len(r.payload.bytes):
		return 0, io.EOF
	}
	n := copy(dst, r.payload.bytes[r.offset:])
	r.offset += n
	r.payload.ended = r.offset == len(r.payload.bytes)
	return n, nil
}

func (r *payloadReader) Close() error { return nil }
