package mockbraze

import (
	"context"
	_ "embed" // for openapi.json
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

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
	// maxFlushAfter is far more than Braze ever waits.
	maxFlushAfter = 24 * time.Hour
)

// api is the control API of a Server.
type api struct {
	server *Server
	wait   time.Duration // how long a send waits for its answers
	page   http.Handler
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
	return api{server: s, wait: sendWait, page: console.Handler()}.routes()
}

// route is one operation of the control API; params are the query parameters
// that it takes.
type route struct {
	method, path string
	params       []string
	do           http.HandlerFunc
}

func (a api) table() []route {
	return []route{
		{"GET", "/api/currents", nil, a.list},
		{"POST", "/api/currents", nil, a.create},
		{"POST", "/api/currents/test", nil, a.testForm},
		{"GET", "/api/currents/{id}", nil, a.with(a.show)},
		{"PATCH", "/api/currents/{id}", nil, a.with(a.change)},
		{"DELETE", "/api/currents/{id}", nil, a.with(a.remove)},
		{"POST", "/api/currents/{id}/test", nil, a.with(a.test)},
		{"POST", "/api/currents/{id}/test-events", nil, a.with(a.testEvents)},
		{"POST", "/api/currents/{id}/launch", nil, a.with(a.launch)},
		{"POST", "/api/currents/{id}/pause", nil, a.with(a.pause)},
		{"POST", "/api/currents/{id}/flush", nil, a.with(a.flush)},
		{"POST", "/api/currents/{id}/send", []string{"events", "types", "scenario"}, a.with(a.send)},
		{"GET", "/api/currents/{id}/seconds", nil, a.with(a.seconds)},
		{"GET", "/api/event-types", nil, a.eventTypes},
		{"GET", "/api/stream", []string{"id"}, a.stream},
		{"GET", "/api/openapi.json", nil, describe},
	}
}

// routes dispatches by path and then by method, so that each mistake is answered
// in JSON; what is no path of the API goes to the page.
func (a api) routes() http.Handler {
	mux := http.NewServeMux()
	methods := make(map[string]map[string]route)
	for _, r := range a.table() {
		if methods[r.path] == nil {
			methods[r.path] = make(map[string]route)
		}
		methods[r.path][r.method] = r
	}
	for path, allowed := range methods {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { dispatch(w, r, allowed) })
	}
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, http.StatusNotFound, fmt.Errorf("no such path: %s", r.URL.Path), "Start with GET or POST /api/currents; /api/openapi.json lists everything.")
	})
	if a.page != nil {
		mux.Handle("/", a.page)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if no := a.server.hosts.Check(r); no != nil { // a page of another site
			fail(w, http.StatusForbidden, errors.New(no.Reason), no.Remedy)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		mux.ServeHTTP(w, r)
	})
}

func dispatch(w http.ResponseWriter, r *http.Request, allowed map[string]route) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	op, ok := allowed[method]
	if !ok {
		names := strings.Join(slices.Sorted(maps.Keys(allowed)), ", ")
		w.Header().Set("Allow", names)
		fail(w, http.StatusMethodNotAllowed, fmt.Errorf("%s is not allowed here", r.Method), "Allowed: "+names+".")
		return
	}
	for name := range r.URL.Query() {
		if !slices.Contains(op.params, name) {
			todo := "It takes none."
			if len(op.params) > 0 {
				todo = "It takes " + strings.Join(op.params, ", ") + "."
			}
			fail(w, http.StatusBadRequest, fmt.Errorf("there is no parameter %q here", name), todo)
			return
		}
	}
	op.do(w, r)
}

//go:embed openapi.json
var openAPI []byte

func describe(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", jsonType)
	_, _ = w.Write(openAPI) // the client has gone where this fails
}

const jsonType = "application/json; charset=utf-8"

// answer writes v as JSON.
func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client has gone where this fails
}

// fail answers with an error and what to do about it.
func fail(w http.ResponseWriter, status int, err error, todo string) {
	answer(w, status, map[string]string{"error": err.Error(), "what_to_do": todo})
}

// decode reads a JSON body into v; an empty one leaves v as it is.
func decode(w http.ResponseWriter, r *http.Request, v any) error {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequestBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("the body cannot be read: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the body cannot be read: there is something behind the JSON object")
	}
	return nil
}

