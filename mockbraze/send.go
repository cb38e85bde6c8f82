package mockbraze

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/fieldtransform"
	"github.com/currentsbridge/currentsbridge/internal/urlmask"
)

// Event is one event as a Current sends it.
type Event struct {
	// Type names the queue in which the event waits, ID is for the observers of a
	// Current. Where they are empty, they are read from Raw.
	Type, ID string
	// Raw is sent as it is: whether it is an event, or JSON at all, is not checked. The
	// Current keeps it: do not change it.
	Raw []byte
}

// MaxEventBytes is the size of Raw up to which Braze sends an event; it silently
// drops larger ones ("over 900 KB").
const MaxEventBytes = 900_000

// complete fills in Type and ID where they are empty, and says whether the event's
// user has an external id.
func (e Event) complete() (Event, bool) {
	var h struct {
		Type any `json:"event_type"`
		ID   any `json:"id"`
		User struct {
			ExternalID any `json:"external_user_id"`
		} `json:"user"`
	}
	if json.Unmarshal(e.Raw, &h) != nil {
		return e, false
	}
	name, _ := h.Type.(string)
	id, _ := h.ID.(string)
	e.Type, e.ID = cmp.Or(e.Type, name), cmp.Or(e.ID, id)
	return e, h.User.ExternalID != nil && h.User.ExternalID != ""
}

const chunk = 200

// Send makes the workspace's next n events of the chosen types, sends them, flushes
// the queues and waits for the answers. It returns nil once all were answered 2XX or
// withheld, else a *SendError: when events were dropped, the Current is held, ctx ended
// or the Server was closed. What is still queued then is sent all the same.
func (c *Connector) Send(ctx context.Context, n int) error { return c.SendAt(ctx, n, 0) }

// SendAt is Send at a rate of events a second; 0 means as fast as they are taken.
func (c *Connector) SendAt(ctx context.Context, n int, rate float64) error {
	_, err := c.sendFrom(ctx, c.feeds.main.take, n, rate)
	return err
}

// TestEvents is the result of SendTestEvents.
type TestEvents struct {
	Events   int      `json:"events"`   // were sent
	Accepted int      `json:"accepted"` // of these were answered 2XX
	Answers  []Answer `json:"answers"`  // one for each event type
}

// SendTestEvents sends one event of each chosen type, each in a request of its own,
// also before the launch. Nothing is sent again.
func (c *Connector) SendTestEvents(ctx context.Context) (TestEvents, error) {
	var out TestEvents
	// Of ten events of a type some have an external id, which RudderStack needs.
	from, err := c.feeds.open("test", Rounds, c.spec.Events)
	if err != nil {
		return out, err
	}
	events, err := from.take(ctx, 10*len(c.spec.Events))
	if err != nil {
		return out, err
	}
	done := make(map[string]bool)
	for _, e := range c.withhold(events, nil) {
		if done[e.Type] {
			continue
		}
		done[e.Type] = true
		e.Raw = fieldtransform.Apply(e.Raw, c.spec.Transforms)
		a := c.exchange(ctx, Answer{Type: e.Type, Events: 1}, bodyOf([]Event{e}))
		if err := c.noteProbe(ctx, a); err != nil {
			return out, err
		}
		out.Events++
		if a.accepted() {
			out.Accepted++
		}
		out.Answers = append(out.Answers, a)
	}
	return out, nil
}

// SendEvents sends events that the caller made, whatever they are and of whatever
// types, flushes and waits like Send.
func (c *Connector) SendEvents(ctx context.Context, events ...Event) error {
	rest := completed(events)
	_, err := c.sendFrom(ctx, func(_ context.Context, n int) (next []Event, err error) {
		next, rest = rest[:n], rest[n:]
		return next, nil
	}, len(rest), 0)
	return err
}

// Queue adds events without flushing and without waiting: they go out when
// their batch is full or its oldest event has waited for FlushAfter.
func (c *Connector) Queue(events ...Event) { c.enqueue(completed(events), nil) }

// Flush makes batches of whatever is queued.
func (c *Connector) Flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut(0, c.server.clock.Now())
	c.notify()
}

func completed(events []Event) []Event {
	list := make([]Event, len(events))
	for i, e := range events {
		list[i], _ = e.complete()
	}
	return list
}

