package mockbraze

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// How the stream behaves.
const (
	streamEvery     = 250 * time.Millisecond // what changes in between is told at once
	streamHeartbeat = 15 * time.Second
	streamPatience  = 10 * time.Second // for a client that does not read
)

// summary is how a Current stands, in short.
type summary struct {
	ID     string `json:"id"`
	Kind   Kind   `json:"kind"`
	Name   string `json:"integration_name"`
	State  State  `json:"state"`
	Counts Counts `json:"counts"`
}

// news is the data of an event of the stream.
type news struct {
	Currents []summary `json:"currents"`
	// Current is the whole report of the one that was asked for, null where it
	// is gone.
	Current *Report `json:"current"`
}

// stream sends server-sent events: how all Currents stand, and all of the one
// that id names, whenever something changed. It buffers nothing: a client that
// is slow gets larger gaps.
func (a api) stream(c *gin.Context) {
	header := c.Writer.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("X-Accel-Buffering", "no") // a proxy would hold it back
	control := http.NewResponseController(c.Writer)
	send := func(text string) error {
		_ = control.SetWriteDeadline(time.Now().Add(streamPatience)) // not every writer has deadlines
		if _, err := c.Writer.WriteString(text); err != nil {
			return err
		}
		return control.Flush()
	}
	ticker := time.NewTicker(streamEvery)
	defer ticker.Stop()
	var told uint64
	var spoke time.Time
	for {
		text := ""
		if now := a.server.changes.Load(); spoke.IsZero() || now != told {
			told = now
			text = a.news(c.Query("id"))
		} else if time.Since(spoke) >= streamHeartbeat {
			text = ": still here\n\n"
		}
		if text != "" {
			if send(text) != nil {
				return
			}
			spoke = time.Now()
		}
		select {
		case <-ticker.C:
		case <-c.Request.Context().Done():
			return
		case <-a.server.ctx.Done():
			return
		}
	}
}

// news is an event for the stream.
func (a api) news(id string) string {
	n := news{Currents: []summary{}}
	for _, current := range a.server.Currents() {
		n.Currents = append(n.Currents, current.summary())
		if current.id == id {
			r := current.Report()
			n.Current = &r
		}
	}
	text, err := json.Marshal(n)
	if err != nil {
		return ": " + err.Error() + "\n\n"
	}
	return fmt.Sprintf("event: state\ndata: %s\n\n", text)
}

func (c *Connector) summary() summary {
	c.mu.Lock()
	defer c.mu.Unlock()
	return summary{ID: c.id, Kind: c.spec.Kind, Name: c.spec.Name, State: c.state, Counts: c.counts}
}
