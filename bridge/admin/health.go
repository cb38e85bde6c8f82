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

// ready answers whether batches are accepted and can be stored. A failing destination
// is in the body and does not change the status: the queue is there for that. A
// request with a foreign Host header gets yes or no, and nothing more.
func (a *Admin) ready(c *gin.Context) {
	reason := a.unready()
	answer := struct {
		Ready      bool             `json:"ready"`
		Reason     string           `json:"reason,omitempty"`
		Connectors []readyConnector `json:"connectors"`
	}{reason == "", reason, []readyConnector{}}
	if !a.hosts.Load().Knows(c.Request.Host) {
		c.JSON(statusOf(answer.Ready), gin.H{"ready": answer.Ready})
		return
	}
	for _, connector := range a.shown() {
		answer.Connectors = append(answer.Connectors, readyConnector{connector.Name, destinationOf(connector)})
	}
	c.JSON(statusOf(answer.Ready), answer)
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

func statusOf(ready bool) int {
	if ready {
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}