func (c *Connector) produce(ctx context.Context, t *Outcome, take taker, n int, rate float64) error {
	begin := c.server.clock.Now()
	step := chunk
	if rate > 0 {
		// At most a hundred steps a second, so that sleeps are not too short.
		step = min(chunk, max(1, int(rate/100)))
	}
	for done := 0; done < n; {
		if rate > 0 {
			due := begin.Add(time.Duration(float64(done) / rate * float64(time.Second)))
			if err := c.sleep(ctx, due); err != nil {
				return err
			}
		}
		m := min(step, n-done)
		events, err := take(ctx, m)
		c.enqueue(events, t)
		if err != nil {
			c.Flush()
			return err
		}
		done += m
		c.mu.Lock()
		full := t.Pending > c.spec.Window
		c.mu.Unlock()
		if full {
			c.Flush() // batches that are not full would wait for FlushAfter
			if err := c.wait(ctx, t, c.spec.Window*3/4); err != nil {
				return err
			}
		}
	}
	c.Flush()
	return c.wait(ctx, t, 0)
}

func (c *Connector) sleep(ctx context.Context, until time.Time) error {
	left := until.Sub(c.server.clock.Now())
	if left <= 0 {
		return ctx.Err()
	}
	fired, stop := c.server.clock.After(left)
	defer stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-c.ctx.Done():
		return ErrClosed
	case <-fired:
		return nil
	}
}

// enqueue puts events into the queues of their types and cuts full batches.
func (c *Connector) enqueue(events []Event, t *Outcome) {
	events = c.withhold(events, t)
	c.mu.Lock()
	defer c.mu.Unlock()
	n := note{queued: c.server.clock.Now(), outcome: t}
	c.counts.Events += int64(len(events))
	c.counts.Queued += int64(len(events))
	if t != nil {
		t.Pending += len(events)
	}
	for _, e := range events {
		e.Raw = fieldtransform.Apply(e.Raw, c.spec.Transforms)
		typ := c.typeOf(e.Type)
		typ.Events++
		switch q := &typ.queue; {
		case len(e.Raw) > MaxEventBytes:
			c.dropAll(&batch{typ: e.Type, notes: []note{n}}, Oversized)
		case c.state == Stopped:
			c.dropAll(&batch{typ: e.Type, notes: []note{n}}, Disabled)
		default:
			q.events, q.notes = append(q.events, e), append(q.notes, n)
			if len(q.events) >= c.spec.Batch {
				c.plan(q.take(c.spec.Batch), n.queued)
			}
		}
	}
	c.notify()
}

