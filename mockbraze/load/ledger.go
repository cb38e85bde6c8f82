package load

import (
	"sync"
	"time"
)

// tick is how exactly the ledger keeps instants. In 32 bits it reaches over 119
// hours, which is longer than a run can be.
const tick = 100 * time.Microsecond

// chunk is how many entries the ledger's lists grow by.
const chunk = 1 << 16

// list is a list that grows without copying.
type list[T any] struct{ chunks [][]T }

func (l *list[T]) at(i uint64) *T {
	for uint64(len(l.chunks)) <= i/chunk {
		l.chunks = append(l.chunks, make([]T, chunk))
	}
	return &l.chunks[i/chunk][i%chunk]
}

// ledger keeps what was acknowledged and what arrived: four bytes for an event
// and twelve for a batch. An id is found by its number, which is worked out from
// the id itself.
type ledger struct {
	ids  numbering
	size uint64 // events a batch

	mu         sync.Mutex
	issued     uint64       // events: the numbers below may have arrived
	seen       list[uint32] // by event: when it arrived, 0 where it did not
	sent       list[sentBatch]
	acked      uint64 // events
	dead       uint64 // events, of acked
	missing    uint64 // events that were acknowledged, are not dead and have not arrived
	duplicated uint64 // arrivals beyond the first
	foreign    uint64 // arrivals that are not of this run
	arrived    uint64 // events
}

// sentBatch is a batch; start and acked are 0 where it did not. dead is how many
// of its events went to the dead letters, as its answer said.
type sentBatch struct {
	start, acked       uint32
	events, seen, dead uint8
}

// missing is how many of the batch's events should have arrived and have not.
func (b *sentBatch) missing() uint64 {
	if b.acked == 0 {
		return 0
	}
	return uint64(max(0, int(b.events)-int(b.seen)-int(b.dead)))
}

// stamp makes an instant of the run fit; it is never 0.
func stamp(at time.Duration) uint32 { return uint32(max(at, 0)/tick) + 1 }

func instant(stamp uint32) time.Duration { return time.Duration(stamp-1) * tick }

// issue books that a batch is on its way, so that its events may arrive.
func (l *ledger) issue(n uint64, b *batch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*l.sent.at(n) = sentBatch{start: stamp(b.start), events: uint8(b.events)}
	l.issued = max(l.issued, n*l.size+uint64(b.events))
}

// answered books that a batch was acknowledged.
func (l *ledger) answered(n uint64, b *batch) {
	if b.status < 200 || b.status > 299 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	sent := l.sent.at(n)
	sent.acked, sent.dead = stamp(b.done), uint8(b.dead)
	l.acked += uint64(b.events)
	l.dead += uint64(b.dead)
	l.missing += sent.missing()
}

// arrive books that a message with this id arrived.
func (l *ledger) arrive(id []byte, at time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, ours := l.ids.numberOf(id, l.issued)
	if !ours {
		l.foreign++
		return
	}
	seen := l.seen.at(n)
	if *seen != 0 {
		l.duplicated++
		return
	}
	*seen = stamp(at)
	l.arrived++
	sent := l.sent.at(n / l.size)
	before := sent.missing()
	sent.seen++
	l.missing -= before - sent.missing()
}

func (l *ledger) lost() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.missing
}

// journeys hands over the instants of each batch with those at which its events
// arrived, of what was acknowledged and arrived.
func (l *ledger) journeys(visit func(first uint64, start, acked, arrived time.Duration)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for n := range l.issued/l.size + 1 {
		b := *l.sent.at(n)
		if b.acked == 0 {
			continue
		}
		for i := range uint64(b.events) {
			if seen := *l.seen.at(n*l.size + i); seen != 0 {
				visit(n*l.size, instant(b.start), instant(b.acked), instant(seen))
			}
		}
	}
}
