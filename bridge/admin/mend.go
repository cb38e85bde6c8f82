package admin

import (
	"bytes"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/drift"
)

// Resumed is what /api/resume answers: whose destinations are tried again.
type Resumed struct {
	Resumed []string `json:"resumed"`
}

// resume has destinations tried again at once.
func (a *Admin) resume(c *gin.Context) {
	values, ok := form(c)
	if !ok {
		return
	}
	connectors, ok := a.deliveredFor(c, values)
	if !ok {
		return
	}
	answer := Resumed{Resumed: []string{}}
	for _, connector := range connectors {
		connector.Resume()
		a.cfg.Log.Info("destination is told to resume", "connector", connector.Name)
		answer.Resumed = append(answer.Resumed, connector.Name)
	}
	c.JSON(http.StatusOK, answer)
}

// Forgotten is what /api/forget answers, in events: of all connectors that were
// meant, and of each.
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
// take minutes, and who is meant never reaches the log.
func (a *Admin) forget(c *gin.Context) {
	values, ok := form(c)
	if !ok {
		return
	}
	user := values.Get("user")
	if user == "" {
		fail(c, http.StatusBadRequest, "user is missing: the external_user_id of the person")
		return
	}
	connectors, ok := a.meant(c, values)
	if !ok {
		return
	}
	if values.Get("connector") == "" {
		connectors = *a.connectors.Load() // where nothing waits there is history all the same
	}
	patient(c)
	answer := Forgotten{Connectors: []ConnectorForgotten{}}
	for _, connector := range connectors {
		erased, err := connector.Queue.Erase(c.Request.Context(), eventsOf(user))
		if err != nil {
			a.cfg.Log.Error("a person's events could not be removed", "connector", connector.Name, "error", err)
			fail(c, http.StatusInternalServerError, "not everything could be removed, ask again: connector "+connector.Name+": "+err.Error())
			return
		}
		a.cfg.Log.Info("a person's events were removed", "connector", connector.Name,
			"history", erased.History, "dead", erased.Dead, "pending", erased.Pending)
		answer.History += erased.History
		answer.Dead += erased.Dead
		answer.Pending += erased.Pending
		answer.Connectors = append(answer.Connectors, ConnectorForgotten{connector.Name, erased.History, erased.Dead, erased.Pending})
	}
	c.JSON(http.StatusOK, answer)
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
		if !ok { // a number stands for itself, but null, true and the like for nobody
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

func (a *Admin) drift(c *gin.Context) {
	answer := Drift{Drift: a.cfg.Drift()}
	if answer.Drift == nil {
		answer.Drift = []drift.Item{}
	}
	c.JSON(http.StatusOK, answer)
}
