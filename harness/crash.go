package harness

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/currentsbridge/currentsbridge/harness/oracle"
)

// crasher kills the bridge under load, by the share of events that got through:
// the first, third, … kill when enough were acknowledged, the others when
// enough were delivered, so that both ends are covered.
type crasher struct {
	ctx     context.Context // of the run: no kill and no start after it
	process *process
	books   *oracle.Books
	drain   func(context.Context) error // until RudderStack has nothing in flight
	fail    func(error)
	total   int64 // events that will be delivered, at least
	crashes int

	killed atomic.Bool // from the kill until nothing of that process is in flight
	down   atomic.Bool // from the kill until the bridge is ready again

	mu       sync.Mutex
	done     int
	restarts sync.WaitGroup
}

// reached kills the bridge when enough events got through. It returns once the
// bridge is gone, and does not wait for the restart.
func (c *crasher) reached(acked, delivered int64) {
	if c.down.Load() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down.Load() || c.done >= c.crashes || c.ctx.Err() != nil {
		return
	}
	got := acked
	if c.done%2 == 1 {
		got = delivered
	}
	if got*int64(c.crashes+1) < int64(c.done+1)*c.total {
		return
	}
	c.down.Store(true)
	c.killed.Store(true)
	c.process.kill()
	c.done++
	c.restarts.Go(c.restart)
}

// restart starts the bridge again. Requests of its killed process may still be in
// flight; the books note the interruption only after these, so that a duplicate
// that comes later is known to come of the kill.
func (c *crasher) restart() {
	if err := c.drain(c.ctx); err != nil {
		c.fail(err)
		return
	}
	c.books.Interrupt()
	c.killed.Store(false)
	if err := c.process.start(c.ctx); err != nil {
		c.fail(err)
		return
	}
	c.down.Store(false)
}

// count is how often the bridge was killed so far.
func (c *crasher) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.done
}
