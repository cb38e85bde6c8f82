package mockbraze

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/currentsbridge/currentsbridge/mockbraze/journey"
)

// sendForm is what a send asks for, as query parameters or as a JSON body.
type sendForm struct {
	Events   *int     `json:"events"`
	Count    *int     `json:"count"` // another word for Events
	Types    []string `json:"types"`
	Scenario string   `json:"scenario"`
}

// sent is the answer to a send.
type sent struct {
	ID     string `json:"id"`
	Events int    `json:"events"`
	State  State  `json:"state"`
	Outcome
}

// readSend merges the body and the query, which goes first.
func readSend(c *gin.Context) (form sendForm, n int, err error) {
	if err := decode(c, &form); err != nil {
		return form, 0, err
	}
	for name, into := range map[string]**int{"events": &form.Events, "count": &form.Count} {
		text, given := c.GetQuery(name)
		if !given {
			continue
		}
		number, err := strconv.Atoi(text)
		if err != nil {
			return form, 0, fmt.Errorf("%s=%q is no number of events", name, text)
		}
		*into = &number
	}
	if types := c.QueryArray("types"); len(types) > 0 {
		form.Types = strings.Split(strings.Join(types, ","), ",")
	}
	if scenario := c.Query("scenario"); scenario != "" {
		form.Scenario = scenario
	}
	number := form.Events
	if number == nil {
		number = form.Count
	}
	switch {
	case number == nil:
		return form, 0, errors.New("it is not said how many events")
	case *number < 0 || *number > maxSend:
		return form, 0, fmt.Errorf("events=%d is not from 0 to %d", *number, maxSend)
	}
	return form, *number, nil
}

// send answers 200 once every event was answered for, 202 when that takes
// longer than sendWait. Sending goes on though the client has gone.
func (a api) send(c *gin.Context, current *Connector) {
	form, n, err := readSend(c)
	var from *feed
	if err == nil {
		from, err = current.feeds.of(form.Scenario, form.Types)
	}
	if err != nil {
		fail(c, http.StatusBadRequest, fmt.Errorf("send: %w", err),
			"POST "+c.Request.URL.Path+"?events=100, with types=users.messages.email.* or scenario=NAME where others than all of the Current's are wanted")
		return
	}
	type result struct {
		outcome Outcome
		err     error
	}
	done := make(chan result, 1)
	if !a.server.background(func(ctx context.Context) {
		outcome, err := current.sendFrom(ctx, from, n)
		done <- result{outcome, err}
	}) {
		fail(c, http.StatusServiceUnavailable, ErrClosed, "Start mockbraze again.")
		return
	}
	patience, cancel := context.WithTimeout(c.Request.Context(), a.patience)
	defer cancel()
	select {
	case <-patience.Done():
		c.JSON(http.StatusAccepted, gin.H{
			"id": current.ID(), "events": n, "state": current.State(),
			"what_to_do": "It goes on by itself; GET /api/currents/" + current.ID() + " shows how far it is.",
		})
	case r := <-done:
		if r.err != nil && !errors.Is(r.err, ErrDropped) {
			todo := "POST " + launchPath(current)
			if errors.Is(r.err, journey.ErrOver) {
				todo = "Send with another scenario, or with other types."
			}
			fail(c, http.StatusConflict, r.err, todo)
			return
		}
		c.JSON(http.StatusOK, sent{ID: current.ID(), Events: n, State: current.State(), Outcome: r.outcome})
	}
}