// onCurrent is an operation on one Current.
type onCurrent func(http.ResponseWriter, *http.Request, *Connector)

// with finds the Current that the path names.
func (a api) with(do onCurrent) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		current, ok := a.server.Current(r.PathValue("id"))
		if !ok {
			fail(w, http.StatusNotFound, fmt.Errorf("there is no Current %q", r.PathValue("id")), "GET /api/currents lists them.")
			return
		}
		do(w, r, current)
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
	Group   string `json:"group"`
	Retired bool   `json:"retired"`
	Beta    bool   `json:"beta"`
}

// eventTypes lists every event type, the scenarios, and the fields that can be
// transformed.
func (a api) eventTypes(w http.ResponseWriter, _ *http.Request) {
	families := []family{
		{Family: "message", Title: "Message engagement events"},
		{Family: "behavior", Title: "Customer behavior events"},
		{Family: "user", Title: "User events"},
		{Family: "agent", Title: "Agent events"},
		{Family: "optimizer", Title: "Content Optimizer events"},
	}
	for i := range families {
		f := &families[i]
		f.Events = []typeEntry{}
		for _, t := range a.server.glossary.Events {
			if t.Family == f.Family {
				f.Events = append(f.Events, typeEntry{t.Name, t.RudderName, groupOf(t.Name), t.Retired != "", t.Beta})
			}
		}
	}
	answer(w, http.StatusOK, map[string]any{
		"families": families, "scenarios": a.server.Scenarios(), "glossary": a.server.glossary.Version(),
		"string_fields": slices.Sorted(maps.Keys(stringFields(a.server.glossary))),
	})
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
	Kind        Kind                 `json:"kind"`
	Name        string               `json:"integration_name"`
	Contact     string               `json:"contact_email"`
	URL         string               `json:"url"`
	Token       string               `json:"token"`
	Region      string               `json:"region"`
	Events      []string             `json:"events"`
	Transforms  map[string]Transform `json:"field_transformations"`
	TestCurrent bool                 `json:"test_current"`

	Batch      int     `json:"batch"`
	FlushAfter float64 `json:"flush_after_seconds"`
	Rate       float64 `json:"rate"`
	Scenario   string  `json:"scenario"`
	EmptyProbe bool    `json:"empty_probe"`
}

const formTodo = `Send {"kind":"http" or "rudderstack","integration_name","contact_email","url","token","region","events":[…]}; only url is needed, and events may hold patterns such as users.messages.email.*.`

// read makes a Current of the body, or fails the request.
func (a api) read(w http.ResponseWriter, r *http.Request) (spec Current, ok bool) {
	var form currentForm
	err := decode(w, r, &form)
	if err == nil && !(form.FlushAfter >= 0 && form.FlushAfter <= maxFlushAfter.Seconds()) {
		err = fmt.Errorf("flush_after_seconds: %v is not from 0 to %.0f", form.FlushAfter, maxFlushAfter.Seconds())
	}
	if err != nil {
		fail(w, http.StatusBadRequest, err, formTodo)
		return Current{}, false
	}
	return Current{
		Kind: form.Kind, Name: form.Name, Contact: form.Contact, Region: form.Region,
		URL: form.URL, Token: form.Token, Events: form.Events, Transforms: form.Transforms, TestCurrent: form.TestCurrent,
		Batch: form.Batch, FlushAfter: time.Duration(form.FlushAfter * float64(time.Second)), Rate: form.Rate,
		Scenario: form.Scenario, EmptyProbe: form.EmptyProbe,
	}, true
}

func (a api) list(w http.ResponseWriter, _ *http.Request) {
	reports := []Report{}
	for _, current := range a.server.Currents() {
		reports = append(reports, current.Report())
	}
	answer(w, http.StatusOK, map[string]any{"currents": reports})
}

func (a api) show(w http.ResponseWriter, _ *http.Request, current *Connector) {
	answer(w, http.StatusOK, current.Report())
}

func (a api) create(w http.ResponseWriter, r *http.Request) {
	spec, ok := a.read(w, r)
	if !ok {
		return
	}
	current, err := a.server.Create(spec)
	if err != nil {
		fail(w, http.StatusBadRequest, err, formTodo)
		return
	}
	w.Header().Set("Location", "/api/currents/"+current.ID())
	answer(w, http.StatusCreated, current.Report())
}

