package admin

import (
	"math"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

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
	s := Status{Connectors: []ConnectorStatus{}}
	for _, c := range a.shown() {
		s.Connectors = append(s.Connectors, a.statusOf(c))
	}
	return s
}

func (a *Admin) statusOf(c Connector) ConnectorStatus {
	l := c.Queue.Ledger()
	return ConnectorStatus{
		Name: c.Name, Received: l.Received, Duplicates: l.Duplicates, Accepted: l.Accepted,
		Filtered: l.Filtered, Delivered: l.Delivered, Dead: l.Dead, Purged: l.Purged, Pending: l.Pending(),
		Replayed: l.Replayed, Backfilled: l.Backfilled, OldestPendingSeconds: waited(l, a.cfg.Now()),
		Destination: c.destination(), Parked: c.state().Parked,
	}
}

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

func (c Connector) destination() Destination {
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

// ready answers whether batches are accepted and can be stored. A failing destination
// is in the body and does not change the status: the queue is there for that. A
// request with a foreign Host header gets yes or no, and nothing more.
func (a *Admin) ready(c *gin.Context) {
	type connector struct {
		Name        string      `json:"name"`
		Destination Destination `json:"destination"`
	}
	reason := a.unready()
	status := http.StatusOK
	if reason != "" {
		status = http.StatusServiceUnavailable
	}
	if !a.hosts.Load().Knows(c.Request.Host) {
		c.JSON(status, gin.H{"ready": reason == ""})
		return
	}
	list := []connector{}
	for _, c := range a.shown() {
		list = append(list, connector{c.Name, c.destination()})
	}
	c.JSON(status, struct {
		Ready      bool        `json:"ready"`
		Reason     string      `json:"reason,omitempty"`
		Connectors []connector `json:"connectors"`
	}{reason == "", reason, list})
}

// unready says why no batch can be stored; empty: one can.
func (a *Admin) unready() string {
	usage := a.cfg.Bridge.Usage()
	switch {
	case a.stopping.Load():
		return "the bridge is stopping"
	case usage.Err != nil:
		return usage.Err.Error()
	case usage.Away != nil:
		return usage.Away.Error()
	case usage.Full:
		return queue.ErrFull.Error()
	}
	return ""
}
