package mockbraze

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ticket follows the events of one call of Send. Its fields are guarded by the
// Connector's lock.
type ticket struct {
	acked, withheld, pending int
	dropped                  map[Reason]int
	changed                  chan struct{}
}

func newTicket() *ticket {
	return &ticket{dropped: make(map[Reason]int), changed: make(chan struct{}, 1)}
}

func (t *ticket) stir() {
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// drop counts an event given up; nil, for events nobody waits for, does
// nothing.
func (t *ticket) drop(reason Reason) {
	if t == nil {
		return
	}
	t.dropped[reason]++
	t.pending--
}

// SendError says what became of the events of one call of Send. Unwrap it to
// learn why: ErrDropped, ErrHeld, ErrDisabled, ErrClosed, or the error of the context.
type SendError struct {
	// Acked events were answered 2XX.
	Acked int
	// Dropped events are lost, by reason.
	Dropped map[Reason]int
	// Pending events are queued or under way still; the Current goes on with
	// them.
	Pending int
	// Last is the Current's last answer.
	Last  Answer
	Cause error
}

// Error implements error.
func (e *SendError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "send: %v (acknowledged %d, still queued %d", e.Cause, e.Acked, e.Pending)
	for _, reason := range slices.Sorted(maps.Keys(e.Dropped)) {
		fmt.Fprintf(&b, ", %s %d", reason, e.Dropped[reason])
	}
	switch {
	case e.Last.Error != "":
		fmt.Fprintf(&b, "; last answer: %s", e.Last.Error)
	case e.Last.Status != 0:
		fmt.Fprintf(&b, "; last answer: %d", e.Last.Status)
	}
	return b.String() + ")"
}

// Unwrap returns the cause.
func (e *SendError) Unwrap() error { return e.Cause }

// wait returns once at most limit of the ticket's events are pending, or why
// that will not come to pass.
func (c *Connector) wait(ctx context.Context, t *ticket, limit int) error {
	for {
		c.mu.Lock()
		pending, state := t.pending, c.state
		c.mu.Unlock()
		switch {
		case pending <= limit:
			return nil
		case state == Closed:
			return ErrClosed
		case state == Held:
			return ErrHeld
		case state == Stopped:
			return ErrDisabled
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.changed:
		}
	}
}

// open registers a ticket, so that changes of the Current reach it.
func (c *Connector) open() (*ticket, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.state {
	case Draft, Paused:
		return nil, ErrNotLaunched
	case Closed:
		return nil, ErrClosed
	}
	t := newTicket()
	c.tickets[t] = struct{}{}
	return t, nil
}

// settleTicket ends a ticket; cause is why it ended early, or nil.
func (c *Connector) settleTicket(t *ticket, cause error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.tickets, t)
	if cause == nil && len(t.dropped) == 0 {
		return nil
	}
	if cause == nil {
		cause = ErrDropped
	}
	e := &SendError{Acked: t.acked, Dropped: maps.Clone(t.dropped), Pending: t.pending, Cause: cause}
	if n := len(c.answers); n > 0 {
		e.Last = c.answers[n-1]
	}
	return e
}