// change takes what may be changed while a Current runs; what is left out stays.
func (a api) change(w http.ResponseWriter, r *http.Request, current *Connector) {
	var form struct {
		Rate  *float64 `json:"rate"`
		URL   string   `json:"url"`
		Token string   `json:"token"`
	}
	err := decode(w, r, &form)
	if err == nil && form.Rate != nil {
		err = checkRate(*form.Rate)
	}
	if err == nil {
		err = current.SetCredentials(form.URL, form.Token)
	}
	if err == nil && form.Rate != nil {
		err = current.SetRate(*form.Rate)
	}
	if err != nil {
		fail(w, http.StatusBadRequest, err, `Send {"rate":10,"url":"…","token":"…"}, or some of them.`)
		return
	}
	answer(w, http.StatusOK, current.Report())
}

func (a api) remove(w http.ResponseWriter, _ *http.Request, current *Connector) {
	a.server.Delete(current.ID())
	answer(w, http.StatusOK, map[string]any{"id": current.ID(), "state": current.State()})
}

// tested is the answer to a test of credentials; Says is what the verdict means,
// in words.
type tested struct {
	Verdict Verdict `json:"verdict"`
	Says    string  `json:"says"`
	Answer  Answer  `json:"answer"`
}

func newTested(a Answer, kind Kind) tested {
	t := tested{Verdict: a.Verdict(kind), Answer: a}
	switch {
	case a.untrusted:
		t.Says = "TLS fails. Check the URL and the certificate."
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
func (a api) testForm(w http.ResponseWriter, r *http.Request) {
	spec, ok := a.read(w, r)
	if !ok {
		return
	}
	probed, err := a.server.Test(r.Context(), spec)
	if err != nil {
		fail(w, http.StatusBadRequest, err, formTodo)
		return
	}
	answer(w, http.StatusOK, newTested(probed, spec.Kind))
}

func (a api) test(w http.ResponseWriter, r *http.Request, current *Connector) {
	probed, err := current.Test(r.Context())
	if err != nil {
		fail(w, http.StatusServiceUnavailable, err, "Try again.")
		return
	}
	answer(w, http.StatusOK, newTested(probed, current.spec.Kind))
}

func (a api) testEvents(w http.ResponseWriter, r *http.Request, current *Connector) {
	sent, err := current.SendTestEvents(r.Context())
	if err != nil {
		fail(w, http.StatusServiceUnavailable, err, "Try again.")
		return
	}
	answer(w, http.StatusOK, sent)
}

// launch takes a new URL or token along, where the old one was wrong.
func (a api) launch(w http.ResponseWriter, r *http.Request, current *Connector) {
	var given struct {
		URL   string `json:"url"`
		Token string `json:"token"`
	}
	err := decode(w, r, &given)
	if err == nil {
		err = current.SetCredentials(given.URL, given.Token)
	}
	if err != nil {
		fail(w, http.StatusBadRequest, err, `Send no body, or {"url":"…","token":"…"} to change one of them.`)
		return
	}
	var refused *LaunchError
	switch err := current.Launch(r.Context()); {
	case errors.As(err, &refused):
		fail(w, http.StatusUnprocessableEntity, err, `Launch again with {"url":"…","token":"…"}, as they should be.`)
	case err != nil:
		fail(w, http.StatusServiceUnavailable, err, "Try again.")
	default:
		answer(w, http.StatusOK, current.Report())
	}
}

func (a api) pause(w http.ResponseWriter, _ *http.Request, current *Connector) {
	if err := current.Pause(); err != nil {
		fail(w, http.StatusConflict, err, "POST "+launchPath(current))
		return
	}
	answer(w, http.StatusOK, current.Report())
}

func (a api) flush(w http.ResponseWriter, _ *http.Request, current *Connector) {
	current.Flush()
	answer(w, http.StatusOK, current.Report())
}

func (a api) seconds(w http.ResponseWriter, _ *http.Request, current *Connector) {
	answer(w, http.StatusOK, map[string]any{"seconds": current.Seconds()})
}

func launchPath(current *Connector) string { return "/api/currents/" + current.ID() + "/launch" }

// sendForm is what a send asks for, as query parameters or as a JSON body.
type sendForm struct {
	Events   *int     `json:"events"`
	Types    []string `json:"types"`
	Scenario string   `json:"scenario"`
}

// readSend merges the body and the query, which goes first.
func readSend(w http.ResponseWriter, r *http.Request) (form sendForm, n int, err error) {
	if err := decode(w, r, &form); err != nil {
		return form, 0, err
	}
	query := r.URL.Query()
	if query.Has("events") {
		number, err := strconv.Atoi(query.Get("events"))
		if err != nil {
			return form, 0, fmt.Errorf("events=%q is no number of events", query.Get("events"))
		}
		form.Events = &number
	}
	if types := query["types"]; len(types) > 0 {
		form.Types = strings.Split(strings.Join(types, ","), ",")
	}
	if scenario := query.Get("scenario"); scenario != "" {
		form.Scenario = scenario
	}
	switch {
	case form.Events == nil:
		return form, 0, errors.New("it is not said how many events")
	case *form.Events < 0 || *form.Events > maxSend:
		return form, 0, fmt.Errorf("events=%d is not from 0 to %d", *form.Events, maxSend)
	}
	return form, *form.Events, nil
}

// send answers 200 once every event was answered for, 202 when that takes
// longer than sendWait. Sending goes on though the client has gone.
func (a api) send(w http.ResponseWriter, r *http.Request, current *Connector) {
	form, n, err := readSend(w, r)
	var from *feed
	if err == nil {
		from, err = current.feeds.of(form.Scenario, form.Types)
	}
	if err != nil {
		fail(w, http.StatusBadRequest, fmt.Errorf("send: %w", err),
			"POST "+r.URL.Path+"?events=100, with types=users.messages.email.* or scenario=NAME where others than all of the Current's are wanted")
		return
	}
	type result struct {
		outcome Outcome
		err     error
	}
	done := make(chan result, 1)
	if !a.server.background(func(ctx context.Context) {
		outcome, err := current.sendFrom(ctx, from, n, 0)
		done <- result{outcome, err}
	}) {
		fail(w, http.StatusServiceUnavailable, ErrClosed, "Start mockbraze again.")
		return
	}
	wait, cancel := context.WithTimeout(r.Context(), a.wait)
	defer cancel()
	select {
	case <-wait.Done():
		answer(w, http.StatusAccepted, map[string]any{
			"id": current.ID(), "events": n, "state": current.State(),
			"what_to_do": "It goes on by itself; GET /api/currents/" + current.ID() + " shows how far it is.",
		})
	case r := <-done:
		if r.err != nil && !errors.Is(r.err, ErrDropped) {
			fail(w, http.StatusConflict, r.err, afterSend(r.err, current))
			return
		}
		answer(w, http.StatusOK, struct {
			ID     string `json:"id"`
			Events int    `json:"events"`
			State  State  `json:"state"`
			Outcome
		}{current.ID(), n, current.State(), r.outcome})
	}
}

// afterSend says what to do about a send that failed.
func afterSend(err error, current *Connector) string {
	switch {
	case errors.Is(err, journey.ErrOver):
		return "Send with another scenario, or with other types."
	case errors.Is(err, ErrQuota):
		return "Wait until midnight UTC, or send with a Current that is no Test Current."
	default:
		return "POST " + launchPath(current)
	}
}

// How the stream behaves.
const (
	streamEvery     = 250 * time.Millisecond // what changes in between comes in one event
	streamHeartbeat = 15 * time.Second
	streamTimeout   = 10 * time.Second // for a client that does not read
)

// stream sends server-sent events: how all Currents stand, and all of the one
// that id names, whenever something changed. It buffers nothing: a client that
// is slow gets larger gaps.
func (a api) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy would hold it back
	control := http.NewResponseController(w)
	send := func(text string) error {
		_ = control.SetWriteDeadline(time.Now().Add(streamTimeout)) // not every writer has deadlines
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
		return control.Flush()
	}
	ticker := time.NewTicker(streamEvery)
	defer ticker.Stop()
	var shown uint64
	var spoke time.Time
	for {
		text := ""
		if now := a.server.changes.Load(); spoke.IsZero() || now != shown {
			shown = now
			text = a.news(r.URL.Query().Get("id"))
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
		case <-r.Context().Done():
			return
		case <-a.server.ctx.Done():
			return
		}
	}
}

// news is an event for the stream: all Currents in short, and the whole report of
// the one that was asked for, null where it is gone.
func (a api) news(id string) string {
	n := struct {
		Currents []summary `json:"currents"`
		Current  *Report   `json:"current"`
	}{Currents: []summary{}}
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
