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
	// Draft is a Current that was never launched. It sends nothing, and
	// nothing happens for it.
	Draft State = "draft"
	// Running is a Current that sends.
	Running State = "running"
	// Paused is a Current that somebody paused; its events wait.
	Paused State = "paused"
	// Held is a Current that got 401, 403 or 404: the events of that request are
	// lost, all others wait until the credentials are repaired and it is launched
	// again.
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
	// ErrHeld: the endpoint answered 401, 403 or 404. The events of that request
	// are dropped, those that were not sent yet are kept.
	ErrHeld = errors.New("the Current is held after 401, 403 or 404; correct its URL or token and launch it again")
	// ErrDisabled: there was trouble for DisableAfter. New events are lost, and
	// queued ones are kept for KeepFor.
	ErrDisabled = errors.New("the Current was disabled after days of errors; repair its endpoint and launch it again")
	// ErrQuota: the Test Currents have sent TestQuota events today. What is queued
	// waits for midnight UTC.
	ErrQuota = errors.New("the Test Currents of the workspace have sent their events of today; the rest waits for midnight UTC")
	// ErrDropped: some events were given up for good.
	ErrDropped = errors.New("events were dropped")
	// ErrClosed: the Server was closed, or the Current deleted.
	ErrClosed = errors.New("the Current was deleted, or the fake Braze was closed")
)

// LaunchError says that the probe of the credentials was turned down.
type LaunchError struct{ Answer Answer }

// Error implements error.
func (e *LaunchError) Error() string {
	if e.Answer.Status == 0 {
		return "launch: TLS fails: " + e.Answer.Error + ": check the URL and the certificate"
	}
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
	disabled time.Time
	quota    time.Time // until when the quota of Test Currents keeps events
	queues   map[string]*queue
	names    []string // of the queues, in the order in which they came
	agenda   agenda
	batches  uint64 // made so far
	busy     int    // requests in flight
	launches uint64 // so far
	random   *rand.Rand
	tickets  map[*ticket]struct{}
	counts   Counts
	dropped  map[Reason]int64
	byType   map[string]*TypeCounts
	latency  *hdrhistogram.Histogram
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
// 404 or TLS fails, and leaves everything as it was. Any other answer, such as
// RudderStack's 400, and none at all do not keep a Current from running.
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
	if a.denies() || a.untrusted {
		return &LaunchError{Answer: a}
	}
	if c.state == Closed {
		return ErrClosed
	}
	c.launches++
	c.state, c.trouble, c.disabled = Running, time.Time{}, time.Time{}
	now := c.server.clock.Now()
	for _, b := range c.agenda {
		b.due = now
	}
	c.agenda.sort()
	c.start()
	c.stir()
	return nil
}

// test probes the credentials with a request of no events and changes nothing
// but the list of answers. It fails where ctx ended or the Current was closed.
func (c *Connector) test(ctx context.Context) (Answer, error) {
	a := c.probe(ctx)
	return a, c.noteProbe(ctx, a)
}

// noteProbe remembers the answer to a probe or to a test event. It fails where
// ctx ended or the Current was closed.
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
	c.keepAnswer(a)
	c.stir()
	return nil
}

// SetCredentials changes the URL and the token that are used from the next request on;
// empty ones stay as they are. A held Current goes on with the next Launch.
func (c *Connector) SetCredentials(url, token string) error {
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

// Pause stops sending; requests in flight are finished, and events wait in
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
	c.state, c.trouble = Paused, time.Time{}
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
	select {
	case c.wake <- struct{}{}:
	default:
	}
	for t := range c.tickets {
		t.stir()
	}
}

