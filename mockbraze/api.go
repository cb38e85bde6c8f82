package mockbraze

import (
	"context"
	_ "embed" // for openapi.json
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/currentsbridge/currentsbridge/internal/journey"
	"github.com/currentsbridge/currentsbridge/mockbraze/console"
)

// Limits of the control API.
const (
	maxRequestBody = 1 << 20
	// maxSend is how many events one send may ask for.
	maxSend = 10_000_000
	// sendWait is how long a send waits for its answers before it is answered
	// 202 and goes on by itself.
	sendWait = 20 * time.Second
)

// api is the control API of a Server.
type api struct {
	server   *Server
	patience time.Duration // how long a send waits for its answers
	page     http.Handler
}

// Handler is the page at / and the control API, which /api/openapi.json
// describes: POST /api/currents makes a Current, POST
// /api/currents/ID/launch, …/pause and …/send?events=N run it, GET
// /api/currents and /api/currents/ID show how it stands. Answers are JSON; an
// error says what is wrong and what to do. It asks nobody for a password:
// serve it on loopback only. What a browser sends for a page from elsewhere is
// answered 403, also where that page had a name of its own lead here; see
// WithAllowedHosts.
func (s *Server) Handler() http.Handler {
	return api{server: s, patience: sendWait, page: console.Handler()}.routes()
}

// route is one operation of the control API; params are the query parameters
// that it takes.
type route struct {
	method, path string
	params       []string
	do           gin.HandlerFunc
}

func (a api) table() []route {
	return []route{
		{"GET", "/api/currents", nil, a.list},
		{"POST", "/api/currents", nil, a.create},
		{"POST", "/api/currents/test", nil, a.testForm},
		{"GET", "/api/currents/:id", nil, a.with(a.show)},
		{"PATCH", "/api/currents/:id", nil, a.with(a.change)},
		{"DELETE", "/api/currents/:id", nil, a.with(a.remove)},
		{"POST", "/api/currents/:id/test", nil, a.with(a.test)},
		{"POST", "/api/currents/:id/launch", nil, a.with(a.launch)},
		{"POST", "/api/currents/:id/pause", nil, a.with(a.pause)},
		{"POST", "/api/currents/:id/flush", nil, a.with(a.flush)},
		{"POST", "/api/currents/:id/send", []string{"events", "count", "types", "scenario"}, a.with(a.send)},
		{"GET", "/api/currents/:id/seconds", nil, a.with(a.seconds)},
		{"GET", "/api/event-types", nil, a.eventTypes},
		{"GET", "/api/stream", []string{"id"}, a.stream},
		{"GET", "/api/openapi.json", nil, describe},
	}
}

func (a api) routes() http.Handler {
	e := gin.New()
	e.HandleMethodNotAllowed = true
	e.RedirectTrailingSlash = false // gin redirects with a page in HTML
	e.Use(gin.CustomRecoveryWithWriter(io.Discard, func(c *gin.Context, _ any) {
		fail(c, http.StatusInternalServerError, errors.New("mockbraze failed on this request"), "Report it with the request that you sent.")
	}), a.ownPages, headers)
	e.NoRoute(func(c *gin.Context) {
		if a.page != nil && !strings.HasPrefix(c.Request.URL.Path, "/api/") {
			c.Writer.WriteHeader(http.StatusOK) // gin begins with 404 here; the page decides anew
			a.page.ServeHTTP(c.Writer, c.Request)
			return
		}
		fail(c, http.StatusNotFound, fmt.Errorf("no such path: %s", c.Request.URL.Path), "Start with GET or POST /api/currents; /api/openapi.json lists everything.")
	})
	e.NoMethod(func(c *gin.Context) {
		fail(c, http.StatusMethodNotAllowed, fmt.Errorf("%s is not allowed here", c.Request.Method), "Allowed: "+c.Writer.Header().Get("Allow")+".")
	})
	for _, r := range a.table() {
		e.Handle(r.method, r.path, knownParams(r.params), r.do)
	}
	return e
}

// ownPages turns down what pages of other sites send through a browser.
func (a api) ownPages(c *gin.Context) {
	if no := a.server.hosts.Check(c.Request); no != nil {
		fail(c, http.StatusForbidden, errors.New(no.Reason), no.Remedy)
	}
}

func headers(c *gin.Context) {
	c.Header("Cache-Control", "no-store")
	c.Header("X-Content-Type-Options", "nosniff")
}

