package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/klauspost/compress/gzip"
)

// feature is what RudderStack's /version lists where it takes compressed bodies.
const feature = "gzip-req-payload"

const (
	// compressFrom is the size from which a body is worth compressing: below it, it
	// fits a packet or two as it is.
	compressFrom = 1 << 10
	// gzipLevel makes a seventh of events of 1 KB, for 1.7 µs an event; the next
	// levels cost twice as much and more, for half a hundredth of the size.
	gzipLevel  = gzip.BestSpeed
	askEvery   = time.Hour   // how long the destination's answer holds
	askAgain   = time.Minute // where there was none
	askTimeout = 10 * time.Second
	mostMisses = 3
)

// compression decides whether bodies are compressed. Fresh requests are, while the
// destination does well and has said that it can, and until it shows otherwise.
//
// No event dies of compression: a compressed request that fails is sent again
// uncompressed before anything else is made of it, and an event alone is never
// compressed. A destination that said that it can, and then takes uncompressed
// what it refused compressed, a few times in a row, is not believed until it is
// asked again.
//
// Call its methods with the Sender's lock held.
type compression struct {
	on     bool // the destination has said that it can
	misses int  // requests refused compressed and accepted uncompressed, in a row
}

// accepted notes that a request was accepted, compressed, or uncompressed after it
// had failed compressed. It returns whether the destination is not believed any
// more from now on.
func (p *compression) accepted(compressed, failedCompressed bool) (ended bool) {
	switch {
	case compressed:
		p.misses = 0
	case failedCompressed:
		p.misses++
	}
	ended = p.on && p.misses >= mostMisses
	p.on = p.on && !ended
	return ended
}

// askHourly asks the destination whether it takes compressed bodies, until ctx ends.
// Requests go on meanwhile, as they are.
func (s *Sender) askHourly(ctx context.Context) error {
	for {
		wait := askEvery
		why, answered := s.poster.ask(ctx)
		if !answered {
			wait = askAgain
		}
		if ctx.Err() == nil {
			s.mu.Lock()
			before := s.compression.on
			s.compression = compression{on: why == ""}
			s.mu.Unlock()
			if before != (why == "") {
				s.gzipChanged(why == "", why)
			}
		}
		if !sleep(ctx, wait) {
			return nil
		}
	}
}

func (s *Sender) gzipChanged(on bool, why string) {
	if on {
		s.log.Info("bodies are compressed from now on")
		s.config.Metrics.compressing.Set(1)
	} else {
		s.log.Info("bodies are not compressed any more", "why", why)
		s.config.Metrics.compressing.Set(0)
	}
}

// maxVersion bounds what is read of an answer, in bytes. RudderStack's is short.
const maxVersion = 64 << 10

// ask asks the destination whether it takes compressed bodies. It returns why not, or
// nothing, and whether there was an answer at all. What goes wrong here says nothing
// about the destination: it may be a proxy that lets only POST through.
func (p *poster) ask(ctx context.Context) (why string, answered bool) {
	call, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	res, err := p.connections.get(false).RoundTrip(p.version.Clone(call))
	if err != nil {
		return p.clean("/version gave no answer: " + err.Error()), false
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Sprintf("/version answered %d", res.StatusCode), true
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxVersion))
	var version struct{ Features []string }
	if err != nil || json.Unmarshal(body, &version) != nil {
		return "/version's answer cannot be read", true
	}
	if !slices.Contains(version.Features, feature) {
		return "/version does not list " + feature, true
	}
	return "", true
}

// compressor compresses bodies. Its buffers are used again and again.
type compressor struct {
	gzip       *gzip.Writer
	compressed bytes.Buffer
}

// compress returns the body compressed, or nil where that does not make it smaller. It
// is valid until the next call.
func (p *compressor) compress(body []byte) []byte {
	if len(body) < compressFrom {
		return nil
	}
	p.compressed.Reset()
	if p.gzip == nil {
		// The level is a valid one.
		p.gzip, _ = gzip.NewWriterLevel(&p.compressed, gzipLevel)
	} else {
		p.gzip.Reset(&p.compressed)
	}
	// Writing to memory does not fail.
	_, _ = p.gzip.Write(body)
	_ = p.gzip.Close()
	if p.compressed.Len() >= len(body) {
		return nil
	}
	return p.compressed.Bytes()
}
