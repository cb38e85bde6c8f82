// Package capacity is the model of docs/scaling.md: how many events a second a
// set of bridges and NATS servers takes, from what one event costs each of them.
package capacity

// Costs are what an event takes of each part, in microseconds of CPU, from
// intake to the outcome of its delivery.
type Costs struct {
	Bridge float64 `json:"bridge_us"`
	// Leader is the cost to the busiest NATS server, which leads the connector's
	// stream; 0 where there is none. It bounds a connector however many servers
	// there are.
	Leader float64 `json:"leader_us"`
	// Follower is the cost to each other NATS server.
	Follower float64 `json:"follower_us"`
}

// Size is what there is of each part.
type Size struct {
	Bridges   int
	BridgeCPU float64 // cores of each bridge
	NATSCPU   float64 // cores of each NATS server
}

const micro = 1e6

// Rate is how many events a second of one connector such a set takes with all
// its cores busy. It assumes that the work of the bridges is shared evenly, that
// they do not disturb each other, and that nothing else is short: disk, network,
// RudderStack.
func Rate(c Costs, s Size) float64 {
	rate := float64(s.Bridges) * s.BridgeCPU * micro / c.Bridge
	if c.Leader > 0 {
		rate = min(rate, s.NATSCPU*micro/c.Leader)
	}
	return rate
}

// Cores is how many cores a rate in events a second needs of a part to which an
// event costs so many microseconds, where it shall be busy for no more than a
// share of the time, such as 0.5.
func Cores(rate, cost, busy float64) float64 { return rate * cost / micro / busy }
