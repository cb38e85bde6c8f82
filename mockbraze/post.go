package mockbraze

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Answer is what came back for one request.
type Answer struct {
	At     time.Time     `json:"at"`
	Took   time.Duration `json:"took_ns"`
	Type   string        `json:"event_type"` // empty for a probe
	Events int           `json:"events"`     // how many the request carried
	Status int           `json:"status"`     // 0 where there was no answer
	// Body is how the answer begins, at most 200 bytes. Where it repeats the
	// token or a secret of the URL, these are masked.
	Body  string `json:"body,omitempty"`
	Error string `json:"error,omitempty"` // why there was no answer
}

// verdict is what Braze makes of an answer.
type verdict uint8

const (
	accepted verdict = iota // never sent again
	isolate                 // send each event alone; one that is alone is given up
	halve                   // send smaller batches
	hold                    // wait until somebody mends it
	again                   // wait and send the same again
)

// judge is Braze's table of answers. Redirects are not followed and count as
// any other status.
func judge(a Answer) verdict {
	switch {
	case a.Status >= 200 && a.Status <= 299:
		return accepted
	case a.Status == http.StatusBadRequest:
		return isolate
	case a.Status == http.StatusRequestEntityTooLarge:
		return halve
	case a.denies():
		return hold
	default:
		return again
	}
}

// Verdict is what an answer to a probe says about the credentials.
type Verdict string

// The verdicts.
const (
	// Good credentials: the answer was 2XX, or RudderStack's 400.
	Good Verdict = "good"
	// Denied credentials: 401, 403 or 404. A launch fails.
	Denied Verdict = "denied"
	// Unsure: any other answer, or none. A launch goes through, and batches are
	// tried until they are taken.
	Unsure Verdict = "unsure"
)

// Verdict says what an answer to the probe of a Current of a kind means.
// RudderStack answers 400 to a request without events.
func (a Answer) Verdict(kind Kind) Verdict {
	switch {
	case a.denies():
		return Denied
	case judge(a) == accepted, kind == RudderStack && a.Status == http.StatusBadRequest:
		return Good
	default:
		return Unsure
	}
}

// denies says that the credentials or the endpoint are wrong.
func (a Answer) denies() bool {
	return a.Status == http.StatusUnauthorized || a.Status == http.StatusForbidden || a.Status == http.StatusNotFound
}

// wait is how long a batch waits after its n-th failed attempt.
func (b Backoff) wait(attempt int, random *rand.Rand) time.Duration {
	full := b.First
	for i := 1; i < attempt && full < b.Max; i++ {
		full *= 2
	}
	full = min(full, b.Max)
	return full/2 + time.Duration(random.Int64N(int64(full/2)+1))
}

const (
	bodyOpen  = `{"events":[`
	bodyClose = `]}`
	// snippet is how much of an answer's body is kept for the report.
	snippet = 200
	// drain is how much more of it is read so that the connection can be used
	// again.
	drain = 256 << 10
)

// post sends one request of events. It returns once the answer is there, the
// time is over or ctx has ended.
func (c *Connector) post(ctx context.Context, typ string, events []Event) Answer {
	parts, size := bodyParts(events)
	return c.exchange(ctx, Answer{Type: typ, Events: len(events)}, parts, size)
}

// probe asks whether the credentials are good, with no events.
func (c *Connector) probe(ctx context.Context) Answer {
	if c.spec.EmptyProbe {
		return c.exchange(ctx, Answer{}, nil, 0)
	}
	return c.post(ctx, "", nil)
}

// exchange posts a body and completes the answer, which never holds the token
// or a secret of the URL.
func (c *Connector) exchange(ctx context.Context, a Answer, parts [][]byte, size int64) Answer {
	clock := c.server.clock
	a.At = clock.Now()
	target, token := c.credentials()
	ctx, cancel := context.WithTimeout(ctx, c.spec.Timeout)
	defer cancel()
	req, err := newRequest(ctx, target, token, parts, size)
	if err == nil {
		err = c.roundTrip(req, &a)
	}
	if err != nil {
		var withURL *url.Error // it repeats the whole URL
		if errors.As(err, &withURL) {
			err = withURL.Err
		}
		a.Status, a.Error = 0, maskIn(err.Error(), target, token)
	}
	a.Body = maskIn(a.Body, target, token)
	a.Took = clock.Now().Sub(a.At)
	return a
}

func (c *Connector) roundTrip(req *http.Request, a *Answer) error {
	res, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	a.Status = res.StatusCode
	text, err := io.ReadAll(io.LimitReader(res.Body, snippet))
	if err != nil {
		// The status came, but the answer broke off: nobody can rely on it.
		return fmt.Errorf("read the answer: %w", err)
	}
	a.Body = strings.ToValidUTF8(string(text), "\uFFFD")
	if _, err = io.CopyN(io.Discard, res.Body, drain); err != nil && err != io.EOF {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}

// newRequest makes a request as the Custom HTTP connector does.
func newRequest(ctx context.Context, target, token string, parts [][]byte, size int64) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Braze-Currents-Version", "1")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if size == 0 {
		return req, nil
	}
	req.ContentLength = size
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(&bodyReader{parts: parts}), nil }
	req.Body, _ = req.GetBody()
	return req, nil
}

// bodyParts lists the pieces of {"events":[…]} without copying the events.
func bodyParts(events []Event) (parts [][]byte, size int64) {
	parts = make([][]byte, 0, 2*len(events)+2)
	parts = append(parts, []byte(bodyOpen))
	comma := []byte{','}
	for i := range events {
		if i > 0 {
			parts = append(parts, comma)
		}
		parts = append(parts, events[i].Raw)
	}
	parts = append(parts, []byte(bodyClose))
	for _, p := range parts {
		size += int64(len(p))
	}
	return parts, size
}

// AppendBody appends the request body that carries events: {"events":[…]}.
func AppendBody(dst []byte, events []Event) []byte {
	parts, _ := bodyParts(events)
	return append(dst, bytes.Join(parts, nil)...)
}

// bodyReader reads pieces one after the other.
type bodyReader struct {
	parts [][]byte
	off   int // in the first of parts
}

// Read implements io.Reader. It fills p as far as it can, so that a request
// leaves in few large writes.
func (r *bodyReader) Read(p []byte) (n int, err error) {
	for n < len(p) && len(r.parts) > 0 {
		m := copy(p[n:], r.parts[0][r.off:])
		n += m
		r.off += m
		if r.off == len(r.parts[0]) {
			r.parts, r.off = r.parts[1:], 0
		}
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}
