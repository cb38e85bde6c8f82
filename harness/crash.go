package harness

import (
	"sync"
	"sync/atomic"
)

// crasher knows of the kills of a run. They come under load, by the share of events
// that got through: the first, third, … kill when enough were acknowledged, the others
// when enough were delivered, so that both ends are covered.
type crasher struct {
	killed atomic.Bool // from the kill until nothing of that process is in flight
	down   atomic.Bool // from the kill until the bridge is ready again

	kills     int
	killsLock sync.Mutex
	restarts  sync.WaitGroup
}

// crash kills the bridge when enough events got through. It returns once the
// bridge is gone, and does not wait for the restart.
func (r *run) crash(acked, delivered int64) {
	if r.down.Load() {
		return
	}
	r.killsLock.Lock()
	defer r.killsLock.Unlock()
	if r.down.Load() || r.kills >= r.config.crashes() || r.running.Err() != nil {
		return
	}
	got := acked
	if r.kills%2 == 1 {
		got = delivered
	}
	total := int64(r.config.Events) * 9 / 10 // some types cannot be delivered
	if got*int64(r.config.crashes()+1) < int64(r.kills+1)*total {
		return
	}
	r.down.Store(true)
	r.killed.Store(true)
	r.process.running.Load().Kill()
	r.kills++
	r.restarts.Go(r.restart)
}

// restart starts the bridge again. Requests of its killed process may still be in
// flight: once their server is closed and idle, nothing more can come of them, and a
// duplicate that comes later is known to come of the kill.
func (r *run) restart() {
	r.stopRudder()
	err := await(r.running, r.watch.idle)
	if err == nil {
		r.books.Interrupt()
		r.killed.Store(false)
		err = r.startBridge()
	}
	if err != nil {
		r.stopWith(err)
		return
	}
	r.down.Store(false)
}

func (r *run) killCount() int {
	r.killsLock.Lock()
	defer r.killsLock.Unlock()
	return r.kills
}
