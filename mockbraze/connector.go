package mockbraze

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// State is how a Current stands.
type State string

const (
	Draft   State = "draft"    // never launched: it sends nothing, and nothing happens for it
	Running State = "running"  // it sends
	Paused  State = "paused"   // its events wait
	Held    State = "held"     // after 401, 403 or 404 all other events wait for a launch
	Stopped State = "disabled" // after DisableAfter of trouble new events are lost; queued ones wait for KeepFor
	Closed  State = "closed"   // deleted, or its Server was closed
)

// Errors of a Current; test for them with errors.Is.
var (
	ErrNotLaunched = errors.New("the Current is not launched; launch it first")
	ErrHeld        = errors.New("the Current is held after 401, 403 or 404; correct its URL or token and launch it again")
	ErrDisabled    = errors.New("the Current was disabled after days of errors; repair its endpoint and launch it again")
	ErrQuota       = errors.New("the Test Currents of the workspace have sent their events of today; the rest waits for midnight UTC")
	ErrDropped     = errors.New("events were dropped") // for good
	ErrClosed      = errors.New("the Current was deleted, or the fake Braze was closed")
)

// LaunchError says that the endpoint rejected the probe of the credentials.
type LaunchError struct{ Answer Answer }

// Error implements error.
func (e *LaunchError) Error() string {
	if e.Answer.Status == 0 {
		return "launch: TLS fails: " + e.Answer.Error + ": check the URL and the certificate"
	}
	return fmt.Sprintf("launch: the endpoint answered the probe with %d %s: check the URL and the token",
		e.Answer.Status, http.StatusText(e.Answer.Status))
}

// Connector is a Current of a Server: it queues and sends events. All methods may
// be called concurrently.
type Connector struct {
	server *Server
	id     string
	spec   Current // URL and Token are those it was made with
	client *http.Client
	feeds  *feeds

	ctx    context.Context // ends when the Current is deleted or the Server closed
	cancel context.CancelFunc

	launching sync.Mutex // one launch at a time
	starting  sync.Once

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced at each change
	url      string
	token    string
	state    State
	trouble  time.Time // of the first failure since the last 2XX, zero for none
	disabled time.Time
	quota    time.Time // until when the quota of Test Currents keeps events
	types    []*ofType // in the order in which they came
	byType   map[string]*ofType
	agenda   []*batch // that wait to be sent, the next one first
	batches  uint64   // made so far
	busy     int      // requests in flight
	launches uint64   // so far
	random   *rand.Rand
	counts   Counts
	dropped  map[Reason]int64
	latency  *hdrhistogram.Histogram
	rate     float64
	since    time.Time // when the rate began, zero while no events happen
	happened float64   // events since then
	answers  []Answer
	mails    []Mail
}

// ID is the Current's id in the control API.
func (c *Connector) ID() string { return c.id }

// Launch probes the credentials with a request of no events and starts the Current,
// also one that was paused, held or disabled: what it has queued is due at once. With a
// *LaunchError, for 401, 403, 404 or where TLS fails, nothing changes; with any other
// response, such as RudderStack's 400, or none, the Current runs.
func (c *Connector) Launch(ctx context.Context) error {
	c.launching.Lock()
	defer c.launching.Unlock()
	if c.State() == Closed {
		return ErrClosed
	}
	a, err := c.test(ctx)
	if err != nil {
		return fmt.Errorf("launch: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case a.denies() || a.untrusted:
		return &LaunchError{Answer: a}
	case c.state == Closed:
		return ErrClosed
	}
	c.launches++
	c.state, c.trouble, c.disabled = Running, time.Time{}, time.Time{}
	now := c.server.clock.Now()
	for _, b := range c.agenda {
		b.due = now
	}
	slices.SortFunc(c.agenda, (*batch).compare)
	c.starting.Do(func() { c.server.running.Go(func() { c.loop(c.ctx) }) })
	c.notify()
	return nil
}

func (c *Connector) test(ctx context.Context) (Answer, error) {
	body := bodyOf(nil)
	if c.spec.EmptyProbe {
		body = nil
	}
	a := c.exchange(ctx, Answer{}, body)
	return a, c.noteProbe(ctx, a)
}

// noteProbe records the response to a probe or test event. It fails where ctx ended or
// the Current was closed.
func (c *Connector) noteProbe(ctx context.Context, a Answer) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.ctx.Err() != nil {
		return ErrClosed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.Events == 0 {
		c.counts.Probes++
	} else {
		c.counts.TestEvents++
	}
	c.answers = lastOf(c.answers, a)
	c.notify()
	return nil
}

// SetCredentials changes the URL and the token that are used from the next request on;
// empty ones stay as they are. A held Current waits for the next Launch.
func (c *Connector) SetCredentials(url, token string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	url, token = cmp.Or(url, c.url), cmp.Or(token, c.token)
	if err := cmp.Or(checkURL(url), checkToken(token)); err != nil {
		return err
	}
	c.url, c.token = url, token
	c.notify()
	return nil
}

// Pause stops sending until the next Launch; requests in flight are finished. A
// disabled Current cannot be paused, so that what it kept still expires.
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
	c.state, c.trouble = Paused, time.Time{}
	c.notify()
	return nil
}

