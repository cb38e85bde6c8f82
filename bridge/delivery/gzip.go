package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
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
	// levels cost twice as much and more, for half a hundredth of the size. See
	// BenchmarkGzip.
	gzipLevel = gzip.BestSpeed
	// askEvery is about how long the destination's word holds; it is drawn from
	// a tenth less to a tenth more, so that connectors do not ask together.
	askEvery = time.Hour
	// askAgain is the least time between two questions, however often the
	// destination comes back from trouble.
	askAgain   = 10 * time.Second
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
type compression struct {
	mu      sync.Mutex
	never   bool      // by configuration
	on      bool      // the destination has said that it can
	asking  bool      // its answer is awaited
	asked   time.Time // last
	due     time.Time // of the next question
	doubts  uint64    // what was asked before a doubt says nothing
	misses  int       // requests refused compressed and accepted uncompressed, in a row
	random  func() float64
	changed func(on bool, why string) // called with mu held
}

// begin starts anew, with nothing known.
func (p *compression) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doubts++
	p.asking, p.asked, p.due = false, time.Time{}, time.Time{}
	p.set(false, "the destination was not asked yet")
}

// wanted tells whether a request to a destination that does well may be compressed,
// and whether it is time to ask; whoever gets true asks, and calls answered with
// the same number.
func (p *compression) wanted(now time.Time) (on, ask bool, number uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.never {
		return false, false, 0
	}
	if !p.asking && !now.Before(p.due) {
		p.asking, p.asked, ask = true, now, true
	}
	return p.on, ask, p.doubts
}

// answered takes in the destination's word; why it cannot is empty where it can.
func (p *compression) answered(number uint64, why string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if number != p.doubts {
		return
	}
	p.asking = false
	p.due = now.Add(time.Duration((0.9 + 0.2*p.random()) * float64(askEvery)))
	p.misses = 0
	p.set(why == "", why)
}

// doubt ends compression after trouble, until the destination has been asked again:
// another version may come back.
func (p *compression) doubt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doubts++
	p.asking, p.due = false, p.asked
	if !p.asked.IsZero() {
		p.due = p.asked.Add(askAgain)
	}
	p.set(false, "the destination was in trouble")
}

// took notes that a compressed request was accepted.
func (p *compression) took() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.misses = 0
}

// missed notes that a request was accepted uncompressed that had failed compressed.
func (p *compression) missed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.misses++
	if p.misses >= mostMisses {
		p.set(false, "the destination refused compressed what it took uncompressed")
	}
}

func (p *compression) set(on bool, why string) {
	if on != p.on {
		p.on = on
		p.changed(on, why)
	}
}

// version is the part of RudderStack's answer that matters here.
type version struct{ Features []string }

// maxVersion bounds what is read of an answer, in bytes. RudderStack's is short.
const maxVersion = 64 << 10

// ask asks the destination whether it takes compressed bodies. It returns why not,
// or nothing. What goes wrong here says nothing about the destination: it may
// be a proxy that lets only POST through.
func (p *poster) ask(ctx context.Context) string {
	call, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	transport, done := p.connections.Get(false)
	defer done()
	res, err := transport.RoundTrip(p.version.Clone(call))
	if err != nil {
		return p.clean("/version gave no answer: " + err.Error())
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Sprintf("/version answered %d", res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxVersion))
	var v version
	if err != nil || json.Unmarshal(body, &v) != nil {
		return "/version's answer cannot be read"
	}
	if !slices.Contains(v.Features, feature) {
		return "/version does not list " + feature
	}
	return ""
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

// drop releases a buffer that is larger than limit.
func (p *compressor) drop(limit int) {
	if p.compressed.Cap() > limit {
		p.compressed = bytes.Buffer{}
	}
}
