package mockbraze

import "time"

// Clock is the time that a Server goes by: when a queue is flushed, when a
// batch is tried again, when a Current is disabled. Tests bring their own, or
// run in a bubble of testing/synctest with the default one.
type Clock interface {
	// Now is the current time.
	Now() time.Time
	// After sends on fired once d has passed. stop gives up waiting and may be
	// called at any time.
	After(d time.Duration) (fired <-chan time.Time, stop func())
}

// systemClock is the time of package time.
type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) After(d time.Duration) (<-chan time.Time, func()) {
	timer := time.NewTimer(d)
	return timer.C, func() { timer.Stop() }
}
