package admin

import (
	"cmp"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// Replays is what /api/replay answers: the newest replay of each connector.
type Replays struct {
	Replays []Replay `json:"replays"`
}

// Replay is a replay of a connector's history and how far it has come. Counts
// are events; only those that were delivered count in the ledger too, as
// replayed.
type Replay struct {
	Connector string    `json:"connector"`
	Number    uint64    `json:"number"`
	Active    bool      `json:"active"`
	From      time.Time `json:"from"` // when the events were received
	To        time.Time `json:"to"`   // not included
	Types     []string  `json:"types,omitempty"`
	Rate      float64   `json:"rate"`              // events a second; 0: as fast as it goes
	Position  time.Time `json:"position,omitzero"` // while it is active: when the events that come next were received
	StartedAt time.Time `json:"started_at"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	Replayed  uint64    `json:"replayed"` // delivered again
	Refused   uint64    `json:"refused"`  // by RudderStack, this time
	Skipped   uint64    `json:"skipped"`  // by the order's types or the connector's filter
}

func replayOf(connector string, r queue.Replay) Replay {
	return Replay{
		Connector: connector, Number: r.Number, Active: r.Active(),
		From: r.Order.From, To: r.Order.Till, Types: r.Order.Types, Rate: r.Order.Rate,
		Position: r.Position, StartedAt: r.StartedAt, EndedAt: r.EndedAt,
		Replayed: r.Replayed, Refused: r.Refused, Skipped: r.Skipped,
	}
}

func (r *request) order() queue.ReplayOrder {
	order := queue.ReplayOrder{From: cmp.Or(r.moment("since"), r.moment("from")), Till: cmp.Or(r.moment("to"), r.now), Types: r.values["type"]}
	since, from := r.values.Get("since"), r.values.Get("from")
	r.refuse(since != "" && from != "", "since and from say the same; leave out one of them")
	r.refuse(since+from == "", "since or from is missing: when the events were received, or how long ago")
	r.refuse(!order.From.Before(order.Till), "since or from must be before to, or before now where that is not given")
	for _, pattern := range order.Types {
		r.refuse(r.pattern(pattern) == "", "type is empty")
	}
	if rate := r.values.Get("rate"); rate != "" {
		var err error
		order.Rate, err = strconv.ParseFloat(rate, 64)
		r.refuse(err != nil || !(order.Rate >= 0) || order.Rate > 1e9, "rate must be a number of events a second, 0 for as fast as it goes")
	}
	return order
}

// startReplay orders a replay of the connectors of a request. All are checked first,
// so that none is started if one cannot be.
func startReplay(r *request) (any, error) {
	connectors, err := delivered(r.connectors)
	if err != nil {
		return nil, err
	}
	order := r.order()
	if r.err != nil {
		return nil, r.err
	}
	_, err = each(connectors, func(c Connector) (queue.Replay, error) {
		newest, err := c.Queue.Replay(r.ctx)
		if err == nil && newest.Active() {
			err = queue.ErrReplaying
		}
		return newest, noReplay(err)
	})
	if err != nil {
		return nil, err
	}
	list, err := each(connectors, func(c Connector) (Replay, error) {
		started, err := c.Queue.StartReplay(r.ctx, order)
		if err == nil {
			r.admin.cfg.Log.Info("a replay of history is ordered", "connector", c.Name, "number", started.Number,
				"from", order.From, "to", order.Till, "types", order.Types, "rate", order.Rate)
		}
		return replayOf(c.Name, started), noReplay(err)
	})
	return Replays{list}, err
}

func noReplay(err error) error {
	if errors.Is(err, queue.ErrReplaying) {
		return refusal{http.StatusConflict, err.Error() + "; wait for its end, or end it first"}
	}
	return err
}

func listReplays(r *request) (any, error) {
	answer := Replays{Replays: []Replay{}}
	_, err := each(r.connectors, func(c Connector) (queue.Replay, error) {
		newest, err := c.Queue.Replay(r.ctx)
		if newest.Number > 0 {
			answer.Replays = append(answer.Replays, replayOf(c.Name, newest))
		}
		return newest, err
	})
	return answer, err
}

func endReplay(r *request) (any, error) {
	_, err := each(r.connectors, func(c Connector) (queue.Replay, error) {
		newest, err := c.Queue.Replay(r.ctx)
		if err != nil || !newest.Active() {
			return newest, err
		}
		r.admin.cfg.Log.Info("a replay of history is ended", "connector", c.Name, "number", newest.Number)
		return newest, c.Queue.EndReplay(r.ctx, newest.Number)
	})
	if err != nil {
		return nil, err
	}
	return listReplays(r)
}
