package admin

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// Replays is what /api/replay answers: the newest replay of each connector that
// has had one.
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
	Rate      float64   `json:"rate"` // events a second; 0: as fast as it goes
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
		StartedAt: r.StartedAt, EndedAt: r.EndedAt,
		Replayed: r.Replayed, Refused: r.Refused, Skipped: r.Skipped,
	}
}

// orderOf reads an order; an error says which part is wrong.
func orderOf(values url.Values, now time.Time) (queue.ReplayOrder, error) {
	order := queue.ReplayOrder{Till: now, Types: values["type"]}
	begin, name := values.Get("from"), "from"
	if since := values.Get("since"); since != "" {
		if begin != "" {
			return order, errors.New("since and from say the same; leave out one of them")
		}
		begin, name = since, "since"
	}
	if begin == "" {
		return order, errors.New("since or from is missing: when the events were received, or how long ago")
	}
	var err error
	if order.From, err = momentOf(begin, now); err != nil {
		return order, fmt.Errorf("%s %w", name, err)
	}
	if end := values.Get("to"); end != "" {
		if order.Till, err = momentOf(end, now); err != nil {
			return order, fmt.Errorf("to %w", err)
		}
	}
	if !order.From.Before(order.Till) {
		return order, fmt.Errorf("%s must be before to, or before now where that is not given", name)
	}
	for _, pattern := range order.Types {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return order, errors.New("type must be an event type or a pattern such as users.messages.email.*")
		}
	}
	if rate := values.Get("rate"); rate != "" {
		if order.Rate, err = strconv.ParseFloat(rate, 64); err != nil || !(order.Rate >= 0) || order.Rate > 1e9 {
			return order, errors.New("rate must be a number of events a second, 0 for as fast as it goes")
		}
	}
	return order, nil
}

// startReplay orders a replay of the connectors that are meant. All are looked
// at first, so that none is begun where one cannot be.
func (a *Admin) startReplay(c *gin.Context) {
	values, ok := form(c)
	if !ok {
		return
	}
	connectors, ok := a.deliveredFor(c, values)
	if !ok {
		return
	}
	order, err := orderOf(values, a.cfg.Now())
	if err != nil {
		fail(c, http.StatusBadRequest, err.Error())
		return
	}
	ctx := c.Request.Context()
	for _, connector := range connectors {
		newest, err := connector.Queue.Replay(ctx)
		if err == nil && newest.Active() {
			err = queue.ErrReplaying
		}
		if err != nil {
			a.noReplay(c, connector, err)
			return
		}
	}
	answer := Replays{Replays: []Replay{}}
	for _, connector := range connectors {
		started, err := connector.Queue.StartReplay(ctx, order)
		if err != nil {
			a.noReplay(c, connector, err)
			return
		}
		a.cfg.Log.Info("a replay of history is ordered", "connector", connector.Name, "number", started.Number,
			"from", order.From, "to", order.Till, "types", order.Types, "rate", order.Rate)
		answer.Replays = append(answer.Replays, replayOf(connector.Name, started))
	}
	c.JSON(http.StatusOK, answer)
}

// deliveredFor returns the connectors that are meant and in the configuration.
func (a *Admin) deliveredFor(c *gin.Context, values url.Values) ([]Connector, bool) {
	meant, ok := a.meant(c, values)
	var connectors []Connector
	for _, connector := range meant {
		if connector.Resume != nil {
			connectors = append(connectors, connector)
		}
	}
	if ok && len(connectors) == 0 {
		fail(c, http.StatusConflict, "this connector is not in the configuration, so nobody delivers for it")
		return nil, false
	}
	return connectors, ok
}

func (a *Admin) noReplay(c *gin.Context, connector Connector, err error) {
	if errors.Is(err, queue.ErrReplaying) {
		fail(c, http.StatusConflict, "connector "+connector.Name+": "+queue.ErrReplaying.Error()+"; wait for its end, or end it first")
		return
	}
	a.cfg.Log.Error("a replay could not be read, started or ended", "connector", connector.Name, "error", err)
	fail(c, http.StatusInternalServerError, "connector "+connector.Name+": "+err.Error())
}

// replays shows the newest replay of each connector that is meant.
func (a *Admin) replays(c *gin.Context) {
	a.eachReplay(c, func(Connector, queue.Replay) error { return nil })
}

// endReplay ends the replays that are under way.
func (a *Admin) endReplay(c *gin.Context) {
	a.eachReplay(c, func(connector Connector, newest queue.Replay) error {
		if !newest.Active() {
			return nil
		}
		a.cfg.Log.Info("a replay of history is told to end", "connector", connector.Name, "number", newest.Number)
		return connector.Queue.EndReplay(c.Request.Context(), newest.Number)
	})
}

// eachReplay gives do the newest replay of each connector that is meant, and
// answers with what they are afterwards.
func (a *Admin) eachReplay(c *gin.Context, do func(Connector, queue.Replay) error) {
	values, ok := form(c)
	if !ok {
		return
	}
	connectors, ok := a.meant(c, values)
	if !ok {
		return
	}
	answer := Replays{Replays: []Replay{}}
	for _, connector := range connectors {
		newest, err := connector.Queue.Replay(c.Request.Context())
		if err == nil && newest.Number > 0 {
			if err = do(connector, newest); err == nil {
				newest, err = connector.Queue.Replay(c.Request.Context())
			}
			answer.Replays = append(answer.Replays, replayOf(connector.Name, newest))
		}
		if err != nil {
			a.noReplay(c, connector, err)
			return
		}
	}
	c.JSON(http.StatusOK, answer)
}
