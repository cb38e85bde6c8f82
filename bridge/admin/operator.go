package admin

import (
	"bytes"
	"fmt"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/drift"
)

// Resumed is what /api/resume answers: whose destinations are tried again.
type Resumed struct {
	Resumed []string `json:"resumed"`
}

// resume has destinations tried again at once.
func (a *Admin) resume(r request) (any, error) {
	connectors, err := deliveredFor(r)
	if err != nil {
		return nil, err
	}
	answer := Resumed{Resumed: []string{}}
	for _, connector := range connectors {
		connector.Sender.Resume()
		a.cfg.Log.Info("destination is resumed", "connector", connector.Name)
		answer.Resumed = append(answer.Resumed, connector.Name)
	}
	return answer, nil
}

// Forgotten is what /api/forget answers, in events: of all connectors of the
// request, and of each.
type Forgotten struct {
	History int `json:"history"` // removed from history
	Dead    int `json:"dead"`    // removed from the dead letters
	// Pending counts what waits for delivery and was left: forget again once it
	// is delivered.
	Pending    int                  `json:"pending"`
	Connectors []ConnectorForgotten `json:"connectors"`
}

// ConnectorForgotten is a connector's part of Forgotten.
type ConnectorForgotten struct {
	Connector string `json:"connector"`
	History   int    `json:"history"`
	Dead      int    `json:"dead"`
	Pending   int    `json:"pending"`
}

// forget removes the events of a person from history and dead letters. It may
// take minutes, and the id never reaches the log.
func (a *Admin) forget(r request) (any, error) {
	user := r.values.Get("user")
	if user == "" {
		return nil, bad("user is missing: the external_user_id of the person")
	}
	connectors := r.connectors
	if r.values.Get("connector") == "" {
		connectors = *a.connectors.Load() // where nothing waits there is history all the same
	}
	patient(r.Context)
	answer := Forgotten{Connectors: []ConnectorForgotten{}}
	for _, connector := range connectors {
		erased, err := connector.Queue.Erase(r.ctx, eventsOf(user))
		if err != nil {
			return nil, fmt.Errorf("not everything could be removed, ask again: %w", connector.failed(err))
		}
		a.cfg.Log.Info("a person's events were removed", "connector", connector.Name,
			"history", erased.History, "dead", erased.Dead, "pending", erased.Pending)
		answer.History += erased.History
		answer.Dead += erased.Dead
		answer.Pending += erased.Pending
		answer.Connectors = append(answer.Connectors, ConnectorForgotten{connector.Name, erased.History, erased.Dead, erased.Pending})
	}
	return answer, nil
}

// eventsOf tells whether an event has exactly this external_user_id: a string's
// text, or a number as it is written. It is not safe for concurrent use.
func eventsOf(user string) func(event []byte) bool {
	want := []byte(user)
	var scan currents.Batch
	var text []byte
	return func(event []byte) bool {
		if scan.ScanEvent(event) != nil {
			return false
		}
		id := scan.Events[0].ExternalUserID
		decoded, ok := currents.AppendText(text[:0], id)
		if !ok { // a number is compared as written; null, true and the like are no id
			return len(id) > 0 && (id[0] == '-' || id[0] >= '0' && id[0] <= '9') && bytes.Equal(id, want)
		}
		text = decoded
		return bytes.Equal(text, want)
	}
}

// Drift is what /api/drift answers: what Braze sent since the start that the
// glossary does not have.
type Drift struct {
	Drift []drift.Item `json:"drift"`
}

func (a *Admin) drift(request) (any, error) {
	return Drift{Drift: append([]drift.Item{}, a.cfg.Bridge.Unknown()...)}, nil
}
