package capacity_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/capacity"
)

func TestRate(t *testing.T) {
	costs := capacity.Costs{Bridge: 20, Leader: 10, Follower: 5}
	for _, c := range []struct {
		bridges int
		want    float64
	}{{1, 5000}, {2, 10_000}, {6, 30_000}, {7, 30_000}} { // from six on the leader is busy
		require.InDelta(t, c.want, capacity.Rate(costs, capacity.Size{Bridges: c.bridges, BridgeCPU: 0.1, NATSCPU: 0.3}), 1e-6)
	}
	require.InDelta(t, 50_000, capacity.Rate(capacity.Costs{Bridge: 10}, capacity.Size{Bridges: 1, BridgeCPU: 0.5}), 1e-6, "without NATS")
}

func TestCores(t *testing.T) {
	require.InDelta(t, 2.4, capacity.Cores(60_000, 20, 0.5), 1e-9)
}
