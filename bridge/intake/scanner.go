package intake

import (
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
// that scanning takes. There is one for each processor, as scanning is all
// computation, and as many again for large bodies, behind which usual ones
// would have to wait.
type scanners struct{ small, large chan *scanner }

func newScanners(maxEvents int) scanners {
	n := runtime.GOMAXPROCS(0)
	s := scanners{make(chan *scanner, n), make(chan *scanner, n)}
	for _, lane := range []chan *scanner{s.small, s.large} {
		for range n {
			lane <- &scanner{batch: currents.Batch{Limit: maxEvents}, lane: lane}
		}
	}
	return s
}

// get waits for a scanner for a body of so many bytes.
func (s scanners) get(size int) *scanner {
	if size <= largestSmall {
		return <-s.small
	}
	return <-s.large
}

func (s scanners) put(used *scanner) {
	used.trim()
	used.lane <- used
}

// scanner is what scanning a body needs.
type scanner struct {
	batch currents.Batch
	id    []byte
	lane  chan *scanner
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
