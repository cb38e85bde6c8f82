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

// Handler is the page at / and the control API, which /api/openapi.json describes.
// There is no password: serve it on loopback only. Requests that a browser sends for
// the page of another site are answered 403; see WithAllowedHosts.
func (s *Server) Handler() http.Handler {
	return api{server: s, page: console.Handler()}.routes()
}

// operation does what a request asks for of a Current, or of none where its path has
// no id, and returns what is answered. An error that is no problem is answered 400 with
// formTodo.
type operation func(w http.ResponseWriter, r *http.Request, current *Connector) (any, error)

// route is one operation of the control API; params are the query parameters
// that it takes.
type route struct {
	method, path string
	params       []string
	do           operation
}

func (a api) table() []route {
	return []route{
		{"GET", "/api/currents", nil, a.list},
		{"POST", "/api/currents", nil, a.create},
		{"POST", "/api/currents/test", nil, a.testForm},
		{"GET", "/api/currents/{id}", nil, report},
		{"PATCH", "/api/currents/{id}", nil, change},
		{"DELETE", "/api/currents/{id}", nil, a.remove},
		{"POST", "/api/currents/{id}/test", nil, test},
		{"POST", "/api/currents/{id}/test-events", nil, testEvents},
		{"POST", "/api/currents/{id}/launch", nil, launch},
		{"POST", "/api/currents/{id}/pause", nil, pause},
		{"POST", "/api/currents/{id}/flush", nil, flush},
		{"POST", "/api/currents/{id}/send", []string{"events", "types", "scenario"}, a.send},
		{"GET", "/api/event-types", nil, a.eventTypes},
		{"GET", "/api/openapi.json", nil, func(http.ResponseWriter, *http.Request, *Connector) (any, error) {
			return json.RawMessage(openAPI), nil
		}},
	}
}

// problem is an error, its status, and what to do about it.
type problem struct {
	error

	status int
	todo   string
}

// routes serves the API under /api/ and the page elsewhere.
func (a api) routes() http.Handler {
	mux := http.NewServeMux()
	for _, op := range a.table() {
		mux.HandleFunc(op.method+" "+op.path, func(w http.ResponseWriter, r *http.Request) {
			body, err := a.do(op, w, r)
			answer(w, body, err)
		})
	}
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		answer(w, nil, problem{
			fmt.Errorf("there is no %s %s", r.Method, r.URL.Path), http.StatusNotFound,
			"Start with GET or POST /api/currents; /api/openapi.json lists everything.",
		})
	})
	mux.Handle("/", a.page)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if no := a.server.hosts.Check(r); no != nil { // a page of another site
			answer(w, nil, problem{errors.New(no.Reason), http.StatusForbidden, no.Fix})
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		mux.ServeHTTP(w, r)
	})
}

// do does an operation, unless there is a parameter that it does not take, or no such
// Current.
func (a api) do(op route, w http.ResponseWriter, r *http.Request) (any, error) {
	for name := range r.URL.Query() {
		if !slices.Contains(op.params, name) {
			return nil, problem{fmt.Errorf("there is no parameter %q here", name), http.StatusBadRequest,
				"It takes " + cmp.Or(strings.Join(op.params, ", "), "none") + "."}
		}
	}
	current, ok := a.server.Current(r.PathValue("id"))
	if !ok && strings.Contains(op.path, "{id}") {
		return nil, problem{fmt.Errorf("there is no Current %q", r.PathValue("id")), http.StatusNotFound, "GET /api/currents lists them."}
	}
	return op.do(w, r, current)
}

//go:embed openapi.json
var openAPI []byte

