package mockrudder

import (
	"compress/gzip"
	"errors"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"
)

// maxRead is where reading a body ends, whatever comes: RudderStack reads it
// all before it measures it, which a fake in a test should not.
const maxRead = 64 << 20

var errTooLong = errors.New("body longer than this server reads")

// intake reads a body of the HTTP API and holds it against the rate limit.
func (s *Server) intake(r *http.Request) (body string, no refusal, ok bool) {
	body, err := readAll(unpacked(r), r.ContentLength)
	switch {
	case errors.Is(err, errTooLong):
		return "", tooLarge, false
	case err != nil:
		return "", brokenBody, false
	case !s.limiter.allow(time.Now()):
		return "", tooMany, false
	}
	return body, refusal{}, true
}

// unpacked undoes gzip, where the header says so in exactly that spelling. A
// broken stream fails at the first read.
func unpacked(r *http.Request) io.Reader {
	if r.Header.Get("Content-Encoding") != "gzip" {
		return r.Body
	}
	return &gzipReader{packed: r.Body}
}

type gzipReader struct {
	packed io.Reader
	reader *gzip.Reader
}

func (g *gzipReader) Read(p []byte) (int, error) {
	if g.reader == nil {
		reader, err := gzip.NewReader(g.packed)
		if err != nil {
			return 0, err
		}
		g.reader = reader
	}
	return g.reader.Read(p)
}

// readAll reads to the end, or fails with errTooLong. length is how much to
// expect, if known.
func readAll(r io.Reader, length int64) (string, error) {
	var text strings.Builder
	if length > 0 && length < maxRead {
		text.Grow(int(length))
	}
	n, err := io.Copy(&text, io.LimitReader(r, maxRead+1))
	switch {
	case err != nil:
		return "", err
	case n > maxRead:
		return "", errTooLong
	}
	return text.String(), nil
}

// limiter is a bucket of requests that fills at a steady rate and holds one
// second's worth, at least one.
type limiter struct {
	rate float64 // requests a second; 0 is no limit

	mu    sync.Mutex
	level float64
	last  time.Time
}

func newLimiter(rate float64, now time.Time) *limiter {
	return &limiter{rate: rate, level: math.Max(rate, 1), last: now}
}

func (l *limiter) allow(now time.Time) bool {
	if l.rate == 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.level = math.Min(l.level+now.Sub(l.last).Seconds()*l.rate, math.Max(l.rate, 1))
	l.last = now
	if l.level < 1 {
		return false
	}
	l.level--
	return true
}
