package intake

import (
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// keptEvents is how many events' memory is kept for the next request. Braze
// sends 100 at most.
const keptEvents = 4096

// scanner is what scanning a body needs.
type scanner struct {
	batch currents.Batch
	id    []byte
}

func newScanner(maxEvents int) *scanner {
	return &scanner{batch: currents.Batch{Limit: maxEvents}}
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
	mu      sync.Mutex
	next    time.Time
	unsaid  int
	already atomic.Bool
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

// once is true the first time.
func (t *throttle) once() bool { return t.already.CompareAndSwap(false, true) }
