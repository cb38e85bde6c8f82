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
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/urlmask"
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
	// untrusted is whether that was because of TLS, such as a certificate of
	// nobody whom this machine trusts.
	untrusted bool
}

// accepted says that Braze never sends the events again.
func (a Answer) accepted() bool { return a.Status >= 200 && a.Status <= 299 }

// What an answer to a probe says about the credentials.
const (
	good   = "good"   // the answer was 2XX, or RudderStack's 400
	denied = "denied" // 401, 403 or 404, or a certificate that is not trusted: a launch fails
	unsure = "unsure" // any other answer, or none: batches are tried until they are taken
)

// ofProbe says what an answer to the probe of a Current of a kind means.
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
	size := len(bodyOpen) + len(bodyClose)
	for i := range events {
		size += len(events[i].Raw) + 1
	}
	return c.exchange(ctx, Answer{Type: typ, Events: len(events)}, appendBody(make([]byte, 0, size), events))
}

// probe asks whether the credentials are good, with no events.
func (c *Connector) probe(ctx context.Context) Answer {
	if c.spec.EmptyProbe {
		return c.exchange(ctx, Answer{}, nil)
	}
	return c.post(ctx, "", nil)
}

// exchange posts a body and completes the answer, which never holds the token
// or a secret of the URL.
func (c *Connector) exchange(ctx context.Context, a Answer, body []byte) Answer {
	clock := c.server.clock
	a.At = clock.Now()
	target, token := c.credentials()
	ctx, cancel := context.WithTimeout(ctx, c.spec.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err == nil {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Braze-Currents-Version", "1")
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		err = c.roundTrip(req, &a)
	}
	if err != nil {
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

// isTLS says whether an error is about TLS, so that no retry helps.
func isTLS(err error) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	return errors.As(err, &certificate) || errors.As(err, &record) || errors.As(err, &alert) || errors.Is(err, http.ErrSchemeMismatch)
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
	if _, err = io.CopyN(io.Discard, res.Body, drain); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}

// appendBody appends the request body that carries events: {"events":[…]}.
func appendBody(dst []byte, events []Event) []byte {
	dst = append(dst, bodyOpen...)
	for i := range events {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, events[i].Raw...)
	}
	return append(dst, bodyClose...)
}
