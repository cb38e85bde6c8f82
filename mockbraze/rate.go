package mockbraze

import "time"

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