// knownParams turns down a query parameter that an operation does not take.
func knownParams(known []string) gin.HandlerFunc {
	return func(c *gin.Context) {
		for name := range c.Request.URL.Query() {
			if !slices.Contains(known, name) {
				todo := "It takes none."
				if len(known) > 0 {
					todo = "It takes " + strings.Join(known, ", ") + "."
				}
				fail(c, http.StatusBadRequest, fmt.Errorf("there is no parameter %q here", name), todo)
				return
			}
		}
	}
}

//go:embed openapi.json
var openAPI []byte

func describe(c *gin.Context) { c.Data(http.StatusOK, "application/json; charset=utf-8", openAPI) }

// fail answers with an error and what to do about it.
func fail(c *gin.Context, status int, err error, todo string) {
	c.AbortWithStatusJSON(status, gin.H{"error": err.Error(), "what_to_do": todo})
}

// decode reads a JSON body into v; an empty one leaves v as it is.
func decode(c *gin.Context, v any) error {
	dec := json.NewDecoder(http.MaxBytesReader(c.Writer, c.Request.Body, maxRequestBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("the body cannot be read: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the body cannot be read: there is something behind the JSON object")
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

// family is what Braze's documentation and its form call a group of types.
type family struct {
	Family string      `json:"family"`
	Title  string      `json:"title"`
	Events []typeEntry `json:"events"`
}

// typeEntry is one event type of the form.
type typeEntry struct {
	Name string `json:"name"`
	// Readable is what RudderStack calls it, empty where it has no name.
	Readable string `json:"readable_name"`
	// Group is the channel of a message event, or the kind of another.
	Group  string `json:"group"`
	Legacy bool   `json:"legacy"`
	Beta   bool   `json:"beta"`
}

// eventTypes lists every event type, and the scenarios.
func (a api) eventTypes(c *gin.Context) {
	families := []family{
		{Family: "message", Title: "Message engagement events"},
		{Family: "behavior", Title: "Customer behavior events"},
		{Family: "user", Title: "User events"},
		{Family: "agent", Title: "Agent events"},
	}
	for i := range families {
		f := &families[i]
		f.Events = []typeEntry{}
		for _, t := range a.server.glossary.Events {
			if t.Family == f.Family {
				f.Events = append(f.Events, typeEntry{t.Name, t.RudderName, groupOf(t.Name), t.Legacy, t.Beta})
			}
		}
	}
	c.JSON(http.StatusOK, gin.H{"families": families, "scenarios": a.server.Scenarios()})
}

// groupOf is the second last part of a name, such as email of
// users.messages.email.Open.
func groupOf(name string) string {
	parts := strings.Split(name, ".")
	if len(parts) < 2 {
		return ""
	}
	return parts[len(parts)-2]
}

// currentForm is what Braze's form asks for, and how the fake is to run it.
type currentForm struct {
	Kind    Kind     `json:"kind"`
	Name    string   `json:"integration_name"`
	Contact string   `json:"contact_email"`
	URL     string   `json:"url"`
	Token   string   `json:"token"`
	Region  string   `json:"region"`
	Events  []string `json:"events"`

	Batch        int     `json:"batch"`
	FlushAfter   float64 `json:"flush_after_seconds"`
	Rate         float64 `json:"rate"`
	Scenario     string  `json:"scenario"`
	OlderAccount bool    `json:"older_account"`
	EmptyProbe   bool    `json:"empty_probe"`
}

const formTodo = `Send {"kind":"http" or "rudderstack","integration_name","contact_email","url","token","region","events":[…]}; only url is needed, and events may hold patterns such as users.messages.email.*.`

// maxFlushAfter is far more than Braze ever waits.
const maxFlushAfter = 24 * time.Hour

// read makes a Current of the body, or fails the request.
func (a api) read(c *gin.Context) (spec Current, ok bool) {
	var form currentForm
	err := decode(c, &form)
	if err == nil && !(form.FlushAfter >= 0 && form.FlushAfter <= maxFlushAfter.Seconds()) {
		err = fmt.Errorf("flush_after_seconds: %v is not from 0 to %.0f", form.FlushAfter, maxFlushAfter.Seconds())
	}
	if err != nil {
		fail(c, http.StatusBadRequest, err, formTodo)
		return Current{}, false
	}
	return Current{
		Kind: form.Kind, Name: form.Name, Contact: form.Contact, Region: form.Region,
		URL: form.URL, Token: form.Token, Events: form.Events, Batch: form.Batch,
		FlushAfter: time.Duration(form.FlushAfter * float64(time.Second)), Rate: form.Rate,
		Scenario: form.Scenario, OlderAccount: form.OlderAccount, EmptyProbe: form.EmptyProbe,
	}, true
}

func (a api) list(c *gin.Context) {
	reports := []Report{}
	for _, current := range a.server.Currents() {
		reports = append(reports, current.Report())
	}
	c.JSON(http.StatusOK, gin.H{"currents": reports})
}

func (a api) show(c *gin.Context, current *Connector) { c.JSON(http.StatusOK, current.Report()) }

func (a api) create(c *gin.Context) {
	spec, ok := a.read(c)
	if !ok {
		return
	}
	current, err := a.server.Create(spec)
	if err != nil {
		fail(c, http.StatusBadRequest, err, formTodo)
		return
	}
	c.Header("Location", "/api/currents/"+current.ID())
	c.JSON(http.StatusCreated, current.Report())
}

// change takes what may be changed while a Current runs; what is left out stays.
func (a api) change(c *gin.Context, current *Connector) {
	const todo = `Send {"rate":10,"url":"…","token":"…"}, or some of them.`
	var form struct {
		Rate  *float64 `json:"rate"`
		URL   string   `json:"url"`
		Token string   `json:"token"`
	}
	err := decode(c, &form)
	if err == nil && form.Rate != nil {
		err = checkRate(*form.Rate)
	}
	if err == nil {
		err = current.Mend(form.URL, form.Token)
	}
	if err == nil && form.Rate != nil {
		err = current.SetRate(*form.Rate)
	}
	if err != nil {
		fail(c, http.StatusBadRequest, err, todo)
		return
	}
	c.JSON(http.StatusOK, current.Report())
}

func (a api) remove(c *gin.Context, current *Connector) {
	a.server.Delete(current.ID())
	c.JSON(http.StatusOK, gin.H{"id": current.ID(), "state": current.State()})
}

// tested is the answer to a test of credentials.
type tested struct {
	Verdict Verdict `json:"verdict"`
	// Says is what the verdict means, in words.
	Says   string `json:"says"`
	Answer Answer `json:"answer"`
}

func newTested(a Answer, kind Kind) tested {
	t := tested{Verdict: a.Verdict(kind), Answer: a}
	switch {
	case t.Verdict == Denied:
		t.Says = fmt.Sprintf("The endpoint answers %d %s. Check the URL and the token.", a.Status, http.StatusText(a.Status))
	case t.Verdict == Good && a.Status == http.StatusBadRequest:
		t.Says = "RudderStack answers 400 to a request without events: it is there and knows the write key."
	case t.Verdict == Good:
		t.Says = fmt.Sprintf("The endpoint answers %d: the credentials are good.", a.Status)
	case a.Status == 0:
		t.Says = "There was no answer. A launch goes through, and batches are tried until one comes."
	default:
		t.Says = fmt.Sprintf("The endpoint answers %d %s, which says nothing of the credentials. A launch goes through.", a.Status, http.StatusText(a.Status))
	}
	return t
}

// testForm probes credentials without making a Current.
func (a api) testForm(c *gin.Context) {
	spec, ok := a.read(c)
	if !ok {
		return
	}
	answer, err := a.server.Test(c.Request.Context(), spec)
	if err != nil {
		fail(c, http.StatusBadRequest, err, formTodo)
		return
	}
	c.JSON(http.StatusOK, newTested(answer, spec.Kind))
}

func (a api) test(c *gin.Context, current *Connector) {
	answer, err := current.Test(c.Request.Context())
	if err != nil {
		fail(c, http.StatusServiceUnavailable, err, "Try again.")
		return
	}
	c.JSON(http.StatusOK, newTested(answer, current.spec.Kind))
}

// credentials are what may be mended with a launch.
type credentials struct {
	URL   string `json:"url"`
	Token string `json:"token"`
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

func (a api) flush(c *gin.Context, current *Connector) {
	current.Flush()
	c.JSON(http.StatusOK, current.Report())
}

func (a api) seconds(c *gin.Context, current *Connector) {
	c.JSON(http.StatusOK, gin.H{"seconds": current.Seconds()})
}

func launchPath(current *Connector) string { return "/api/currents/" + current.ID() + "/launch" }

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
