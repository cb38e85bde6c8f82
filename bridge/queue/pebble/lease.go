package pebble

import (
	"container/heap"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
)

// lease is a record that is handed out. Its memory is used again.
type lease struct {
	seq      uint64
	size     uint64 // of the record in the store
	received time.Time
	spans    []wire.Span
	body     []byte
	events   []queue.Event
	left     int         // events without an outcome; under mu
	settled  wire.Bitset // by Settle; changed under both locks
	missed   wire.Bitset // of settled: not delivered; empty where there are none
	done     bool        // counted as complete
	partial  bool        // settled is in the store, as the record is not done
}

func (s *Store) newLease() *lease {
	if l, ok := s.leases.Get().(*lease); ok {
		return l
	}
	return new(lease)
}

func (s *Store) freeLease(l *lease) {
	if cap(l.body) > maxBuffer {
		return
	}
	*l = lease{spans: l.spans[:0], body: l.body[:0], events: l.events[:0], settled: l.settled[:0], missed: l.missed[:0]}
	s.leases.Put(l)
}

// open says whether the event has no outcome yet.
func (l *lease) open(i int) bool {
	return l.spans[i].Fate == queue.Pending && !l.settled.Has(i)
}

// pending returns the number of events without an outcome and their bytes.
func (l *lease) pending() (events, bytes int) {
	for i, s := range l.spans {
		if l.open(i) {
			events++
			bytes += s.End - s.Start
		}
	}
	return events, bytes
}

// fill makes the events, once the body is there.
func (l *lease) fill() {
	l.events = l.events[:0]
	for i, s := range l.spans {
		if l.open(i) {
			l.events = append(l.events, queue.Event{Index: i, Raw: l.body[s.Start:s.End:s.End]})
		}
	}
}

// returned holds the records that came back with events that are open, the
// oldest first, with what is known of their size.
type returned []waiting

type waiting struct {
	seq           uint64
	events, bytes int // 0: not known
}

// Len, Less, Swap, Push and Pop are for container/heap.
func (r returned) Len() int           { return len(r) }
func (r returned) Less(i, j int) bool { return r[i].seq < r[j].seq }
func (r returned) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }
func (r *returned) Push(x any)        { *r = append(*r, x.(waiting)) }
func (r *returned) Pop() any {
	last := len(*r) - 1
	w := (*r)[last]
	*r = (*r)[:last]
	return w
}

func (r *returned) add(w waiting) { heap.Push(r, w) }

func (r *returned) take() waiting { return heap.Pop(r).(waiting) }
