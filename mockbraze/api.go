package mockbraze

import (
	"cmp"
	"context"
	_ "embed" // for openapi.json
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/fieldtransform"
	"github.com/currentsbridge/currentsbridge/internal/journey/story"
	"github.com/currentsbridge/currentsbridge/mockbraze/console"
)

// Limits of the control API.
const (
	maxRequestBody = 1 << 20
	// maxSend is how many events one send may ask for.
	maxSend = 10_000_000
	// maxFlushAfter is far more than Braze ever waits.
	maxFlushAfter = 24 * time.Hour
)

// api is the control API of a Server.
type api struct {
	server *Server
	page   http.Handler
}

// Handler is the page at / and the control API, which /api/openapi.json
// describes: POST /api/currents makes a Current, POST
// /api/currents/ID/launch, …/pause and …/send?events=N run it, GET
// /api/currents and /api/currents/ID show how it stands. Answers are JSON; an
// error says what is wrong and what to do. There is no password: serve it on
// loopback only. Requests that a browser sends for the page of another site are
// answered 403, also after DNS rebinding; see WithAllowedHosts.
func (s *Server) Handler() http.Handler {
	return api{server: s, page: console.Handler()}.routes()
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
		{"GET", "/api/event-types", nil, a.eventTypes},
		{"GET", "/api/openapi.json", nil, describe},
	}
}

// routes serves the API under /api/ and the page elsewhere.
func (a api) routes() http.Handler {
	mux := http.NewServeMux()
	for _, r := range a.table() {
		mux.HandleFunc(r.method+" "+r.path, r.serve)
	}
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, http.StatusNotFound, fmt.Errorf("there is no %s %s", r.Method, r.URL.Path), "Start with GET or POST /api/currents; /api/openapi.json lists everything.")
	})
	mux.Handle("/", a.page)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if no := a.server.hosts.Check(r); no != nil { // a page of another site
			fail(w, http.StatusForbidden, errors.New(no.Reason), no.Fix)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		mux.ServeHTTP(w, r)
	})
}