// loop does what time brings: it cuts batches from queues that waited long
// enough, hands out what is due, disables the Current and gives up what it
// kept too long. It ends with ctx.
func (c *Connector) loop(ctx context.Context) {
	defer close(c.work)
	for {
		wait, lost := c.step()
		if lost != nil {
			c.giveUp(lost, Expired)
			continue
		}
		n, next := c.beat()
		if n > 0 {
			events, dry := c.feeds.main.take(ctx, n)
			c.enqueue(events, nil)
			if ctx.Err() != nil {
				return
			}
			if dry != nil {
				c.runDry(dry)
			}
			continue
		}
		fired, stop := c.server.clock.After(min(wait, next))
		select {
		case <-ctx.Done():
		case <-c.wake:
		case <-fired:
		}
		stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// runDry ends what happens by itself, and says so.
func (c *Connector) runDry(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rate = 0
	c.mail(c.server.clock.Now(), fmt.Sprintf("Nothing happens by itself any more: %v", why))
	c.stir()
}

// step does all that is due now and returns how long nothing else will be, or
// the events that were kept too long.
func (c *Connector) step() (wait time.Duration, lost []*batch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.server.clock.Now()
	wait = time.Hour
	if !c.trouble.IsZero() {
		left := c.trouble.Add(DisableAfter).Sub(now)
		if left <= 0 {
			c.disable(now)
		} else {
			wait = min(wait, left)
		}
	}
	switch c.state {
	case Stopped:
		left := c.disabled.Add(KeepFor).Sub(now)
		if left <= 0 {
			return wait, c.takeAll()
		}
		return min(wait, left), nil
	case Running:
		wait = min(wait, c.cutAged(now))
		return min(wait, c.handOut(now)), nil
	default:
		return wait, nil
	}
}

// disable is what Braze does after days of trouble. The lock is held.
func (c *Connector) disable(now time.Time) {
	c.state, c.disabled, c.trouble = Stopped, now, time.Time{}
	c.mail(now, fmt.Sprintf("Your Current was disabled after %.0f days of errors", DisableAfter.Hours()/24))
	c.stir()
}

// cutAged makes batches of queues whose oldest event waited long enough and
// returns when the next one will have. The lock is held.
func (c *Connector) cutAged(now time.Time) time.Duration {
	wait := c.spec.FlushAfter
	for _, name := range c.names {
		q := c.queues[name]
		for len(q.events) > 0 {
			left := q.notes[0].queued.Add(c.spec.FlushAfter).Sub(now)
			if left > 0 {
				wait = min(wait, left)
				break
			}
			c.plan(q.take(c.spec.Batch), now)
		}
	}
	return wait
}

// handOut gives due batches to the workers, as far as there are connections,
// and returns when the next one is due. The lock is held.
func (c *Connector) handOut(now time.Time) time.Duration {
	for len(c.agenda) > 0 && c.busy < c.spec.Connections {
		if left := c.agenda[0].due.Sub(now); left > 0 {
			return left
		}
		b := c.agenda.next()
		if c.spec.TestCurrent && !b.counted && !c.allowed(b, now) {
			continue
		}
		b.launch, b.counted = c.launches, true
		c.busy++
		c.work <- b // there is room for as many as there are connections
	}
	return time.Hour
}

// allowed takes a batch of a Test Current from the quota of today. What is over
// it goes back to the agenda, for midnight; false means that this is all. The
// lock is held.
func (c *Connector) allowed(b *batch, now time.Time) bool {
	left := c.server.quota.take(len(b.events), now)
	if left == len(b.events) {
		c.quota = time.Time{}
		return true
	}
	rest := &batch{typ: b.typ, events: b.events[left:], notes: b.notes[left:]}
	b.events, b.notes = b.events[:left:left], b.notes[:left:left]
	c.quota = now.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	c.plan(rest, c.quota)
	c.stir()
	return left > 0
}

// quota counts what the Test Currents of a workspace sent on one day.
type quota struct {
	mu   sync.Mutex
	day  time.Time
	sent int
}

// take takes up to n events from the quota of the day, and returns how many.
func (q *quota) take(n int, now time.Time) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if day := now.UTC().Truncate(24 * time.Hour); !day.Equal(q.day) {
		q.day, q.sent = day, 0
	}
	n = min(n, TestQuota-q.sent)
	q.sent += n
	return n
}

// plan puts a batch on the agenda; it keeps its place among those due at the
// same time. The lock is held.
func (c *Connector) plan(b *batch, due time.Time) {
	if b.number == 0 {
		c.batches++
		b.number = c.batches
	}
	b.due = due
	c.agenda.put(b)
}

// takeAll empties the queues and the agenda. Nil means that there was nothing.
// The lock is held.
func (c *Connector) takeAll() []*batch {
	var all []*batch
	for len(c.agenda) > 0 {
		all = append(all, c.agenda.next())
	}
	for _, name := range c.names {
		if q := c.queues[name]; len(q.events) > 0 {
			all = append(all, q.take(len(q.events)))
		}
	}
	return all
}

// send posts one batch and does what its answer asks for.
func (c *Connector) send(ctx context.Context, b *batch) {
	if c.spec.OnSend != nil {
		c.spec.OnSend(b.events)
	}
	a := c.post(ctx, b.typ, b.events)
	if ctx.Err() != nil {
		c.putBack(b)
		return
	}
	switch judge(a) {
	case accepted:
		c.acknowledged(b, a)
	case isolate:
		c.divide(b, a, 1, Refused)
	case halve:
		c.divide(b, a, (len(b.events)+1)/2, TooLarge)
	case hold:
		c.hold(b, a)
	case again:
		c.retry(b, a)
	}
}

// settle notes an answer, for whatever follows from it. It locks; the caller
// unlocks.
func (c *Connector) settle(a Answer) {
	c.mu.Lock()
	c.busy--
	c.counts.Requests++
	_ = c.latency.RecordValue(min(max(a.Took, time.Microsecond), longest).Microseconds()) // it is in range
	c.keepAnswer(a)
}

func (c *Connector) acknowledged(b *batch, a Answer) {
	if c.spec.OnAck != nil {
		c.spec.OnAck(b.events, a)
	}
	c.settle(a)
	defer c.mu.Unlock()
	if c.state == Running {
		c.trouble = time.Time{}
	}
	c.typeOf(b.typ).Sent += int64(len(b.events))
	c.counts.Sent += int64(len(b.events))
	c.counts.Queued -= int64(len(b.events))
	for _, n := range b.notes {
		if n.ticket != nil {
			n.ticket.Acked++
			n.ticket.Pending--
		}
	}
	c.stir()
}

// divide sends a batch again in parts of n events; one event alone cannot be
// divided and is given up.
func (c *Connector) divide(b *batch, a Answer, n int, reason Reason) {
	c.settle(a)
	if len(b.events) == 1 {
		c.mu.Unlock()
		c.giveUp([]*batch{b}, reason)
		return
	}
	defer c.mu.Unlock()
	c.counts.Split++
	c.typeOf(b.typ).Split++
	now := c.server.clock.Now()
	for _, part := range b.split(n) {
		c.plan(part, now)
	}
	c.stir()
}

// hold drops the events that failed, as Braze does, and waits for somebody to
// correct the credentials.
func (c *Connector) hold(b *batch, a Answer) {
	c.settle(a)
	now := c.server.clock.Now()
	// An answer to a request from before the last launch says nothing of the
	// credentials that were given since.
	if c.state == Running && b.launch == c.launches {
		c.worry(now)
		c.state = Held
		c.mail(now, fmt.Sprintf("Your Current's endpoint answers %d %s", a.Status, http.StatusText(a.Status)))
	}
	c.mu.Unlock()
	c.giveUp([]*batch{b}, Unauthorized)
}

// retry sends the same batch later.
func (c *Connector) retry(b *batch, a Answer) {
	c.settle(a)
	defer c.mu.Unlock()
	b.attempts++
	now := c.server.clock.Now()
	c.plan(b, now.Add(c.spec.Backoff.wait(b.attempts, c.random)))
	c.counts.Retried += int64(len(b.events))
	c.typeOf(b.typ).Retried += int64(len(b.events))
	c.worry(now)
	c.stir()
}

// worry starts the time after which the Current is disabled. The lock is held.
func (c *Connector) worry(now time.Time) {
	if c.trouble.IsZero() && c.state == Running {
		c.trouble = now
	}
}

// putBack keeps a batch whose request was ended by closing the Server.
func (c *Connector) putBack(b *batch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy--
	c.plan(b, b.due)
}

// giveUp drops batches for good.
func (c *Connector) giveUp(lost []*batch, reason Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range lost {
		c.dropped[reason] += int64(len(b.events))
		c.counts.Queued -= int64(len(b.events))
		for i := range b.events {
			c.typeOf(b.events[i].Type).Dropped[reason]++
		}
		for _, n := range b.notes {
			n.ticket.drop(reason)
		}
	}
	c.stir()
}

// pulse counts the events that happen by themselves.
type pulse struct {
	since time.Time // zero while nothing happens
	done  float64   // events since then
}

const (
	// pulseStep is how often events happen at most; more than one at a time
	// where the rate is higher.
	pulseStep = 10 * time.Millisecond
	// pulseRest is how long to wait while nothing happens.
	pulseRest = time.Hour
)

// SetRate changes how many events a second happen by themselves while the
// Current is launched, up to MaxRate; 0 ends it.
func (c *Connector) SetRate(rate float64) error {
	if err := checkRate(rate); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rate, c.pulse = rate, pulse{}
	c.stir()
	return nil
}

// beat returns how many events are to happen now, or else how long none will.
// A held Current collects them, a disabled one loses them; while the window is
// full the workspace waits.
func (c *Connector) beat() (n int, wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	alive := c.state == Running || c.state == Held || c.state == Stopped
	full := c.state != Stopped && c.counts.Queued >= int64(c.spec.Window)
	if c.rate == 0 || !alive || full {
		c.pulse = pulse{}
		return 0, pulseRest
	}
	now := c.server.clock.Now()
	if c.pulse.since.IsZero() {
		c.pulse.since = now
	}
	due := c.rate * now.Sub(c.pulse.since).Seconds()
	// Less than a thousandth short is due: the clock's steps are whole.
	if n = int(due - c.pulse.done + 0.001); n > 0 {
		n = min(n, chunk)
		c.pulse.done += float64(n)
		return n, 0
	}
	next := min((c.pulse.done+1-due)/c.rate, pulseRest.Seconds())
	return 0, max(time.Duration(next*float64(time.Second)), pulseStep)
}

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
	counted  bool   // in the quota of Test Currents
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
		parts = append(parts, &batch{typ: b.typ, events: b.events[from:to:to], notes: b.notes[from:to:to], counted: b.counted})
	}
	return parts
}

// agenda holds the batches that wait to be sent, the next one first.
type agenda []*batch

func (b *batch) compare(o *batch) int {
	return cmp.Or(b.due.Compare(o.due), cmp.Compare(b.number, o.number))
}

// sort restores the order after batches became due at another time.
func (a agenda) sort() { slices.SortFunc(a, (*batch).compare) }

func (a *agenda) put(b *batch) {
	i, _ := slices.BinarySearchFunc(*a, b, (*batch).compare)
	*a = slices.Insert(*a, i, b)
}

func (a *agenda) next() *batch {
	b := (*a)[0]
	*a = slices.Delete(*a, 0, 1)
	return b
}
