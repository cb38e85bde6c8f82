package admin

import (
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/currentsbridge/currentsbridge/bridge/intake"
)

// Backfilled is what /api/backfill answers, in events. Accepted includes
// Filtered and Dead.
type Backfilled struct {
	Accepted   int `json:"accepted"`
	Duplicates int `json:"duplicates"`
	Filtered   int `json:"filtered"`
	Dead       int `json:"dead"`
}

// maxBackfillPending is how many events of the connector may be pending when more are
// backfilled, so that the disk has space for events from Braze.
const maxBackfillPending = 20_000

// backfill stores the events of a body {"events":[…]} for the connector that the
// query names. 503 is for what may go better later.
func (a *Admin) backfill(c *gin.Context) {
	values := c.Request.URL.Query()
	if values.Get("connector") == "" {
		fail(c, http.StatusBadRequest, "connector is missing: whose events these are")
		return
	}
	connectors, err := a.named(values)
	if err == nil {
		connectors, err = deliveredFor(request{c, c.Request.Context(), values, connectors})
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	to := connectors[0]
	if pending := to.Queue.Ledger().Pending(); pending > maxBackfillPending {
		fail(c, http.StatusServiceUnavailable, fmt.Sprintf("%d events are pending already; backfill goes on below %d", pending, maxBackfillPending))
		return
	}
	receipt, err := a.cfg.Bridge.Backfill(to.Name, c.Request.Body)
	if err != nil {
		status, text := intake.Explain(err)
		fail(c, status, text)
		return
	}
	c.JSON(http.StatusOK, Backfilled(receipt))
}
