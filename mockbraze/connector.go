package mockbraze

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// State is how a Current stands.
type State string

const (
	// Draft is a Current that was never launched. It sends nothing, and
	// nothing happens for it.
	Draft State = "draft"
	// Running is a Current that sends.
	Running State = "running"
	// Paused is a Current that somebody paused; its events wait.
	Paused State = "paused"
	// Held is a Current that got 401, 403 or 404: its events wait until the
	// credentials are mended and it is launched again.
	Held State = "held"
	// Stopped is a Current that Braze disabled after DisableAfter of trouble:
	// new events are lost, and queued ones wait for a launch, for KeepFor.
	Stopped State = "disabled"
	// Closed is a Current that was deleted, or whose Server was closed.
	Closed State = "closed"
)

// Errors that a caller may want to tell apart.
var (
	// ErrNotLaunched: the Current sends nothing before it is launched.
	ErrNotLaunched = errors.New("the Current is not launched; launch it first")
	// ErrHeld: the endpoint answered 401, 403 or 404. The events are kept.
	ErrHeld = errors.New("the Current is held after 401, 403 or 404; mend its URL or token and launch it again")
	// ErrDisabled: there was trouble for DisableAfter. New events are lost, and
	// queued ones are kept for KeepFor.
	ErrDisabled = errors.New("the Current was disabled after days of errors; mend its endpoint and launch it again")
	// ErrDropped: some events were given up for good.
	ErrDropped = errors.New("events were dropped")
	// ErrClosed: the Server was closed, or the Current deleted.
	ErrClosed = errors.New("the Current was deleted, or the fake Braze was closed")
)

// LaunchError says that the probe of the credentials was turned down.
type LaunchError struct{ Answer Answer }

// Error implements error.
func (e *LaunchError) Error() string {
	return fmt.Sprintf("launch: the endpoint answered the probe with %d %s: check the URL and the token",
		e.Answer.Status, http.StatusText(e.Answer.Status))
}

// Connector is a Current that was made: the connector of Braze that carries
// its events. It comes from a Server; all methods may be called concurrently.
type Connector struct {
	server *Server
	id     string
	spec   Current // URL and Token are those it was made with
	client *http.Client
	feeds  *feeds
	wake   chan struct{} // tells the loop that something changed
	work   chan *batch   // from the loop to the workers

	ctx    context.Context // ends when the Current is deleted or the Server closed
	cancel context.CancelFunc

	launching sync.Mutex // one launch at a time

	mu       sync.Mutex
	url      string
	token    string
	state    State
	started  bool
	trouble  time.Time // since when nothing was accepted, zero while all is well
	denied   time.Time // since when the credentials are turned down, for an older account
	disabled time.Time
	queues   map[string]*queue
	names    []string // of the queues, in the order in which they came
	agenda   agenda
	batches  uint64 // made so far
	busy     int    // requests under way
	launches uint64 // so far
	random   *rand.Rand
	tickets  map[*ticket]struct{}
	counts   Counts
	dropped  map[Reason]int64
	byType   map[string]*TypeCounts
	latency  latencies
	rate     float64
	pulse    pulse
	answers  []Answer
	mails    []Mail
}

// ID is the Current's id in the control API.
func (c *Connector) ID() string { return c.id }

// Launch probes the credentials with a request of no events and starts the
// Current, also one that was paused, held or disabled: then its queued events
// are due at once. It fails with a *LaunchError when the answer is 401, 403 or
// 404, and leaves everything as it was. Any other answer, such as RudderStack's
// 400, and none at all do not keep a Current from running.
func (c *Connector) Launch(ctx context.Context) error {
	c.launching.Lock()
	defer c.launching.Unlock()
	if c.State() == Closed {
		return ErrClosed
	}
	a, err := c.Test(ctx)
	if err != nil {
		return fmt.Errorf("launch: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.denies() {
		return &LaunchError{Answer: a}
	}
	if c.state == Closed {
		return ErrClosed
	}
	c.launches++
	c.state, c.trouble, c.denied, c.disabled = Running, time.Time{}, time.Time{}, time.Time{}
	now := c.server.clock.Now()
	for _, b := range c.agenda {
		if b.due.After(now) {
			b.due = now
		}
	}
	c.agenda.reorder()
	c.start()
	c.stir()
	return nil
}

// Test probes the credentials with a request of no events and changes nothing
// but the list of answers. Whether the Current could be launched follows from
// Answer.Verdict. It fails where ctx ended or the Current was closed.
func (c *Connector) Test(ctx context.Context) (Answer, error) {
	a := c.probe(ctx)
	if err := ctx.Err(); err != nil {
		return a, err
	}
	if c.ctx.Err() != nil {
		return a, ErrClosed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts.Probes++
	c.keepAnswer(a)
	c.stir()
	return a, nil
}

// Mend changes the URL and the token that are used from the next request on;
// empty ones stay as they are. A held Current goes on with the next Launch.
func (c *Connector) Mend(url, token string) error {
	if err := checkToken(token); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if url != "" {
		if err := checkURL(url); err != nil {
			return err
		}
		c.url = url
	}
	if token != "" {
		c.token = token
	}
	c.stir()
	return nil
}

// Pause stops sending; requests under way are finished, and events wait in
// their queues until the next Launch. It fails with ErrNotLaunched, ErrClosed or,
// so that what a disabled Current kept still expires, ErrDisabled.
func (c *Connector) Pause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.state {
	case Draft:
		return ErrNotLaunched
	case Closed:
		return ErrClosed
	case Stopped:
		return ErrDisabled
	}
	c.state, c.trouble, c.denied = Paused, time.Time{}, time.Time{}
	c.stir()
	return nil
}

// close ends the Current for good.
func (c *Connector) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = Closed
	c.cancel()
	c.stir()
}

// State is how the Current stands.
func (c *Connector) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

func (c *Connector) credentials() (url, token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.url, c.token
}

// start begins the work of the Current, once. The lock is held.
func (c *Connector) start() {
	if c.started {
		return
	}
	c.started = true
	c.server.running.Go(func() { c.loop(c.ctx) })
	for range c.spec.Connections {
		c.server.running.Go(func() {
			for b := range c.work {
				c.send(c.ctx, b)
			}
		})
	}
}

// stir tells the loop and all who wait that something changed. The lock is
// held.
func (c *Connector) stir() {
	c.server.changes.Add(1)
	select {
	case c.wake <- struct{}{}:
	default:
	}
	for t := range c.tickets {
		t.stir()
	}
}
