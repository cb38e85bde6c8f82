package gateway

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// MaxRead is how much of an uncompressed body is read at most. RudderStack reads all
// of it before it checks the size, and what it checks before that is checked here in
// bodies up to MaxRead.
const MaxRead = 2 * MaxRequestBytes

// Uncompressed reads the body, uncompressed if Content-Encoding is exactly gzip. The
// error of a malformed stream comes with the first Read. An empty body is empty,
// gzip or not.
func Uncompressed(r *http.Request) io.ReadCloser {
	if r.Header.Get("Content-Encoding") != "gzip" {
		return r.Body
	}
	return &gzipReader{ReadCloser: r.Body}
}

type gzipReader struct {
	io.ReadCloser // compressed

	reader *gzip.Reader
}

func (g *gzipReader) Read(p []byte) (n int, err error) {
	if g.reader == nil {
		if g.reader, err = gzip.NewReader(g.ReadCloser); err != nil {
			g.reader = nil
			return 0, err
		}
	}
	return g.reader.Read(p)
}

// readAll reads to the end. length is the expected length, 0 or less if unknown.
func readAll(r io.Reader, length int64) (string, error) {
	var text strings.Builder
	if length > 0 && length <= MaxRead {
		text.Grow(int(length))
	}
	_, err := io.CopyBuffer(&text, r, make([]byte, 8<<10))
	return text.String(), err
}

// webhookBody reads the body of a webhook. RudderStack makes JSON of a form: an
// object of lists of strings.
func webhookBody(r *http.Request) (body string, no *Refusal) {
	r.Body = http.MaxBytesReader(nil, Uncompressed(r), MaxRequestBytes)
	kind := strings.ToLower(r.Header.Get("Content-Type"))
	var form any
	switch {
	case strings.Contains(kind, "application/x-www-form-urlencoded"):
		if err := r.ParseForm(); err != nil {
			return "", tooLong(err, BrokenForm)
		}
		if len(r.PostForm) > 0 {
			form = map[string][]string(r.PostForm)
		}
	case strings.Contains(kind, "multipart/form-data"):
		if err := r.ParseMultipartForm(MaxRequestBytes); err != nil {
			return "", tooLong(err, BrokenMultiform)
		}
		form = map[string]url.Values{"Value": r.MultipartForm.Value}
	default:
		var err error
		if body, err = readAll(r.Body, r.ContentLength); err != nil {
			return "", tooLong(err, &Refusal{Status: http.StatusInternalServerError, Text: "reading request body: " + err.Error()})
		}
	}
	if form != nil {
		text, _ := json.Marshal(form)
		body = string(text)
	}
	if body == "" {
		body = "{}"
	}
	return body, nil
}

// tooLong is TooLarge if the error says that the body is too long, else other.
func tooLong(err error, other *Refusal) *Refusal {
	if _, long := errors.AsType[*http.MaxBytesError](err); long {
		return TooLarge
	}
	return other
}

// NewLimiter is RudderStack's rate limiter: a token bucket of events that holds one
// more than a window. A request of more events never passes. 0 is no limit.
func NewLimiter(events float64, window time.Duration) *rate.Limiter {
	if events == 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Limit(events/window.Seconds()), int(events)+1)
}