// answer writes a body as JSON, or an error and what to do about it. A body that has
// a Location was created.
func answer(w http.ResponseWriter, body any, err error) {
	status := http.StatusOK
	if w.Header().Get("Location") != "" {
		status = http.StatusCreated
	}
	if err != nil {
		p, ok := errors.AsType[problem](err)
		if !ok {
			p = problem{err, http.StatusBadRequest, formTodo}
		}
		status, body = p.status, map[string]string{"error": p.Error(), "what_to_do": p.todo}
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client has gone where this fails
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

// eventTypes lists every event type by family, the scenarios, and the fields that
// can be transformed.
func (a api) eventTypes(http.ResponseWriter, *http.Request, *Connector) (any, error) {
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
	return map[string]any{
		"families": families, "scenarios": a.server.Scenarios(), "glossary": a.server.glossary.Version(),
		"string_fields": slices.Sorted(maps.Keys(fieldtransform.StringFields(a.server.glossary))),
	}, nil
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

// read makes a Current of the body.
func read(w http.ResponseWriter, r *http.Request) (Current, error) {
	var form struct {
		Current
		Seconds float64 `json:"flush_after_seconds"`
	}
	err := decode(w, r, &form)
	if err == nil && !(form.Seconds >= 0 && form.Seconds <= maxFlushAfter.Seconds()) {
		err = fmt.Errorf("flush_after_seconds: %v is not from 0 to %.0f", form.Seconds, maxFlushAfter.Seconds())
	}
	form.FlushAfter = time.Duration(form.Seconds * float64(time.Second))
	return form.Current, err
}

func (a api) list(http.ResponseWriter, *http.Request, *Connector) (any, error) {
	reports := []Report{}
	for _, current := range a.server.Currents() {
		reports = append(reports, current.Report())
	}
	return map[string]any{"currents": reports}, nil
}

func report(_ http.ResponseWriter, _ *http.Request, current *Connector) (any, error) {
	return current.Report(), nil
}

func (a api) create(w http.ResponseWriter, r *http.Request, _ *Connector) (any, error) {
	spec, err := read(w, r)
	if err != nil {
		return nil, err
	}
	current, err := a.server.Create(spec)
	if err != nil {
		return nil, err
	}
	w.Header().Set("Location", "/api/currents/"+current.ID())
	return current.Report(), nil
}

// change sets the rate.
func change(w http.ResponseWriter, r *http.Request, current *Connector) (any, error) {
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
		return nil, problem{err, http.StatusBadRequest, `Send {"rate":10}; a launch takes another URL or token.`}
	}
	return current.Report(), nil
}

func (a api) remove(_ http.ResponseWriter, _ *http.Request, current *Connector) (any, error) {
	a.server.Delete(current.ID())
	return map[string]any{"id": current.ID(), "state": current.State()}, nil
}

// tested is the answer to a test of credentials.
func tested(a Answer, kind Kind) any { return map[string]any{"verdict": a.ofProbe(kind), "answer": a} }

// testForm probes credentials without making a Current.
func (a api) testForm(w http.ResponseWriter, r *http.Request, _ *Connector) (any, error) {
	spec, err := read(w, r)
	if err != nil {
		return nil, err
	}
	probed, err := a.server.test(r.Context(), spec)
	return tested(probed, spec.Kind), err
}

func test(_ http.ResponseWriter, r *http.Request, current *Connector) (any, error) {
	probed, err := current.test(r.Context())
	return tested(probed, current.spec.Kind), unavailable(err)
}

func testEvents(_ http.ResponseWriter, r *http.Request, current *Connector) (any, error) {
	sent, err := current.SendTestEvents(r.Context())
	return sent, unavailable(err)
}

// unavailable is a problem that may be over the next time.
func unavailable(err error) error {
	if err != nil {
		err = problem{err, http.StatusServiceUnavailable, "Try again."}
	}
	return err
}

// launch takes a new URL or token along, where the old one was wrong.
func launch(w http.ResponseWriter, r *http.Request, current *Connector) (any, error) {
	var given struct {
		URL   string `json:"url"`
		Token string `json:"token"`
	}
	err := decode(w, r, &given)
	if err == nil {
		err = current.SetCredentials(given.URL, given.Token)
	}
	if err != nil {
		return nil, problem{err, http.StatusBadRequest, `Send no body, or {"url":"…","token":"…"} to change one of them.`}
	}
	err = current.Launch(r.Context())
	if _, refused := errors.AsType[*LaunchError](err); refused {
		return nil, problem{err, http.StatusUnprocessableEntity, `Launch again with {"url":"…","token":"…"}, as they should be.`}
	}
	return current.Report(), unavailable(err)
}

func pause(_ http.ResponseWriter, _ *http.Request, current *Connector) (any, error) {
	if err := current.Pause(); err != nil {
		return nil, problem{err, http.StatusConflict, "POST " + launchPath(current)}
	}
	return current.Report(), nil
}

func flush(_ http.ResponseWriter, _ *http.Request, current *Connector) (any, error) {
	current.Flush()
	return current.Report(), nil
}

func launchPath(current *Connector) string { return "/api/currents/" + current.ID() + "/launch" }

// readSend reads how many events a send asks for, of which feed.
func readSend(query url.Values, feeds *feeds) (n int, from *feed, err error) {
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
func (a api) send(_ http.ResponseWriter, r *http.Request, current *Connector) (any, error) {
	n, from, err := readSend(r.URL.Query(), current.feeds)
	if err != nil {
		return nil, problem{fmt.Errorf("send: %w", err), http.StatusBadRequest,
			"POST " + r.URL.Path + "?events=100, with types=users.messages.email.* or scenario=NAME where others than all of the Current's are wanted"}
	}
	var outcome Outcome
	done := make(chan error, 1)
	if !a.server.background(func(ctx context.Context) {
		var err error
		outcome, err = current.sendFrom(ctx, from, n, 0)
		done <- err
	}) {
		return nil, problem{ErrClosed, http.StatusServiceUnavailable, "Start mockbraze again."}
	}
	select {
	case <-r.Context().Done():
		return nil, r.Context().Err() // the client has gone
	case err = <-done:
	}
	switch {
	case err == nil, errors.Is(err, ErrDropped):
		return struct {
			ID     string `json:"id"`
			Events int    `json:"events"`
			State  State  `json:"state"`
			Outcome
		}{current.ID(), n, current.State(), outcome}, nil
	case errors.Is(err, story.ErrOver):
		return nil, problem{err, http.StatusConflict, "Send with another scenario, or with other types."}
	case errors.Is(err, ErrQuota):
		return nil, problem{err, http.StatusConflict, "Wait until midnight UTC, or send with a Current that is no Test Current."}
	default:
		return nil, problem{err, http.StatusConflict, "POST " + launchPath(current)}
	}
}
