package intake

import (
	"slices"
	"sync"
	"time"
)

// pot is an amount of something, requests or bytes, that all connectors share.
// Half of it is divided evenly, and what is a connector's own no other can
// take: whatever one connector's senders or queue do, the others go on. The
// other half is for whoever comes first. One connector alone has all of it.
type pot struct {
	limit int64
	least int64 // of each connector's own, even where that makes more than limit

	mu      sync.Mutex
	shares  []*share
	common  int64 // may be taken by all together beyond what is their own
	beyond  int64 // is taken so
	waiting []*waiter
}

// share is what one connector has of a pot.
type share struct {
	pot  *pot
	own  int64
	used int64
}

// waiter is a request that waits for one piece of a share.
type waiter struct {
	share *share
	ready chan struct{} // closed once the piece is the waiter's
}

// add makes a share; it has nothing of its own until divide gives it some.
func (p *pot) add() *share {
	s := &share{pot: p}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shares = append(p.shares, s)
	return s
}

// divide gives each of the shares named an even part of its own. What is taken
// stays taken, and the others keep their own, to end what is under way: until
// then it may be more than limit.
func (p *pot) divide(among []*share) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := int64(len(among))
	own := p.limit
	if n > 1 {
		own = max(p.limit/2/n, p.least)
	}
	p.common = max(0, p.limit-n*own)
	p.beyond = 0
	for _, s := range p.shares {
		if slices.Contains(among, s) {
			s.own = own
		}
		p.beyond += s.over(0)
	}
	p.serve()
}

// over returns how much of the common half the share takes with n more.
func (s *share) over(n int64) int64 { return max(0, s.used+n-s.own) }

// take takes n if there is room, and does not wait.
func (s *share) take(n int64) bool {
	s.pot.mu.Lock()
	defer s.pot.mu.Unlock()
	return s.takeLocked(n)
}

func (s *share) takeLocked(n int64) bool {
	more := s.over(n) - s.over(0)
	if more > 0 && s.pot.beyond+more > s.pot.common {
		return false
	}
	s.pot.beyond += more
	s.used += n
	return true
}

// give returns n.
func (s *share) give(n int64) {
	s.pot.mu.Lock()
	defer s.pot.mu.Unlock()
	s.pot.beyond -= s.over(0) - s.over(-n)
	s.used -= n
	s.pot.serve()
}

// serve gives those who wait what there is, in the order they came; who waits
// for a share that has nothing does not hold up the others.
func (p *pot) serve() {
	p.waiting = slices.DeleteFunc(p.waiting, func(w *waiter) bool {
		if !w.share.takeLocked(1) {
			return false
		}
		close(w.ready)
		return true
	})
}

// wait takes one, and waits for it as long as patience; false: in vain.
func (s *share) wait(patience time.Duration) bool {
	w := s.line()
	if w == nil {
		return true
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-w.ready:
		return true
	case <-timer.C:
	}
	s.pot.mu.Lock()
	defer s.pot.mu.Unlock()
	at := slices.Index(s.pot.waiting, w)
	if at < 0 {
		return true // it came at the last moment
	}
	s.pot.waiting = slices.Delete(s.pot.waiting, at, at+1)
	return false
}

// line takes one and returns nil, or puts a waiter at the end of the line.
func (s *share) line() *waiter {
	p := s.pot
	p.mu.Lock()
	defer p.mu.Unlock()
	before := slices.ContainsFunc(p.waiting, func(w *waiter) bool { return w.share == s })
	if !before && s.takeLocked(1) {
		return nil
	}
	w := &waiter{share: s, ready: make(chan struct{})}
	p.waiting = append(p.waiting, w)
	return w
}

// taken returns how much all shares have taken together.
func (p *pot) taken() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	var n int64
	for _, s := range p.shares {
		n += s.used
	}
	return n
}
