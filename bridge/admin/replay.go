package admin

import (
	"errors"
	"net/http"
	"net/url"
	"path"
	"slices"
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

// orderOf reads an order; the error is a refusal.
func orderOf(values url.Values, now time.Time) (queue.ReplayOrder, error) {
	order := queue.ReplayOrder{Till: now, Types: values["type"]}
	begin, name := values.Get("from"), "from"
	if since := values.Get("since"); since != "" {
		if begin != "" {
			return order, bad("since and from say the same; leave out one of them")
		}
		begin, name = since, "since"
	}
	if begin == "" {
		return order, bad("since or from is missing: when the events were received, or how long ago")
	}
	var err error
	if order.From, err = momentOf(name, begin, now); err != nil {
		return order, err
	}
	if end := values.Get("to"); end != "" {
		if order.Till, err = momentOf("to", end, now); err != nil {
			return order, err
		}
	}
	if !order.From.Before(order.Till) {
		return order, bad(name + " must be before to, or before now where that is not given")
	}
	for _, pattern := range order.Types {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return order, bad("type must be an event type or a pattern such as users.messages.email.*")
		}
	}
	if rate := values.Get("rate"); rate != "" {
		if order.Rate, err = strconv.ParseFloat(rate, 64); err != nil || !(order.Rate >= 0) || order.Rate > 1e9 {
			return order, bad("rate must be a number of events a second, 0 for as fast as it goes")
		}
	}
	return order, nil
}

// startReplay orders a replay of the connectors of a request. All are checked first,
// so that none is started if one cannot be.
func (a *Admin) startReplay(r request) (any, error) {
	connectors, err := deliveredFor(r)
	if err != nil {
		return nil, err
	}
	order, err := orderOf(r.values, a.cfg.Now())
	if err != nil {
		return nil, err
	}
	for _, connector := range connectors {
		newest, err := connector.Queue.Replay(r.ctx)
		if err == nil && newest.Active() {
			err = queue.ErrReplaying
		}
		if err != nil {
			return nil, noReplay(connector, err)
		}
	}
	answer := Replays{Replays: []Replay{}}
	for _, connector := range connectors {
		started, err := connector.Queue.StartReplay(r.ctx, order)
		if err != nil {
			return nil, noReplay(connector, err)
		}
		a.cfg.Log.Info("a replay of history is ordered", "connector", connector.Name, "number", started.Number,
			"from", order.From, "to", order.Till, "types", order.Types, "rate", order.Rate)
		answer.Replays = append(answer.Replays, replayOf(connector.Name, started))
	}
	return answer, nil
}

// deliveredFor returns the connectors of a request that are in the configuration.
func deliveredFor(r request) ([]Connector, error) {
	connectors := slices.DeleteFunc(slices.Clone(r.connectors), func(c Connector) bool { return c.Sender == nil })
	if len(connectors) == 0 {
		return nil, refuse(http.StatusConflict, "this connector is not in the configuration, so nothing delivers its events")
	}
	return connectors, nil
}

func noReplay(connector Connector, err error) error {
	if err = connector.failed(err); errors.Is(err, queue.ErrReplaying) {
		return refuse(http.StatusConflict, err.Error()+"; wait for its end, or end it first")
	}
	return err
}

// replays shows the newest replay of each connector of a request.
func (a *Admin) replays(r request) (any, error) {
	return eachReplay(r, func(Connector, queue.Replay) error { return nil })
}

// endReplay ends the active replays.
func (a *Admin) endReplay(r request) (any, error) {
	return eachReplay(r, func(connector Connector, newest queue.Replay) error {
		if !newest.Active() {
			return nil
		}
		a.cfg.Log.Info("a replay of history is ended", "connector", connector.Name, "number", newest.Number)
		return connector.Queue.EndReplay(r.ctx, newest.Number)
	})
}

// eachReplay passes the newest replay of each connector of a request to do, and
// answers with what they are afterwards.
func eachReplay(r request, do func(Connector, queue.Replay) error) (any, error) {
	answer := Replays{Replays: []Replay{}}
	for _, connector := range r.connectors {
		newest, err := connector.Queue.Replay(r.ctx)
		if err == nil && newest.Number > 0 {
			if err = do(connector, newest); err == nil {
				newest, err = connector.Queue.Replay(r.ctx)
			}
			answer.Replays = append(answer.Replays, replayOf(connector.Name, newest))
		}
		if err != nil {
			return nil, connector.failed(err)
		}
	}
	return answer, nil
}