func (c *Connector) withhold(events []Event, t *Outcome) []Event {
	if c.spec.Kind != RudderStack {
		return events
	}
	kept := events[:0:0]
	for _, e := range events {
		if _, identified := e.complete(); identified {
			kept = append(kept, e)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts.Withheld += int64(len(events) - len(kept))
	if t != nil {
		t.Withheld += len(events) - len(kept)
	}
	return kept
}

// Outcome is what became of the events of one call of Send.
type Outcome struct {
	Acked    int            `json:"acked"`    // answered 2XX
	Withheld int            `json:"withheld"` // not exported by a Current of kind RudderStack
	Dropped  map[Reason]int `json:"dropped"`
	Pending  int            `json:"pending"` // queued or in flight; the Current still sends them
}

// SendError says what became of the events of one call of Send. It wraps the reason:
// ErrDropped, ErrHeld, ErrDisabled, ErrQuota, ErrClosed, or another error.
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

// wait returns once at most limit of the events of t are pending, or an error
// where they stay pending.
func (c *Connector) wait(ctx context.Context, t *Outcome, limit int) error {
	for {
		c.mu.Lock()
		pending, state, changed := t.Pending, c.state, c.changed
		due := len(c.agenda) > 0 && c.agenda[0].due.Before(c.quota) // such as the half of a batch
		overQuota := c.busy == 0 && !due && c.server.clock.Now().Before(c.quota)
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
		case overQuota:
			return ErrQuota
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// taker returns the next n events, or fewer and an error.
type taker func(ctx context.Context, n int) ([]Event, error)

// sendFrom sends n events at a rate and waits until they are done. The error is a
// *SendError unless all went well.
func (c *Connector) sendFrom(ctx context.Context, take taker, n int, rate float64) (Outcome, error) {
	if n < 0 || rate < 0 {
		return Outcome{}, errors.New("send: a number of events and a rate cannot be negative")
	}
	switch c.State() {
	case Draft, Paused:
		return Outcome{}, ErrNotLaunched
	case Closed:
		return Outcome{}, ErrClosed
	}
	t := &Outcome{Dropped: make(map[Reason]int)}
	cause := c.produce(ctx, t, take, n, rate)
	c.mu.Lock()
	defer c.mu.Unlock()
	out := *t
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

// Answer is the response to one request.
type Answer struct {
	At     time.Time     `json:"at"`
	Took   time.Duration `json:"took_ns"`
	Type   string        `json:"event_type"` // empty for a probe
	Events int           `json:"events"`     // how many the request carried
	Status int           `json:"status"`     // 0 where there was no response
	// Body is how the response begins, at most 200 bytes. Where it repeats the
	// token or a secret of the URL, these are masked.
	Body  string `json:"body,omitempty"`
	Error string `json:"error,omitempty"` // why there was no response

	untrusted bool // that was because of TLS, such as an unknown certificate
}

// accepted says that Braze never sends the events again.
func (a Answer) accepted() bool { return a.Status >= 200 && a.Status <= 299 }

// What the response to a probe says about the credentials.
const (
	good   = "good"   // 2XX, or RudderStack's 400
	denied = "denied" // 401, 403 or 404, or TLS fails: a launch fails
	unsure = "unsure" // any other response, or none: batches are retried
)

// ofProbe says what the response to a probe means for a Current of a kind.
// RudderStack answers 400 to a request without events.
func (a Answer) ofProbe(kind Kind) string {
	switch {
	case a.denies(), a.untrusted:
		return denied
	case a.accepted(), kind == RudderStack && a.Status == http.StatusBadRequest:
		return good
	default:
		return unsure
	}
}

func (a Answer) denies() bool {
	return a.Status == http.StatusUnauthorized || a.Status == http.StatusForbidden || a.Status == http.StatusNotFound
}

// wait is how long a batch waits after its n-th failed attempt.
func (b Backoff) wait(attempt int, random *rand.Rand) time.Duration {
	full := b.First
	for i := 1; i < attempt && full < b.Max; i++ {
		full *= 2
	}
	full = min(full, b.Max)
	return full/2 + time.Duration(random.Int64N(int64(full/2)+1))
}

const (
	bodyOpen  = `{"events":[`
	bodyClose = `]}`

	snippet = 200       // how much of a response's body is kept for the report
	drain   = 256 << 10 // how much more of it is read, so that the connection is reused
)

// exchange posts a body and completes a. Tokens and secrets of the URL are masked
// in it.
func (c *Connector) exchange(ctx context.Context, a Answer, body []byte) Answer {
	clock := c.server.clock
	a.At = clock.Now()
	c.mu.Lock()
	target, token := c.url, c.token
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, c.spec.Timeout)
	defer cancel()
	if err := c.roundTrip(ctx, &a, target, token, body); err != nil {
		if withURL, ok := errors.AsType[*url.Error](err); ok {
			err = withURL.Err
		}
		a.untrusted = isTLS(err)
		a.Status, a.Error = 0, urlmask.In(err.Error(), target, token)
	}
	a.Body = urlmask.In(a.Body, target, token)
	a.Took = clock.Now().Sub(a.At)
	return a
}

// isTLS says whether an error is about TLS, so that a retry cannot help.
func isTLS(err error) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	return errors.As(err, &certificate) || errors.As(err, &record) || errors.As(err, &alert) || errors.Is(err, http.ErrSchemeMismatch)
}

func (c *Connector) roundTrip(ctx context.Context, a *Answer, target, token string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Braze-Currents-Version", "1")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, snippet))
	a.Status, a.Body = res.StatusCode, strings.ToValidUTF8(string(text), "\uFFFD")
	if err == nil {
		_, err = io.CopyN(io.Discard, res.Body, drain)
	}
	if err != nil && !errors.Is(err, io.EOF) { // then the status does not count
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}

func bodyOf(events []Event) []byte {
	texts := make([][]byte, len(events))
	for i := range events {
		texts[i] = events[i].Raw
	}
	return slices.Concat([]byte(bodyOpen), bytes.Join(texts, []byte{','}), []byte(bodyClose))
}
