//go:build e2e

package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// trouble is something that the network does for a while.
type trouble struct {
	what string
	rule map[string]any // of netfault; nil: RudderStack is taken off the network
	time time.Duration
	// happened says whether it did, by what netfault counted meanwhile.
	happened func(stats) bool
}

func troubles() []trouble {
	slowed := func(s stats) bool { return s.Slowed > 0 }
	return []trouble{
		{"latency of 0.2 to 0.5 s each way", map[string]any{"latency": "200ms", "jitter": "300ms"}, 4 * time.Second, slowed},
		{"100 kB/s a connection", map[string]any{"bytes_per_second": 100_000}, 4 * time.Second, slowed},
		{"a fifth of all packets lost", map[string]any{"loss": 0.2}, 6 * time.Second, func(s stats) bool { return s.Dropped > 0 }},
		{"resets", map[string]any{"reset": 0.2}, 4 * time.Second, func(s stats) bool { return s.Reset > 0 }},
		{"connections that fall silent", map[string]any{"silent": true}, 8 * time.Second, func(s stats) bool { return s.Silenced > 0 }},
		{"answers that never arrive", map[string]any{"lose_answers": true}, 6 * time.Second, func(s stats) bool { return s.Silenced > 0 && s.Unanswered > 0 }},
		{"RudderStack off the network", nil, 8 * time.Second, func(s stats) bool { return s.Refused > 0 }},
	}
}

// TestNetwork does everything to the way between the bridge and RudderStack that
// networks do, one after the other, under load. Whatever passes goes through
// netfault, which counts the answers that cannot have arrived: each explains the
// events of one request.
func TestNetwork(t *testing.T) {
	t.Parallel() // it waits more than it works
	s := open(t, "network", 31, 800)
	way := s.startNetfault("way", "rudder:8090")
	s.ask(s.startBridge("bridge", "--rudder-url", "http://way:8080"))
	s.launch("http://bridge:8080/currents", 500*time.Millisecond)
	for _, trouble := range troubles() {
		s.load()
		s.during(time.Second)
		before, from := way.stats(), time.Now()
		if trouble.rule != nil {
			way.put(trouble.rule)
			s.during(trouble.time)
			way.put(map[string]any{})
		} else {
			s.cut(s.rudder)
			s.during(trouble.time)
			s.mend(s.rudder, "rudder")
		}
		s.settle(trouble.what, time.Now())
		now := way.stats().minus(before)
		s.say("%s: %s", trouble.what, now)
		require.True(t, trouble.happened(now), "%s did not happen: %s", trouble.what, now)
		s.lose(from, now.Unanswered*perPost)
	}
	s.judge()
}
