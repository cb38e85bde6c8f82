package mockbraze

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

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
		b.launch = c.launches
		c.busy++
		c.work <- b // there is room for as many as there are connections
	}
	return time.Hour
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
	c.latency.add(a)
	c.keepAnswer(a)
}

func (c *Connector) acknowledged(b *batch, a Answer) {
	if c.spec.OnAck != nil {
		c.spec.OnAck(b.events, a)
	}
	c.settle(a)
	defer c.mu.Unlock()
	if c.state == Running {
		c.trouble, c.denied = time.Time{}, time.Time{}
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

// hold waits for somebody to mend the credentials.
func (c *Connector) hold(b *batch, a Answer) {
	c.settle(a)
	defer c.mu.Unlock()
	now := c.server.clock.Now()
	if c.tryDeniedAgain(b, now) {
		return
	}
	c.plan(b, now)
	// An answer to a request from before the last launch says nothing of the
	// credentials that were mended since.
	if c.state == Running && b.launch == c.launches {
		c.worry(now)
		c.state = Held
		c.mail(now, fmt.Sprintf("Your Current's endpoint answers %d %s", a.Status, http.StatusText(a.Status)))
	}
	c.stir()
}

// tryDeniedAgain is what an older account does instead of waiting for somebody,
// while it does. The lock is held.
func (c *Connector) tryDeniedAgain(b *batch, now time.Time) bool {
	if !c.spec.OlderAccount || c.state != Running {
		return false
	}
	if c.denied.IsZero() {
		c.denied = now
	}
	if now.Sub(c.denied) >= OlderRetryFor {
		return false
	}
	spread := int64(olderRetryMax - olderRetryMin)
	c.again(b, now, olderRetryMin+time.Duration(c.random.Int64N(spread+1)))
	return true
}

// retry sends the same batch later.
func (c *Connector) retry(b *batch, a Answer) {
	c.settle(a)
	defer c.mu.Unlock()
	b.attempts++
	c.again(b, c.server.clock.Now(), c.spec.Backoff.wait(b.attempts, c.random))
}

// again puts a batch that failed back on the agenda. The lock is held.
func (c *Connector) again(b *batch, now time.Time, wait time.Duration) {
	c.plan(b, now.Add(wait))
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
	for _, b := range lost {
		if c.spec.OnDrop != nil {
			c.spec.OnDrop(b.events, reason)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range lost {
		c.dropped[reason] += int64(len(b.events))
		c.counts.Queued -= int64(len(b.events))
		for i := range b.events {
			c.typeOf(b.events[i].Type).drop(reason)
		}
		for _, n := range b.notes {
			n.ticket.drop(reason)
		}
	}
	c.stir()
}
