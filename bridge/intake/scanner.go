package intake

import (
	"errors"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// keptEvents is how many events' memory is kept for the next request. Braze
// sends 100 at most.
const keptEvents = 4096

// scanners bounds how many bodies are scanned at once, and with it the memory
// that scanning takes: there is one for each processor, as scanning is all
// computation. Odd bodies, large ones or those of very many events, have a few
// scanners of their own, so that usual ones do not wait behind them and the
// memory for all those events is bounded however many processors there are.
type scanners struct{ usual, odd lane }

// lane holds scanners that nobody uses.
type lane chan *scanner

// oddScanners is how many odd bodies are scanned at once, at most.
const oddScanners = 2

func newScanners(maxEvents int) scanners {
	fill := func(n, limit int) lane {
		l := make(lane, n)
		for range n {
			l <- &scanner{batch: currents.Batch{Limit: limit}}
		}
		return l
	}
	n := runtime.GOMAXPROCS(0)
	return scanners{usual: fill(n, min(maxEvents, keptEvents)), odd: fill(min(n, oddScanners), maxEvents)}
}

// scan scans a body and calls found with the scanner that holds its events,
// until found returns. The errors are those of currents.Batch.Scan.
func (s scanners) scan(body []byte, found func(*scanner)) error {
	if len(body) <= largestSmall {
		err := s.usual.scan(body, found)
		if !errors.Is(err, currents.ErrTooManyEvents) {
			return err
		}
	}
	return s.odd.scan(body, found)
}

func (l lane) scan(body []byte, found func(*scanner)) error {
	s := <-l
	defer func() {
		s.trim()
		l <- s
	}()
	if err := s.batch.Scan(body); err != nil {
		return err
	}
	found(s)
	return nil
}

// scanner is what scanning a body needs.
type scanner struct {
	batch currents.Batch
	id    []byte
}

// trim lets go of what an unusual body took.
func (s *scanner) trim() {
	if cap(s.batch.Events) > keptEvents {
		s.batch.Reset()
	}
	if cap(s.id) > keptEvents {
		s.id = nil
	}
}

// itemList is the events of one request on their way to the queue.
type itemList struct{ items []queue.Item }

// extra is the memory that the list takes beyond a usual one.
func (l *itemList) extra() int64 {
	return int64(max(0, cap(l.items)-keptEvents)) * int64(unsafe.Sizeof(queue.Item{}))
}

// items keeps lists for reuse.
type items struct{ pool sync.Pool }

func (p *items) get() *itemList {
	if kept, ok := p.pool.Get().(*itemList); ok {
		kept.items = kept.items[:0]
		return kept
	}
	return new(itemList)
}

func (p *items) put(l *itemList) {
	if cap(l.items) <= keptEvents {
		p.pool.Put(l)
	}
}

// throttle lets a line of the log through from time to time. The zero value is
// ready.
type throttle struct {
	mu     sync.Mutex
	next   time.Time
	unsaid int
}

// quiet is the time between two lines about the same thing.
const quiet = 10 * time.Second

// allow counts one occurrence and returns how many there were since the last
// line if it is time for the next one, else 0.
func (t *throttle) allow() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.unsaid++
	now := time.Now()
	if now.Before(t.next) {
		return 0
	}
	t.next = now.Add(quiet)
	n := t.unsaid
	t.unsaid = 0
	return n
}

// versions remembers which versions of Currents were met. The zero value is
// ready.
type versions struct {
	mu  sync.Mutex
	met map[string]bool
}

// What versions keeps, and says in the log, of what anyone may send.
const (
	maxVersions    = 16
	maxVersionName = 32
)

// note returns the name of a version, cut where it is long, and whether it is
// met for the first time. It knows no more than a few; of others beyond them it
// says nothing.
func (v *versions) note(version string) (name string, first bool) {
	name = version[:min(len(version), maxVersionName)]
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.met[name] || len(v.met) == maxVersions {
		return name, false
	}
	if v.met == nil {
		v.met = map[string]bool{}
	}
	v.met[name] = true
	return name, true
}
