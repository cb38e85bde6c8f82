package mockrudder

import (
	"context"
	"sync"
)

// store keeps the newest messages and counts all of them. Its memory is
// bounded by a number of messages and by their bytes.
type store struct {
	keep      int
	keepBytes int

	mu      sync.Mutex
	ring    []Event // a circle: the oldest at head
	head, n int
	bytes   int
	last    uint64 // sequence number of the newest message; never goes back
	resets  int
	tally   tally
	changed chan struct{} // closed on the next change; nil while nobody waits
}

func newStore(keep, keepBytes int) *store {
	return &store{keep: keep, keepBytes: keepBytes, tally: newTally()}
}

// add stores messages in order and wakes those who wait.
func (s *store) add(events []Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range events {
		s.last++
		events[i].seq = s.last
		s.push(events[i])
		s.tally.count(&events[i])
	}
	s.wake()
}

// answered counts an answer to a request that carried this source's key, or ""
// for no good key. Status 0 is a connection closed without one.
func (s *store) answered(source string, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tally.requests[requestKey{source, status}]++
}

func (s *store) wake() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

func (s *store) push(e Event) {
	if s.n == s.keep {
		s.drop()
	}
	if s.n == len(s.ring) {
		grown := make([]Event, min(max(2*s.n, 64), s.keep))
		for i := range s.n {
			grown[i] = *s.at(i)
		}
		s.ring, s.head = grown, 0
	}
	s.n++
	*s.at(s.n - 1) = e
	for s.bytes += e.size(); s.bytes > s.keepBytes && s.n > 1; {
		s.drop()
	}
}

// drop gives up the oldest message.
func (s *store) drop() {
	oldest := s.at(0)
	s.bytes -= oldest.size()
	*oldest = Event{}
	s.head = (s.head + 1) % len(s.ring)
	s.n--
}

// at returns the i-th of the messages kept, the oldest first.
func (s *store) at(i int) *Event { return &s.ring[(s.head+i)%len(s.ring)] }

// from returns the place of the oldest message kept that is newer than after.
func (s *store) from(after uint64) int {
	if s.n == 0 || after < s.at(0).seq {
		return 0
	}
	return int(min(after-s.at(0).seq+1, uint64(s.n)))
}

// find returns up to limit messages that match and are newer than after, the
// oldest first.
func (s *store) find(f Filter, after uint64, limit int) []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []Event
	for i := s.from(after); i < s.n && len(found) < limit; i++ {
		if e := s.at(i); f.matches(e) {
			found = append(found, *e)
		}
	}
	return found
}

// total returns how many messages matched since the last reset: all that were
// stored, unless the filter asks by user or message id; then those still kept.
func (s *store) total(f Filter) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.totalLocked(f)
}

func (s *store) totalLocked(f Filter) uint64 {
	if total, ok := s.tally.total(f); ok {
		return total
	}
	return s.countLocked(f, 0)
}

func (s *store) countLocked(f Filter, after uint64) uint64 {
	var total uint64
	for i := s.from(after); i < s.n; i++ {
		if f.matches(s.at(i)) {
			total++
		}
	}
	return total
}

// wait returns once n messages that match and are newer than after have come,
// or with the context's error. With after 0 all since the last reset count.
// seen is how many there are.
func (s *store) wait(ctx context.Context, f Filter, after uint64, n int) (seen uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fromStart := after == 0
	for resets := s.resets; ; {
		if resets != s.resets {
			resets, seen = s.resets, 0
		}
		total, exact := s.tally.total(f)
		if fromStart && exact {
			seen = total
		} else { // only what is new since the last look
			seen += s.countLocked(f, after)
			after = max(after, s.last)
		}
		if seen >= uint64(max(n, 0)) {
			return seen, nil
		}
		if err := ctx.Err(); err != nil {
			return seen, err
		}
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		s.mu.Lock()
	}
}

// reset forgets all messages and counts. Sequence numbers go on, so that a
// cursor from before stays good.
func (s *store) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ring, s.head, s.n, s.bytes = nil, 0, 0, 0
	s.tally = newTally()
	s.resets++
	s.wake()
}

// size is what a message costs to keep, near enough.
func (e *Event) size() int {
	const fixed = 320 // the struct itself and what hangs on it
	return e.share + len(e.finished) + fixed
}
