package admin

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

type readyConnector struct {
	Name        string      `json:"name"`
	Destination Destination `json:"destination"`
}

// ready answers whether batches can be stored. A destination in trouble is in
// the body and no reason to send Braze away: the queue is there for that.
func (a *Admin) ready(c *gin.Context) {
	usage := a.cfg.Usage()
	answer := struct {
		Ready      bool             `json:"ready"`
		Reason     string           `json:"reason,omitempty"`
		Connectors []readyConnector `json:"connectors"`
	}{Ready: true, Connectors: []readyConnector{}}
	switch {
	case usage.Err != nil:
		answer.Ready, answer.Reason = false, usage.Err.Error()
	case usage.Away != nil:
		answer.Ready, answer.Reason = false, usage.Away.Error()
	case usage.Full:
		answer.Ready, answer.Reason = false, queue.ErrFull.Error()
	}
	for _, connector := range a.shown() {
		answer.Connectors = append(answer.Connectors, readyConnector{connector.Name, destinationOf(connector)})
	}
	status := http.StatusOK
	if !answer.Ready {
		status = http.StatusServiceUnavailable
	}
	c.JSON(status, answer)
}
