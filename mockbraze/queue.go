package mockbraze

import (
	"container/heap"
	"time"
)

// queue holds the events of one type that are in no batch yet.
type queue struct {
	events []Event
	notes  []note
}

// note is what a Current remembers of an event.
type note struct {
	queued time.Time
	ticket *ticket // nil where nobody waits for it
}

func (q *queue) add(e Event, n note) {
	q.events, q.notes = append(q.events, e), append(q.notes, n)
}

// batch is what one request carries. Its events stay the same and in order, so
// that a batch whose answer was lost is sent again byte for byte.
type batch struct {
	typ      string
	events   []Event
	notes    []note
	attempts int
	due      time.Time
	number   uint64 // keeps batches that are due in order
	launch   uint64 // which launch of the Current it was last sent under
}

func (b *batch) add(e Event, n note) {
	b.events, b.notes = append(b.events, e), append(b.notes, n)
}

// take cuts up to n events off the queue.
func (q *queue) take(n int) *batch {
	n = min(n, len(q.events))
	b := &batch{typ: q.events[0].Type, events: q.events[:n:n], notes: q.notes[:n:n]}
	q.events, q.notes = q.events[n:], q.notes[n:]
	return b
}

// split cuts a batch into parts of at most n events, which start anew.
func (b *batch) split(n int) []*batch {
	var parts []*batch
	for from := 0; from < len(b.events); from += n {
		to := min(from+n, len(b.events))
		parts = append(parts, &batch{typ: b.typ, events: b.events[from:to:to], notes: b.notes[from:to:to]})
	}
	return parts
}

// agenda holds the batches that wait to be sent, the next one first.
type agenda []*batch

func (a agenda) Len() int { return len(a) }

func (a agenda) Less(i, j int) bool {
	if !a[i].due.Equal(a[j].due) {
		return a[i].due.Before(a[j].due)
	}
	return a[i].number < a[j].number
}

func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }

// Push implements heap.Interface.
func (a *agenda) Push(x any) {
	if b, ok := x.(*batch); ok {
		*a = append(*a, b)
	}
}

// Pop implements heap.Interface.
func (a *agenda) Pop() any {
	last := len(*a) - 1
	b := (*a)[last]
	(*a)[last] = nil
	*a = (*a)[:last]
	return b
}

// reorder restores the order after batches became due at another time.
func (a *agenda) reorder() { heap.Init(a) }

func (a *agenda) put(b *batch) { heap.Push(a, b) }

func (a *agenda) next() *batch {
	b, _ := heap.Pop(a).(*batch)
	return b
}
