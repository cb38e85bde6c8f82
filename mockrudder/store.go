package mockrudder

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// store keeps the newest messages, bounded by their number and their bytes, and
// counts all of them.
type store struct {
	keep      int
	keepBytes int

	mu      sync.Mutex
	events  []*Event // the oldest first; a stored event does not change
	bytes   int
	tally   tally
	rates   rates
	changed chan struct{} // closed on the next change; nil if nothing waits for it
	storeState
}

// storeState is where a store is.
type storeState struct {
	last    uint64 // sequence number of the newest message; a reset keeps it
	resets  int
	resetAt uint64 // last at the time of the last reset
	version uint64 // grows with every change, of counts too
}

func (s *store) state() storeState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.storeState
}

func newStore(keep, keepBytes int) *store {
	return &store{keep: keep, keepBytes: keepBytes, tally: newTally()}
}

// add stores messages in order.
func (s *store) add(events []Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range events {
		s.last++
		events[i].seq = s.last
		s.push(&events[i])
		s.tally.count(&events[i])
		s.rates.count(&events[i])
	}
	s.version++
	s.wake()
}

// answered counts a response to a request with the key of this source, "" for no
// valid key. Status 0 is a connection that was closed without a response.
func (s *store) answered(source string, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tally.requests[requestKey{source, status}]++
	s.rates.answered(time.Now(), status)
	s.version++
}

func (s *store) lastSeconds(now time.Time, n int) []second {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rates.last(now, n)
}

func (s *store) wake() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

func (s *store) push(e *Event) {
	s.events = append(s.events, e)
	for s.bytes += e.size(); len(s.events) > s.keep || s.bytes > s.keepBytes && len(s.events) > 1; {
		s.bytes -= s.events[0].size()
		s.events[0] = nil // the array may stay for a while
		s.events = s.events[1:]
	}
}

// from returns the index of the oldest kept message that is newer than after.
func (s *store) from(after uint64) int {
	n := len(s.events)
	if n == 0 || after < s.events[0].seq {
		return 0
	}
	return int(min(after-s.events[0].seq+1, uint64(n)))
}

// kept returns the kept messages that are newer than after and older than before,
// the oldest first. before 0 is no bound. A search reads them without the lock, so
// that it does not delay the storing of messages.
func (s *store) kept(after, before uint64) []*Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	low := s.from(after)
	return slices.Clone(s.events[low:max(low, s.from(before-1))])
}

// page returns the kept messages that a search asks for.
func (s *store) page(q search) (found []Event) {
	all, kept := q.filter.conditions(), s.kept(q.after, q.before)
	if q.newestFirst {
		slices.Reverse(kept)
	}
	for _, e := range kept {
		if len(found) >= q.limit {
			break
		}
		if all.match(e) {
			found = append(found, *e)
		}
	}
	return found
}

// get returns the message with this sequence number, if it is still kept.
func (s *store) get(seq uint64) (Event, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.from(seq - 1); seq > 0 && i < len(s.events) && s.events[i].seq == seq {
		return *s.events[i], true
	}
	return Event{}, false
}

// total counts the messages that match: all since the last reset if the tally
// counts them, else those still kept.
func (s *store) total(f Filter) uint64 {
	s.mu.Lock()
	total, ok := s.tally.total(f)
	s.mu.Unlock()
	if ok {
		return total
	}
	return s.count(f, 0, 0)
}

// count counts the kept messages that match, newer than after and older than
// before.
func (s *store) count(f Filter, after, before uint64) (n uint64) {
	all := f.conditions()
	for _, e := range s.kept(after, before) {
		if all.match(e) {
			n++
		}
	}
	return n
}

// wait returns once n messages that match and are newer than after are stored, or
// with the context's error. With after 0 all since the last reset count. seen is
// how many there are.
func (s *store) wait(ctx context.Context, f Filter, after uint64, n int) (seen uint64, err error) {
	fromStart, resets := after == 0, -1
	for {
		s.mu.Lock()
		if resets != s.resets {
			resets, seen = s.resets, 0
		}
		total, exact := s.tally.total(f)
		last := s.last
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		s.mu.Unlock()
		if fromStart && exact {
			seen = total
		} else { // only messages that are new since the last count
			seen += s.count(f, after, last+1)
			after = max(after, last)
		}
		if seen >= uint64(max(n, 0)) {
			return seen, nil
		}
		if err := ctx.Err(); err != nil {
			return seen, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// reset removes all messages and counts. Sequence numbers continue, so that older
// cursors stay valid.
func (s *store) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events, s.bytes = nil, 0
	s.tally, s.rates = newTally(), rates{}
	s.resets++
	s.resetAt = s.last
	s.version++
	s.wake()
}

// size is about how many bytes a kept message takes. Findings count: those of a
// message with many invalid fields are longer than the message.
func (e *Event) size() int {
	const fixed, finding = 320, 64 // the structs and their small parts
	n := e.share + len(e.made) + fixed
	for _, findings := range [][]Finding{e.Errors, e.Drift} {
		for i := range findings {
			n += finding + len(findings[i].Path) + len(findings[i].Detail)
		}
	}
	return n
}

// recorder writes every stored message as a line, unless its writer is nil.
type recorder struct {
	mu  sync.Mutex // also keeps the lines in the order of the store
	w   io.Writer
	buf []byte
	err error
}

// keep stores the messages of a request and writes them at once. After an error it writes
// nothing more, so that the recording has no gap.
func (r *recorder) keep(in *store, events []Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	in.add(events)
	if r.w == nil || r.err != nil {
		return
	}
	r.buf = r.buf[:0]
	for i := range events {
		r.buf = append(events[i].appendJSON(r.buf), '\n')
	}
	if _, err := r.w.Write(r.buf); err != nil {
		r.err = fmt.Errorf("mockrudder: recording ended: %w", err)
	}
	if cap(r.buf) > 1<<20 {
		r.buf = nil
	}
}
