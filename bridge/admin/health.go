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

// ready answers whether batches are taken and can be stored. A destination in trouble is in
// the body and no reason to send Braze away: the queue is there for that. Whoever
// asks for a host that could be anybody's is told yes or no, and nothing more.
func (a *Admin) ready(c *gin.Context) {
	usage := a.cfg.Usage()
	answer := struct {
		Ready      bool             `json:"ready"`
		Reason     string           `json:"reason,omitempty"`
		Connectors []readyConnector `json:"connectors"`
	}{Ready: true, Connectors: []readyConnector{}}
	switch {
	case a.stopping.Load():
		answer.Ready, answer.Reason = false, "the bridge is stopping"
	case usage.Err != nil:
		answer.Ready, answer.Reason = false, usage.Err.Error()
	case usage.Away != nil:
		answer.Ready, answer.Reason = false, usage.Away.Error()
	case usage.Full:
		answer.Ready, answer.Reason = false, queue.ErrFull.Error()
	}
	if !a.hosts.Load().Knows(c.Request.Host) {
		c.JSON(statusOf(answer.Ready), gin.H{"ready": answer.Ready})
		return
	}
	for _, connector := range a.shown() {
		answer.Connectors = append(answer.Connectors, readyConnector{connector.Name, destinationOf(connector)})
	}
	c.JSON(statusOf(answer.Ready), answer)
}

func statusOf(ready bool) int {
	if ready {
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}