func (c *Connector) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = Closed
	c.cancel()
	c.notify()
}

// State is how the Current stands.
func (c *Connector) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// notify wakes the loop and all calls that wait for a change. The lock is held.
func (c *Connector) notify() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// loop cuts batches from queues that waited long enough, hands out what is due,
// disables the Current and drops what it kept too long, until ctx ends.
func (c *Connector) loop(ctx context.Context) {
	for ctx.Err() == nil {
		wait, changed := c.step()
		n, next := c.dueEvents()
		if n > 0 {
			events, err := c.feeds.main.take(ctx, n)
			c.enqueue(events, nil)
			if err != nil && ctx.Err() == nil {
				c.endRate(err)
			}
			continue
		}
		fired, stop := c.server.clock.After(min(wait, next))
		select {
		case <-ctx.Done():
		case <-changed:
		case <-fired:
		}
		stop()
	}
}

func (c *Connector) endRate(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rate = 0
	c.mail(c.server.clock.Now(), fmt.Sprintf("Nothing happens by itself any more: %v", why))
	c.notify()
}

// step does all that is due now and returns how long nothing else is due, unless there
// is a change.
func (c *Connector) step() (wait time.Duration, changed <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.server.clock.Now()
	changed, wait = c.changed, time.Hour
	if !c.trouble.IsZero() {
		wait = min(wait, c.trouble.Add(DisableAfter).Sub(now))
	}
	if wait <= 0 {
		c.state, c.disabled, c.trouble = Stopped, now, time.Time{}
		c.mail(now, fmt.Sprintf("Your Current was disabled after %.0f days of errors", DisableAfter.Hours()/24))
		c.notify()
		wait = time.Hour
	}
	switch left := c.disabled.Add(KeepFor).Sub(now); {
	case c.state == Running:
		wait = min(wait, c.cut(c.spec.FlushAfter, now), c.handOut(now))
	case c.state == Stopped && left > 0:
		wait = min(wait, left)
	case c.state == Stopped:
		c.cut(0, now)
		for _, b := range c.agenda {
			c.dropAll(b, Expired)
		}
		c.agenda = nil
	}
	return wait, changed
}

// cut makes batches of queues whose oldest event has waited for age, and returns how
// long it is until another one has. It needs the lock, as do all unexported methods
// below that do not say that they take it.
func (c *Connector) cut(age time.Duration, now time.Time) time.Duration {
	wait := age
	for _, t := range c.types {
		for q := &t.queue; len(q.events) > 0; {
			left := q.notes[0].queued.Add(age).Sub(now)
			if left > 0 {
				wait = min(wait, left)
				break
			}
			c.plan(q.take(c.spec.Batch), now)
		}
	}
	return wait
}

// handOut sends due batches on free connections and returns when the next one is due.
func (c *Connector) handOut(now time.Time) time.Duration {
	for len(c.agenda) > 0 && c.busy < c.spec.Connections {
		if left := c.agenda[0].due.Sub(now); left > 0 {
			return left
		}
		b := c.agenda[0]
		c.agenda = slices.Delete(c.agenda, 0, 1)
		if c.spec.TestCurrent && !b.counted {
			if b = c.allowed(b, now); len(b.events) == 0 {
				continue
			}
		}
		b.launch, b.counted = c.launches, true
		c.busy++
		c.server.running.Go(func() { c.send(c.ctx, b) })
	}
	return time.Hour
}

// allowed is what the quota of today allows of a batch. The rest waits for midnight.
func (c *Connector) allowed(b *batch, now time.Time) *batch {
	const day = 24 * time.Hour
	s, today := c.server, now.UTC().Truncate(day)
	s.mu.Lock()
	if !today.Equal(s.quotaDay) {
		s.quotaDay, s.quotaUsed = today, 0
	}
	part := b.take(TestQuota - s.quotaUsed)
	s.quotaUsed += len(part.events)
	s.mu.Unlock()
	c.quota = time.Time{}
	if len(b.events) > 0 {
		c.quota = today.Add(day)
		c.plan(b, c.quota)
		c.notify()
	}
	return part
}

// plan schedules a batch; batches that are due at the same time keep their order.
func (c *Connector) plan(b *batch, due time.Time) {
	if b.number == 0 {
		c.batches++
		b.number = c.batches
	}
	b.due = due
	i, _ := slices.BinarySearchFunc(c.agenda, b, (*batch).compare)
	c.agenda = slices.Insert(c.agenda, i, b)
}

