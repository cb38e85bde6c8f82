package delivery

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// answerTime is how long the rest of an answer may take once its status has
// come. The status decides; the words only help whoever reads them.
const answerTime = 5 * time.Second

// drainBytes is how much of an answer is read, beyond what is kept, so that its
// connection can be used again. RudderStack's answers are one line.
const drainBytes = 64 << 10

var errTimeout = errors.New("time-out")

// answer is what came of one POST.
type answer struct {
	status       int    // noAnswer: none came
	words        string // RudderStack's, or why there is none
	retryAfter   time.Duration
	began, ended time.Time
	bytes        int  // of the body that was sent
	packed       bool // it was
	cut          bool // cut off by ctx before an answer came: nothing is known
}

// poster makes POSTs to one destination.
type poster struct {
	transport http.RoundTripper
	request   *http.Request // what every POST is cloned from
	version   *http.Request // likewise, of the question what the destination can
	secret    string        // never shown
	timeout   time.Duration
	maxAnswer int
}

// post sends body, which is packed with gzip or not, and waits for the answer.
// The body is not read any more once it has returned.
func (p *poster) post(ctx context.Context, body []byte, packed bool) answer {
	a := answer{began: time.Now(), bytes: len(body), packed: packed}
	call, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(p.timeout, func() { cancel(errTimeout) })
	defer timer.Stop()

	load := &payload{bytes: body}
	defer load.withdraw()
	req := p.request.Clone(call)
	req.ContentLength = int64(len(body))
	req.Body = load.reader()
	if packed {
		req.Header.Set("Content-Encoding", "gzip")
	}
	// With it the transport may send again on a new connection what an idle
	// one that the other side had closed took nothing of.
	req.GetBody = func() (io.ReadCloser, error) { return load.reader(), nil }

	// Not http.Client: it follows redirects, and its errors show the URL, write key and all.
	res, err := p.transport.RoundTrip(req)
	if err != nil {
		a.ended = time.Now()
		a.cut = ctx.Err() != nil
		if context.Cause(call) == errTimeout {
			a.words = fmt.Sprintf("no answer within %s", p.timeout)
		} else {
			a.words = p.clean("no answer: " + explain(err))
		}
		return a
	}
	a.status = res.StatusCode
	timer.Reset(min(answerTime, time.Until(a.began.Add(p.timeout))))
	a.words = p.clean(p.read(res))
	a.ended = time.Now()
	a.retryAfter = retryAfter(res.Header, a.ended)
	return a
}

// explain puts an error of the transport in words that say what to do.
func explain(err error) string {
	if distrust := (*tls.CertificateVerificationError)(nil); errors.As(err, &distrust) {
		return err.Error() + "; if it is the right one, name the CA that signed it in the connector's settings"
	}
	return err.Error()
}

// read takes in the answer's body, keeps what fits and closes it.
func (p *poster) read(res *http.Response) string {
	defer res.Body.Close()
	if res.StatusCode < 200 {
		// After 101 the body is the bare connection and may never end.
		return ""
	}
	// What went wrong while reading does not matter: the status has come.
	kept, _ := io.ReadAll(io.LimitReader(res.Body, int64(p.maxAnswer)))
	_, _ = io.CopyN(io.Discard, res.Body, drainBytes)
	return string(kept)
}

// clean makes text fit to be kept and shown: valid UTF-8, trimmed, no longer
// than maxAnswer, without the write key.
func (p *poster) clean(text string) string {
	text = strings.TrimSpace(strings.ToValidUTF8(text, "\uFFFD"))
	if len(p.secret) > 3 { // a shorter one is no secret, and would riddle the text
		text = strings.ReplaceAll(text, p.secret, "[write key]")
	}
	if len(text) > p.maxAnswer {
		text = strings.ToValidUTF8(text[:p.maxAnswer], "")
	}
	return text
}

// describe says in a line what went wrong, for State.LastError and the log.
func (a answer) describe() string {
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
// reading a body after it has returned an answer, while the buffer is filled
// anew for the next POST; after withdraw it finds nothing.
type payload struct {
	mu    sync.Mutex
	bytes []byte
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
	return n, nil
}

func (r *payloadReader) Close() error { return nil }
