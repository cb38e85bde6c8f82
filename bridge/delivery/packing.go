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

// feature is what RudderStack's /version lists where it takes packed bodies.
const feature = "gzip-req-payload"

const (
	// packFrom is the size from which a body is worth packing: below it, it
	// fits a packet or two as it is.
	packFrom = 1 << 10
	// packLevel makes a seventh of events of 1 KB, for 1.7 µs an event; the next
	// levels cost twice as much and more, for half a hundredth of the size. See
	// BenchmarkPacking.
	packLevel = gzip.BestSpeed
	// askEvery is about how long the destination's word holds; it is drawn from
	// a tenth less to a tenth more, so that connectors do not ask together.
	askEvery = time.Hour
	// askAgain is the least time between two questions, however often the
	// destination comes back from trouble.
	askAgain   = 10 * time.Second
	askTimeout = 10 * time.Second
)

// packing decides whether bodies are packed. They are while the destination
// does well and has said that it can, and until it shows otherwise.
//
// No event dies of packing: one that stands alone is never packed, so what
// kills it is an answer to the event as it is. When a packed POST is refused
// with 400, its halves go plain; if all of it is taken then, it was the packing.
// So isolating bad events takes no POST more than without packing. Only a
// destination that lied costs more: one POST for each POST that it answered 415
// or 500, two for 400, and no more than one of these from each worker.
type packing struct {
	mu      sync.Mutex
	never   bool      // by configuration
	on      bool      // the destination has said that it can
	asking  bool      // its answer is awaited
	asked   time.Time // last
	due     time.Time // of the next question
	doubts  uint64    // what was asked before a doubt says nothing
	random  func() float64
	changed func(on bool, why string) // called with mu held
}

// begin starts anew, with nothing known.
func (p *packing) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doubts++
	p.asking, p.asked, p.due = false, time.Time{}, time.Time{}
	p.set(false, "the destination was not asked yet")
}

// wanted tells whether a POST to a destination that does well may be packed,
// and whether it is time to ask; whoever is told so asks, and calls told with
// the same number.
func (p *packing) wanted(now time.Time) (on, ask bool, number uint64) {
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

// told takes in the destination's word; why it cannot is empty where it can.
func (p *packing) told(number uint64, why string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if number != p.doubts {
		return
	}
	p.asking = false
	p.due = now.Add(time.Duration((0.9 + 0.2*p.random()) * float64(askEvery)))
	p.set(why == "", why)
}

// doubt ends packing after trouble, until the destination has been asked again:
// another version may come back.
func (p *packing) doubt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doubts++
	p.asking, p.due = false, p.asked
	if !p.asked.IsZero() {
		p.due = p.asked.Add(askAgain)
	}
	p.set(false, "the destination was in trouble")
}

// mismatch ends packing until the next question: the destination says that it
// can, and cannot.
func (p *packing) mismatch() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.on {
		p.set(false, "the destination refused packed what it took plain")
	}
}

func (p *packing) set(on bool, why string) {
	if on != p.on {
		p.on = on
		p.changed(on, why)
	}
}

// version is the part of RudderStack's answer that matters here.
type version struct{ Features []string }

// maxVersion bounds what is read of an answer, in bytes. RudderStack's is short.
const maxVersion = 64 << 10

// ask asks the destination whether it takes packed bodies. It returns why not,
// or nothing. What goes wrong here says nothing about the destination: it may
// be a proxy that lets only POSTs through.
func (p *poster) ask(ctx context.Context) string {
	call, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	res, err := p.transport.RoundTrip(p.version.Clone(call))
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

// packer packs bodies. Its buffers are used again and again.
type packer struct {
	gzip   *gzip.Writer
	packed bytes.Buffer
}

// pack returns the body packed, or nil where that does not make it smaller. It
// is valid until the next call.
func (p *packer) pack(body []byte) []byte {
	if len(body) < packFrom {
		return nil
	}
	p.packed.Reset()
	if p.gzip == nil {
		// The level is a valid one.
		p.gzip, _ = gzip.NewWriterLevel(&p.packed, packLevel)
	} else {
		p.gzip.Reset(&p.packed)
	}
	// Writing to memory does not fail.
	_, _ = p.gzip.Write(body)
	_ = p.gzip.Close()
	if p.packed.Len() >= len(body) {
		return nil
	}
	return p.packed.Bytes()
}

// drop lets go of a buffer that is larger than limit.
func (p *packer) drop(limit int) {
	if p.packed.Cap() > limit {
		p.packed = bytes.Buffer{}
	}
}
