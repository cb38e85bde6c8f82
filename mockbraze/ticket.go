package mockbraze

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Outcome is what became of the events of one call of Send.
type Outcome struct {
	// Acked events were answered 2XX.
	Acked int `json:"acked"`
	// Withheld events are not exported by a Current of kind RudderStack.
	Withheld int `json:"withheld"`
	// Dropped events are lost, by reason.
	Dropped map[Reason]int `json:"dropped"`
	// Pending events are queued or under way still; the Current goes on with
	// them.
	Pending int `json:"pending"`
}

// ticket follows the events of one call of Send. Its outcome is guarded by the
// Connector's lock.
type ticket struct {
	Outcome
	changed chan struct{}
}

func newTicket() *ticket {
	return &ticket{Outcome: Outcome{Dropped: make(map[Reason]int)}, changed: make(chan struct{}, 1)}
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
	t.Dropped[reason]++
	t.Pending--
}

// SendError says what became of the events of one call of Send. Unwrap it to
// learn why: ErrDropped, ErrHeld, ErrDisabled, ErrClosed, or the error of the context.
type SendError struct {
	Outcome
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
		pending, state := t.Pending, c.state
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

// finish ends a ticket; cause is why it ended early, or nil. The error is a
// *SendError unless all went well.
func (c *Connector) finish(t *ticket, cause error) (Outcome, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.tickets, t)
	out := t.Outcome
	out.Dropped = maps.Clone(t.Dropped)
	if cause == nil && len(out.Dropped) > 0 {
		cause = ErrDropped
	}
	if cause == nil {
		return out, nil
	}
	e := &SendError{Outcome: out, Cause: cause}
	if n := len(c.answers); n > 0 {
		e.Last = c.answers[n-1]
	}
	return out, e
}
