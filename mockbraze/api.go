package mockbraze

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
)

// Limits of the control API.
const (
	maxRequestBody = 1 << 20
	// sendWait is how long a send waits for its answers before it is answered
	// 202 and goes on by itself.
	sendWait = 20 * time.Second
)

// api is the control API of a Server.
type api struct {
	server   *Server
	patience time.Duration // how long a send waits for its answers
}

// Handler is the control API: POST /api/currents makes a Current, POST
// /api/currents/ID/launch, …/pause and …/send?events=N run it, GET
// /api/currents and /api/currents/ID show how it stands. Answers are JSON; an
// error says what is wrong and what to do. It asks nobody for a password:
// serve it on loopback only.
func (s *Server) Handler() http.Handler { return api{server: s, patience: sendWait}.routes() }

func (a api) routes() http.Handler {
	e := gin.New()
	e.HandleMethodNotAllowed = true
	e.Use(gin.CustomRecoveryWithWriter(io.Discard, func(c *gin.Context, _ any) {
		fail(c, http.StatusInternalServerError, errors.New("mockbraze failed on this request"), "Report it with the request that you sent.")
	}))
	e.NoRoute(func(c *gin.Context) {
		fail(c, http.StatusNotFound, fmt.Errorf("no such path: %s", c.Request.URL.Path), "Start with GET or POST /api/currents.")
	})
	e.NoMethod(func(c *gin.Context) {
		fail(c, http.StatusMethodNotAllowed, fmt.Errorf("%s is not allowed here", c.Request.Method), "Allowed: "+c.Writer.Header().Get("Allow")+".")
	})
	e.GET("/api/currents", a.list)
	e.POST("/api/currents", a.create)
	e.GET("/api/currents/:id", a.with(func(c *gin.Context, current *Connector) { c.JSON(http.StatusOK, current.Report()) }))
	e.POST("/api/currents/:id/launch", a.with(a.launch))
	e.POST("/api/currents/:id/pause", a.with(a.pause))
	e.POST("/api/currents/:id/send", a.with(a.send))
	return e
}

// fail answers with an error and what to do about it.
func fail(c *gin.Context, status int, err error, todo string) {
	c.AbortWithStatusJSON(status, gin.H{"error": err.Error(), "what_to_do": todo})
}

// currentForm is what Braze's form asks for.
type currentForm struct {
	Kind    Kind     `json:"kind"`
	Name    string   `json:"integration_name"`
	Contact string   `json:"contact_email"`
	URL     string   `json:"url"`
	Token   string   `json:"token"`
	Region  string   `json:"region"`
	Events  []string `json:"events"`
}

// credentials are what may be mended with a launch.
type credentials struct {
	URL   string `json:"url"`
	Token string `json:"token"`
}

// decode reads a JSON body into v; an empty one leaves v as it is.
func decode(c *gin.Context, v any) error {
	dec := json.NewDecoder(http.MaxBytesReader(c.Writer, c.Request.Body, maxRequestBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("the body cannot be read: %w", err)
	}
	return nil
}

// with finds the Current that the path names.
func (a api) with(do func(*gin.Context, *Connector)) gin.HandlerFunc {
	return func(c *gin.Context) {
		current, ok := a.server.Current(c.Param("id"))
		if !ok {
			fail(c, http.StatusNotFound, fmt.Errorf("there is no Current %q", c.Param("id")), "GET /api/currents lists them.")
			return
		}
		do(c, current)
	}
}

func (a api) list(c *gin.Context) {
	reports := []Report{}
	for _, current := range a.server.Currents() {
		reports = append(reports, current.Report())
	}
	c.JSON(http.StatusOK, gin.H{"currents": reports})
}

func (a api) create(c *gin.Context) {
	const todo = `Send {"kind":"http" or "rudderstack","integration_name","contact_email","url","token","region","events":[…]}; only url is needed, and events may hold patterns such as users.messages.email.*.`
	var form currentForm
	if err := decode(c, &form); err != nil {
		fail(c, http.StatusBadRequest, err, todo)
		return
	}
	current, err := a.server.Create(Current{
		Kind: form.Kind, Name: form.Name, Contact: form.Contact, Region: form.Region,
		URL: form.URL, Token: form.Token, Events: form.Events,
	})
	if err != nil {
		fail(c, http.StatusBadRequest, err, todo)
		return
	}
	c.Header("Location", "/api/currents/"+current.ID())
	c.JSON(http.StatusCreated, current.Report())
}

// launch takes a new URL or token along, where the old one was wrong.
func (a api) launch(c *gin.Context, current *Connector) {
	var mended credentials
	err := decode(c, &mended)
	if err == nil {
		err = current.Mend(mended.URL, mended.Token)
	}
	if err != nil {
		fail(c, http.StatusBadRequest, err, `Send no body, or {"url":"…","token":"…"} to change one of them.`)
		return
	}
	var refused *LaunchError
	switch err := current.Launch(c.Request.Context()); {
	case errors.As(err, &refused):
		fail(c, http.StatusUnprocessableEntity, err, `Launch again with {"url":"…","token":"…"}, as they should be.`)
	case err != nil:
		fail(c, http.StatusServiceUnavailable, err, "Try again.")
	default:
		c.JSON(http.StatusOK, current.Report())
	}
}

func (a api) pause(c *gin.Context, current *Connector) {
	if err := current.Pause(); err != nil {
		fail(c, http.StatusConflict, err, "POST "+launchPath(current))
		return
	}
	c.JSON(http.StatusOK, current.Report())
}

func launchPath(current *Connector) string { return "/api/currents/" + current.ID() + "/launch" }

// sent is the answer to a send.
type sent struct {
	ID     string `json:"id"`
	Events int    `json:"events"`
	State  State  `json:"state"`
	Outcome
}

// send answers 200 once every event was answered for, 202 when that takes
// longer than sendWait. Sending goes on though the client has gone.
func (a api) send(c *gin.Context, current *Connector) {
	n, err := strconv.Atoi(c.Query("events"))
	if err != nil || n < 0 {
		fail(c, http.StatusBadRequest, fmt.Errorf("events=%q is no number of events", c.Query("events")),
			"POST "+c.Request.URL.Path+"?events=100")
		return
	}
	type result struct {
		outcome Outcome
		err     error
	}
	done := make(chan result, 1)
	if !a.server.background(func(ctx context.Context) {
		outcome, err := current.sendAt(ctx, n, 0)
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
			fail(c, http.StatusConflict, r.err, "POST "+launchPath(current))
			return
		}
		c.JSON(http.StatusOK, sent{ID: current.ID(), Events: n, State: current.State(), Outcome: r.outcome})
	}
}