// send posts one batch and does what its response asks for. It takes the lock.
func (c *Connector) send(ctx context.Context, b *batch) {
	if c.spec.OnSend != nil {
		c.spec.OnSend(b.events)
	}
	a := c.exchange(ctx, Answer{Type: b.typ, Events: len(b.events)}, bodyOf(b.events))
	ended := ctx.Err() != nil
	if !ended && a.accepted() && c.spec.OnAck != nil {
		c.spec.OnAck(b.events, a)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.notify()
	c.busy--
	if ended { // by closing the Server: the batch stays queued
		c.plan(b, b.due)
		return
	}
	c.counts.Requests++
	_ = c.latency.RecordValue(min(max(a.Took, time.Microsecond), longest).Microseconds()) // it is in range
	c.answers = lastOf(c.answers, a)
	switch {
	case a.accepted():
		c.acknowledged(b)
	case a.Status == http.StatusBadRequest:
		c.divide(b, 1, Refused)
	case a.Status == http.StatusRequestEntityTooLarge:
		c.divide(b, (len(b.events)+1)/2, TooLarge)
	case a.denies():
		c.hold(b, a)
	default: // also a redirect, which is not followed
		c.retry(b)
	}
}

func (c *Connector) acknowledged(b *batch) {
	if c.state == Running {
		c.trouble = time.Time{}
	}
	n := int64(len(b.events))
	c.typeOf(b.typ).Sent += n
	c.counts.Sent += n
	c.counts.Queued -= n
	for _, n := range b.notes {
		if n.outcome != nil {
			n.outcome.Acked++
			n.outcome.Pending--
		}
	}
}

// divide sends a batch again in parts of n events; one event alone is dropped.
func (c *Connector) divide(b *batch, n int, reason Reason) {
	if len(b.events) == 1 {
		c.dropAll(b, reason)
		return
	}
	c.counts.Split++
	c.typeOf(b.typ).Split++
	for now := c.server.clock.Now(); len(b.events) > 0; {
		c.plan(b.take(n), now)
	}
}

func (c *Connector) hold(b *batch, a Answer) {
	now := c.server.clock.Now()
	// A response to a request from before the last launch says nothing of the
	// credentials that were given since.
	if c.state == Running && b.launch == c.launches {
		c.startTrouble(now)
		c.state = Held
		c.mail(now, fmt.Sprintf("Your Current's endpoint answers %d %s", a.Status, http.StatusText(a.Status)))
	}
	c.dropAll(b, Unauthorized)
}

func (c *Connector) retry(b *batch) {
	b.attempts++
	now := c.server.clock.Now()
	c.plan(b, now.Add(c.spec.Backoff.wait(b.attempts, c.random)))
	c.counts.Retried += int64(len(b.events))
	c.typeOf(b.typ).Retried += int64(len(b.events))
	c.startTrouble(now)
}

func (c *Connector) startTrouble(now time.Time) {
	if c.trouble.IsZero() && c.state == Running {
		c.trouble = now
	}
}

func (c *Connector) dropAll(b *batch, reason Reason) {
	t := c.typeOf(b.typ)
	for _, n := range b.notes {
		c.dropped[reason]++
		t.Dropped[reason]++
		c.counts.Queued--
		if n.outcome != nil {
			n.outcome.Dropped[reason]++
			n.outcome.Pending--
		}
	}
}

const (
	rateStep = 10 * time.Millisecond // the shortest time between events at a rate: several may happen at a time
	rateRest = time.Hour             // how long to wait while no events happen
)

// SetRate changes how many events a second happen by themselves, up to MaxRate.
func (c *Connector) SetRate(rate float64) error {
	if err := checkRate(rate); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rate, c.since, c.happened = rate, time.Time{}, 0
	c.notify()
	return nil
}

// dueEvents returns how many events happen now at the rate, or else how long none
// will: none do while the window is full. It takes the lock.
func (c *Connector) dueEvents() (n int, wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	alive := c.state == Running || c.state == Held || c.state == Stopped
	full := c.state != Stopped && c.counts.Queued >= int64(c.spec.Window)
	if c.rate == 0 || !alive || full {
		c.since, c.happened = time.Time{}, 0
		return 0, rateRest
	}
	now := c.server.clock.Now()
	if c.since.IsZero() {
		c.since = now
	}
	due := c.rate * now.Sub(c.since).Seconds()
	// Less than a thousandth short is due: the clock's steps are whole.
	if n = min(int(due-c.happened+0.001), chunk); n > 0 {
		c.happened += float64(n)
		return n, 0
	}
	next := min((c.happened+1-due)/c.rate, rateRest.Seconds())
	return 0, max(time.Duration(next*float64(time.Second)), rateStep)
}

// note is what a Current remembers of an event.
type note struct {
	queued  time.Time
	outcome *Outcome // of the call of Send that waits for it, nil for none
}

// batch is a queue of events of one type, or what one request carries. Then its
// events stay the same and in order, so that a batch whose response was lost is
// sent again byte for byte.
type batch struct {
	typ      string
	events   []Event
	notes    []note // of each event
	attempts int
	due      time.Time
	number   uint64 // keeps batches that are due in order
	launch   uint64 // which launch of the Current it was last sent under
	counted  bool   // in the quota of Test Currents
}

// take cuts up to n events off the front, as a new batch.
func (b *batch) take(n int) *batch {
	n = min(n, len(b.events))
	part := &batch{typ: b.typ, events: b.events[:n:n], notes: b.notes[:n:n], counted: b.counted}
	b.events, b.notes = b.events[n:], b.notes[n:]
	return part
}

func (b *batch) compare(o *batch) int {
	return cmp.Or(b.due.Compare(o.due), cmp.Compare(b.number, o.number))
}
