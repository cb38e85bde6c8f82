package admin

import (
	"math"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/delivery"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// Status is what /status answers: the ledger of every connector.
type Status struct {
	Connectors []ConnectorStatus `json:"connectors"`
}

// ConnectorStatus is the ledger of one connector. All counts are events, over
// the lifetime of the store; received = duplicates + accepted, and
// accepted = filtered + delivered + dead + purged + pending.
type ConnectorStatus struct {
	Name       string `json:"name"`
	Received   uint64 `json:"received"`
	Duplicates uint64 `json:"duplicates"`
	Accepted   uint64 `json:"accepted"`
	Filtered   uint64 `json:"filtered"`
	Delivered  uint64 `json:"delivered"`
	Dead       uint64 `json:"dead"`
	Purged     uint64 `json:"purged"`
	Pending    uint64 `json:"pending"`
	Replayed   uint64 `json:"replayed"`
	Backfilled uint64 `json:"backfilled"` // of accepted: out of storage exports
	// OldestPendingSeconds is how long the oldest pending event has waited; 0
	// where nothing is pending.
	OldestPendingSeconds float64     `json:"oldest_pending_seconds"`
	Destination          Destination `json:"destination"`
	// Parked counts the pending events that are suspected; see ConnectorPending.
	Parked int `json:"parked"`
}

// Destination says how RudderStack does.
type Destination struct {
	State     string `json:"state"`      // ok, backing-off, paused or misdirected
	LastError string `json:"last_error"` // empty while all is well
}

// Status returns what /status answers.
func (a *Admin) Status() Status {
	shown := a.shown()
	s := Status{Connectors: make([]ConnectorStatus, 0, len(shown))}
	for _, c := range shown {
		l := c.Queue.Ledger()
		s.Connectors = append(s.Connectors, ConnectorStatus{
			Name:                 c.Name,
			Received:             l.Received,
			Duplicates:           l.Duplicates,
			Accepted:             l.Accepted,
			Filtered:             l.Filtered,
			Delivered:            l.Delivered,
			Dead:                 l.Dead,
			Purged:               l.Purged,
			Pending:              l.Pending(),
			Replayed:             l.Replayed,
			Backfilled:           l.Backfilled,
			OldestPendingSeconds: waited(l, a.cfg.Now()),
			Destination:          destinationOf(c),
			Parked:               c.state().Parked,
		})
	}
	return s
}

// state says how the destination does.
func (c Connector) state() delivery.State {
	if c.Sender != nil {
		return c.Sender.State()
	}
	s := delivery.State{Name: delivery.StateOK, LastError: "the connector is not in the configuration"}
	if c.Queue.Ledger().Pending() > 0 {
		s.Name, s.LastError = delivery.StatePaused, s.LastError+"; its events wait"
	}
	return s
}

func destinationOf(c Connector) Destination {
	state := c.state()
	return Destination{State: state.Name, LastError: state.LastError}
}

// waited is the age of the oldest pending event in seconds, to the millisecond.
func waited(l queue.Ledger, now time.Time) float64 {
	if l.OldestPending.IsZero() {
		return 0
	}
	return math.Max(0, float64(now.Sub(l.OldestPending).Milliseconds())/1000)
}