// serve does the operation, unless there is a parameter that it does not take.
func (op route) serve(w http.ResponseWriter, r *http.Request) {
	for name := range r.URL.Query() {
		if !slices.Contains(op.params, name) {
			fail(w, http.StatusBadRequest, fmt.Errorf("there is no parameter %q here", name), "It takes "+cmp.Or(strings.Join(op.params, ", "), "none")+".")
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

// with finds the Current that the path names.
func (a api) with(do func(http.ResponseWriter, *http.Request, *Connector)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		current, ok := a.server.Current(r.PathValue("id"))
		if !ok {
			fail(w, http.StatusNotFound, fmt.Errorf("there is no Current %q", r.PathValue("id")), "GET /api/currents lists them.")
			return
		}
		do(w, r, current)
	}
}

// eventTypes lists every event type by family, the scenarios, and the fields that
// can be transformed.
func (a api) eventTypes(w http.ResponseWriter, _ *http.Request) {
	families := []map[string]any{}
	for _, family := range [][2]string{ // as in Braze's documentation and its form
		{"message", "Message engagement events"}, {"behavior", "Customer behavior events"}, {"user", "User events"},
		{"agent", "Agent events"}, {"optimizer", "Content Optimizer events"},
	} {
		events := []map[string]any{}
		for _, t := range a.server.glossary.Events {
			if t.Family == family[0] {
				events = append(events, map[string]any{
					"name": t.Name, "readable_name": t.RudderName, "group": groupOf(t.Name), "retired": t.Retired != "", "beta": t.Beta,
				})
			}
		}
		families = append(families, map[string]any{"family": family[0], "title": family[1], "events": events})
	}
	answer(w, http.StatusOK, map[string]any{
		"families": families, "scenarios": a.server.Scenarios(), "glossary": a.server.glossary.Version(),
		"string_fields": slices.Sorted(maps.Keys(fieldtransform.StringFields(a.server.glossary))),
	})
}

// groupOf is the channel of a message event or the kind of another: the second last
// part of a name, such as email of users.messages.email.Open.
func groupOf(name string) string {
	parts := strings.Split(name, ".")
	if len(parts) < 2 {
		return ""
	}
	return parts[len(parts)-2]
}

const formTodo = `Send {"kind":"http" or "rudderstack","integration_name","contact_email","url","token","region","events":[…]}; only url is needed, and events may hold patterns such as users.messages.email.*.`

// read makes a Current of the body, or fails the request.
func (a api) read(w http.ResponseWriter, r *http.Request) (spec Current, ok bool) {
	var form struct {
		Current
		Seconds float64 `json:"flush_after_seconds"`
	}
	err := decode(w, r, &form)
	if err == nil && !(form.Seconds >= 0 && form.Seconds <= maxFlushAfter.Seconds()) {
		err = fmt.Errorf("flush_after_seconds: %v is not from 0 to %.0f", form.Seconds, maxFlushAfter.Seconds())
	}
	if err != nil {
		fail(w, http.StatusBadRequest, err, formTodo)
		return Current{}, false
	}
	form.FlushAfter = time.Duration(form.Seconds * float64(time.Second))
	return form.Current, true
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

// change sets the rate.
func (a api) change(w http.ResponseWriter, r *http.Request, current *Connector) {
	var form struct {
		Rate *float64 `json:"rate"`
	}
	err := decode(w, r, &form)
	if err == nil && form.Rate == nil {
		err = errors.New("rate: it is missing")
	}
	if err == nil {
		err = current.SetRate(*form.Rate)
	}
	if err != nil {
		fail(w, http.StatusBadRequest, err, `Send {"rate":10}; a launch takes another URL or token.`)
		return
	}
	answer(w, http.StatusOK, current.Report())
}

func (a api) remove(w http.ResponseWriter, _ *http.Request, current *Connector) {
	a.server.Delete(current.ID())
	answer(w, http.StatusOK, map[string]any{"id": current.ID(), "state": current.State()})
}

// tested is the answer to a test of credentials.
func tested(w http.ResponseWriter, a Answer, kind Kind) {
	answer(w, http.StatusOK, map[string]any{"verdict": a.ofProbe(kind), "answer": a})
}

// testForm probes credentials without making a Current.
func (a api) testForm(w http.ResponseWriter, r *http.Request) {
	spec, ok := a.read(w, r)
	if !ok {
		return
	}
	probed, err := a.server.test(r.Context(), spec)
	if err != nil {
		fail(w, http.StatusBadRequest, err, formTodo)
		return
	}
	tested(w, probed, spec.Kind)
}

func (a api) test(w http.ResponseWriter, r *http.Request, current *Connector) {
	probed, err := current.test(r.Context())
	if err != nil {
		fail(w, http.StatusServiceUnavailable, err, "Try again.")
		return
	}
	tested(w, probed, current.spec.Kind)
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

func launchPath(current *Connector) string { return "/api/currents/" + current.ID() + "/launch" }

// readSend reads how many events a send asks for, of which feed.
func readSend(query url.Values, feeds *feeds) (n int, from *feed, err error) {
	if !query.Has("events") {
		return 0, nil, errors.New("it is not said how many events")
	}
	if n, err = strconv.Atoi(query.Get("events")); err != nil || n < 0 || n > maxSend {
		return 0, nil, fmt.Errorf("events=%q is no number from 0 to %d", query.Get("events"), maxSend)
	}
	var types []string
	if query.Has("types") {
		types = strings.Split(strings.Join(query["types"], ","), ",")
	}
	from, err = feeds.of(query.Get("scenario"), types)
	return n, from, err
}

// send answers once every event is sent or dropped. It continues when the client
// goes away.
func (a api) send(w http.ResponseWriter, r *http.Request, current *Connector) {
	n, from, err := readSend(r.URL.Query(), current.feeds)
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
	select {
	case <-r.Context().Done():
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
	case errors.Is(err, story.ErrOver):
		return "Send with another scenario, or with other types."
	case errors.Is(err, ErrQuota):
		return "Wait until midnight UTC, or send with a Current that is no Test Current."
	default:
		return "POST " + launchPath(current)
	}
}
