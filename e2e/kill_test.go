//go:build e2e

package e2e

import (
	"fmt"
	"testing"
	"time"
)

const kills = 5

// TestKilledAndRecreated kills the container of a bridge with SIGKILL in the
// middle of its work, five times, takes it away, and makes a new one on the same
// volume. Braze goes on all the while.
func TestKilledAndRecreated(t *testing.T) {
	t.Parallel() // it waits more than it works
	s := open(t, "kill", 21, 800)
	volume, to := s.volume(), []string{"--rudder-url", "http://rudder:8090"}
	s.bridge = s.startBridge("bridge", volume, to...)
	s.launch("http://bridge:8080/currents", 50*time.Millisecond)
	for i := range kills {
		s.load()
		s.during(2 * time.Second)
		from := time.Now()
		s.kill(s.bridge)
		s.remove(s.bridge)
		s.during(time.Second) // Braze has no bridge to send to
		s.bridge = s.startBridge("bridge", volume, to...)
		s.lose(from, inFlight)
		s.crashes++
		s.settle(fmt.Sprintf("kill %d", i+1), time.Now())
	}
	s.judge()
}
