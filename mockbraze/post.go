package mockbraze

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/urlmask"
)

// Answer is the response to one request.
type Answer struct {
	At     time.Time     `json:"at"`
	Took   time.Duration `json:"took_ns"`
	Type   string        `json:"event_type"` // empty for a probe
	Events int           `json:"events"`     // how many the request carried
	Status int           `json:"status"`     // 0 where there was no response
	// Body is how the response begins, at most 200 bytes. Where it repeats the
	// token or a secret of the URL, these are masked.
	Body  string `json:"body,omitempty"`
	Error string `json:"error,omitempty"` // why there was no response

	untrusted bool // that was because of TLS, such as an unknown certificate
}

// accepted says that Braze never sends the events again.
func (a Answer) accepted() bool { return a.Status >= 200 && a.Status <= 299 }

// What the response to a probe says about the credentials.
const (
	good   = "good"   // 2XX, or RudderStack's 400
	denied = "denied" // 401, 403 or 404, or TLS fails: a launch fails
	unsure = "unsure" // any other response, or none: batches are retried
)

// ofProbe says what the response to a probe means for a Current of a kind.
// RudderStack answers 400 to a request without events.
func (a Answer) ofProbe(kind Kind) string {
	switch {
	case a.denies(), a.untrusted:
		return denied
	case a.accepted(), kind == RudderStack && a.Status == http.StatusBadRequest:
		return good
	default:
		return unsure
	}
}

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

	snippet = 200       // how much of a response's body is kept for the report
	drain   = 256 << 10 // how much more of it is read, so that the connection is reused
)

func (c *Connector) post(ctx context.Context, typ string, events []Event) Answer {
	return c.exchange(ctx, Answer{Type: typ, Events: len(events)}, bodyOf(events))
}

// exchange posts a body and completes a. Tokens and secrets of the URL are masked
// in it.
func (c *Connector) exchange(ctx context.Context, a Answer, body []byte) Answer {
	clock := c.server.clock
	a.At = clock.Now()
	c.mu.Lock()
	target, token := c.url, c.token
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, c.spec.Timeout)
	defer cancel()
	if err := c.roundTrip(ctx, &a, target, token, body); err != nil {
		if withURL, ok := errors.AsType[*url.Error](err); ok {
			err = withURL.Err
		}
		a.untrusted = isTLS(err)
		a.Status, a.Error = 0, urlmask.In(err.Error(), target, token)
	}
	a.Body = urlmask.In(a.Body, target, token)
	a.Took = clock.Now().Sub(a.At)
	return a
}

// isTLS says whether an error is about TLS, so that a retry cannot help.
func isTLS(err error) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	return errors.As(err, &certificate) || errors.As(err, &record) || errors.As(err, &alert) || errors.Is(err, http.ErrSchemeMismatch)
}

func (c *Connector) roundTrip(ctx context.Context, a *Answer, target, token string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Braze-Currents-Version", "1")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, snippet))
	a.Status, a.Body = res.StatusCode, strings.ToValidUTF8(string(text), "\uFFFD")
	if err == nil {
		_, err = io.CopyN(io.Discard, res.Body, drain)
	}
	if err != nil && !errors.Is(err, io.EOF) { // then the status does not count
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}

func bodyOf(events []Event) []byte {
	texts := make([][]byte, len(events))
	for i := range events {
		texts[i] = events[i].Raw
	}
	return slices.Concat([]byte(bodyOpen), bytes.Join(texts, []byte{','}), []byte(bodyClose))
}
