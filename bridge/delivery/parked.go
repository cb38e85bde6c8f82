package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// ErrNotParked means that an event is not among those that are parked: it was
// never suspected, or has been delivered or dead-lettered meanwhile.
var ErrNotParked = errors.New("event is not parked")

// ParkedEvent is a pending event under suspicion: requests with it fail while the
// destination accepts others. It is tried again now and then.
type ParkedEvent struct {
	Seq          uint64    `json:"record"` // number of its record
	Index        int       `json:"index"`  // place in the record
	EventType    string    `json:"event_type"`
	ID           string    `json:"id"`
	Size         int       `json:"size"`          // bytes, as Braze sent it
	With         int       `json:"with"`          // events that it is tried together with; 1: it is alone
	Failures     int       `json:"failures"`      // since it is tried together with so many
	FirstFailure time.Time `json:"first_failure"` // the first of them
	Status       int       `json:"status"`        // of the last response; 0: there was none
	LastAnswer   string    `json:"last_answer"`   // its words
	NextTry      time.Time `json:"next_try"`      // not before
}

// State returns how the destination does now.
func (s *Sender) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.evidence
	state := State{Name: e.state, Since: e.since}
	if e.open {
		state.LastError, state.NextTry = e.trouble.text, later(e.next, e.floor)
	}
	for _, r := range s.main.suspected() {
		state.Parked += len(r.events)
	}
	return state
}

func (s *Sender) announce() {
	if now := s.State(); now.Name == StateOK {
		s.log.Info("destination is ok", "state", now.Name)
	} else {
		s.log.Warn("destination is in trouble", "state", now.Name, "error", now.LastError, "next_try", now.NextTry)
	}
}

// Resume is for an operator who has repaired a destination: it
// is tried at once, whatever wait there was and whatever a Retry-After has asked
// for, and so is everything that is parked. If it is not well, the waits go on as
// before.
func (s *Sender) Resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.evidence.state != StateOK {
		s.log.Info("destination is tried at once, on request of the operator", "state", s.evidence.state)
	}
	s.evidence.resume(time.Now())
	s.main.retryNow(time.Now())
	s.changed.Broadcast()
}

// Parked lists at most limit parked events, in the order of their records, and
// returns how many there are. It reads the events that it lists.
func (s *Sender) Parked(ctx context.Context, limit int) (list []ParkedEvent, total int, err error) {
	s.mu.Lock()
	for _, r := range s.main.suspected() {
		t := &r.trial
		for _, e := range r.events {
			list = append(list, ParkedEvent{
				Seq: e.seq, Index: e.index, With: len(r.events), Failures: t.fails, FirstFailure: t.first,
				Status: t.response.status, LastAnswer: t.response.words, NextTry: t.next,
			})
		}
	}
	s.mu.Unlock()
	slices.SortFunc(list, func(a, b ParkedEvent) int { return cmp.Or(cmp.Compare(a.Seq, b.Seq), a.Index-b.Index) })
	total = len(list)
	list = list[:min(limit, total)]
	l := loader{queue: s.config.Queue}
	for i := range list {
		p := &list[i]
		raw, err := l.event(ctx, p.Seq, p.Index)
		if err != nil {
			return nil, 0, fmt.Errorf("delivery: read parked events: %w", err)
		}
		p.Size = len(raw)
		p.EventType, p.ID = describeEvent(raw)
	}
	return list, total, nil
}

// DeadLetter moves a parked event to the dead letters by hand, with the reason
// ReasonSetAside. Where it is just being tried, it waits for the outcome. The error
// wraps ErrNotParked where the event is not parked (any more).
func (s *Sender) DeadLetter(ctx context.Context, seq uint64, index int) error {
	defer context.AfterFunc(ctx, s.wakeAll)()
	s.mu.Lock()
	r, at := s.find(seq, index)
	for ; r != nil && s.main.busy[r] && ctx.Err() == nil; r, at = s.find(seq, index) {
		s.changed.Wait()
	}
	err := ctx.Err()
	if err == nil && r == nil {
		err = fmt.Errorf("delivery: record %d, event %d: %w", seq, index, ErrNotParked)
	}
	if err != nil {
		s.mu.Unlock()
		return err
	}
	s.main.remove(r)
	one := r.part(at, at+1)
	r.events = slices.Delete(slices.Clone(r.events), at, at+1)
	s.main.keep(r, time.Now())
	t := tried{trial: r.trial, events: one.events}
	s.mu.Unlock()

	letter := s.letter(t)
	letter.Reason = ReasonSetAside
	err = s.settle(ctx, queue.Settlement{Dead: []queue.DeadEvent{letter}})
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.main.keep(one, time.Now())
		return err
	}
	s.main.events--
	return nil
}

// find returns the parked request that holds an event, and the event's place in
// it. Call it with mu held.
func (s *Sender) find(seq uint64, index int) (found *request, at int) {
	for _, r := range s.main.suspected() {
		if at = slices.IndexFunc(r.events, func(e event) bool { return e.seq == seq && e.index == index }); at >= 0 {
			return r, at
		}
	}
	return nil, 0
}
