package delivery

import (
	"context"
	"slices"
	"sync"
	"time"
)

// gate makes the workers of one destination wait as the pacer says.
type gate struct {
	mu      sync.Mutex
	pacer   pacer
	waiting []contender
	granted []chan ticket // beside waiting, one for each
	timer   *time.Timer   // wakes the gate when the next wait is over
}

// enter waits until the batch may be tried. With an error, which is ctx's, it
// may not; otherwise the ticket goes back through leave or abandon.
func (g *gate) enter(ctx context.Context, c contender) (ticket, error) {
	if err := ctx.Err(); err != nil {
		return ticket{}, err
	}
	mine := make(chan ticket, 1)
	g.mu.Lock()
	g.waiting = append(g.waiting, c)
	g.granted = append(g.granted, mine)
	g.dispatch()
	g.mu.Unlock()

	select {
	case t := <-mine:
		return t, nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, ch := range g.granted {
		if ch == mine {
			g.remove(i)
			g.dispatch()
			return ticket{}, ctx.Err()
		}
	}
	// Granted in the same moment.
	g.pacer.giveBack(<-mine)
	g.dispatch()
	return ticket{}, ctx.Err()
}

// leave reports what came of a try and notes the batch's own wait in c, for the
// next enter.
func (g *gate) leave(t ticket, o outcome, c *contender) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.again = g.pacer.report(t, o)
	c.round, c.resumes = g.pacer.round, g.pacer.resumes
	g.dispatch()
}

// resume ends all waits that are under way.
func (g *gate) resume() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pacer.resume(time.Now())
	g.dispatch()
}

// abandon gives a ticket back whose try was cut off by shutdown.
func (g *gate) abandon(t ticket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pacer.giveBack(t)
	g.dispatch()
}

func (g *gate) state() State {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pacer.state()
}

// close ends the timer. Nobody may be waiting any more.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.timer != nil {
		g.timer.Stop()
	}
}

// dispatch lets in whoever may be tried now. Call it with mu held, after every change.
func (g *gate) dispatch() {
	for {
		now := time.Now()
		i, next := g.pacer.choose(now, g.waiting)
		if i >= 0 {
			ch := g.granted[i]
			g.remove(i)
			ch <- g.pacer.grant(now)
			continue
		}
		if !next.IsZero() {
			g.wakeIn(next.Sub(now))
		}
		return
	}
}

func (g *gate) wakeIn(d time.Duration) {
	if g.timer != nil {
		g.timer.Reset(d)
		return
	}
	g.timer = time.AfterFunc(d, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.dispatch()
	})
}

func (g *gate) remove(i int) {
	// The order in which they came is kept: it is that of their turns.
	g.waiting = slices.Delete(g.waiting, i, i+1)
	g.granted = slices.Delete(g.granted, i, i+1)
}
