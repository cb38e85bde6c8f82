package mockbraze

import (
	"cmp"
	"context"
	"embed"
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

	"github.com/currentsbridge/currentsbridge/internal/fieldtransform"
	"github.com/currentsbridge/currentsbridge/internal/journey/story"
	"github.com/currentsbridge/currentsbridge/internal/webpage"
)

// Limits of the control API.
const (
	maxRequestBody = 1 << 20
	// maxSend is how many events one send may ask for.
	maxSend = 10_000_000
	// maxFlushAfter is far more than Braze ever waits.
	maxFlushAfter = 24 * time.Hour
)

//go:embed openapi.json
var openAPI []byte

// page has the form that makes a Current, in Braze's own steps, and a view that watches
// one. What it shows it asks for at the control API.
//
//go:embed assets
var page embed.FS

// Handler is the page at / and the control API, which /api/openapi.json describes.
// There is no password: serve it on loopback only. Requests that a browser sends for
// the page of another site are answered 403; see WithAllowedHosts.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, op := range s.operations() {
		mux.HandleFunc(op.method+" "+op.path, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, maxRequestBody)
			answer(w, s.do(op, r))
		})
	}
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		answer(w, problem{
			fmt.Errorf("there is no %s %s", r.Method, r.URL.Path), http.StatusNotFound,
			"Start with GET or POST /api/currents; /api/openapi.json lists everything.",
		})
	})
	mux.Handle("/", webpage.Handler(page, "/"))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if no := s.hosts.Check(r); no != nil { // a page of another site
			answer(w, problem{errors.New(no.Reason), http.StatusForbidden, no.Fix})
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		mux.ServeHTTP(w, r)
	})
}

// operation does what a request asks for of a Current, or of none where its path has
// no id, and returns what is answered.
type operation func(r *http.Request, current *Connector) (any, error)

// route is one operation of the control API; params are the query parameters
// that it takes, fix says what to do about an error that is answered 400.
type route struct {
	method, path string
	params       []string
	fix          string
	do           operation
}

const (
	fixForm   = `Send {"kind":"http" or "rudderstack","integration_name","contact_email","url","token","region","events":[…]}; only url is needed, and events may hold patterns such as users.messages.email.*.`
	fixRate   = `Send {"rate":10}; a launch takes another URL or token.`
	fixLaunch = `Send no body, or {"url":"…","token":"…"} to change one of them.`
	fixSend   = "POST /api/currents/ID/send?events=100, with types=users.messages.email.* or scenario=NAME where others than all of the Current's are wanted"
)

func (s *Server) operations() []route {
	return []route{
		{"GET", "/api/currents", nil, "", s.list},
		{"POST", "/api/currents", nil, fixForm, s.create},
		{"POST", "/api/currents/test", nil, fixForm, s.testForm},
		{"GET", "/api/currents/{id}", nil, "", report(func(*http.Request, *Connector) error { return nil })},
		{"PATCH", "/api/currents/{id}", nil, fixRate, report(change)},
		{"DELETE", "/api/currents/{id}", nil, "", s.remove},
		{"POST", "/api/currents/{id}/test", nil, "", test},
		{"POST", "/api/currents/{id}/test-events", nil, "", func(r *http.Request, current *Connector) (any, error) {
			return current.SendTestEvents(r.Context())
		}},
		{"POST", "/api/currents/{id}/launch", nil, fixLaunch, report(launch)},
		{"POST", "/api/currents/{id}/pause", nil, "", report(func(_ *http.Request, current *Connector) error { return current.Pause() })},
		{"POST", "/api/currents/{id}/flush", nil, "", report(func(_ *http.Request, current *Connector) error {
			current.Flush()
			return nil
		})},
		{"POST", "/api/currents/{id}/send", []string{"events", "types", "scenario"}, fixSend, s.send},
		{"GET", "/api/event-types", nil, "", s.eventTypes},
		{"GET", "/api/openapi.json", nil, "", func(*http.Request, *Connector) (any, error) { return json.RawMessage(openAPI), nil }},
	}
}

func (s *Server) do(op route, r *http.Request) any {
	for name := range r.URL.Query() {
		if !slices.Contains(op.params, name) {
			return problem{fmt.Errorf("there is no parameter %q here", name), http.StatusBadRequest,
				"It takes " + cmp.Or(strings.Join(op.params, ", "), "none") + "."}
		}
	}
	current, ok := s.Current(r.PathValue("id"))
	if !ok && strings.Contains(op.path, "{id}") {
		return problem{fmt.Errorf("there is no Current %q", r.PathValue("id")), http.StatusNotFound, "GET /api/currents lists them."}
	}
	body, err := op.do(r, current)
	if err != nil {
		return problemOf(err, op.fix, r.PathValue("id"))
	}
	return body
}

type problem struct {
	error

	status int
	todo   string
}

func problemOf(err error, fix, id string) problem {
	is := func(causes ...error) bool {
		return slices.ContainsFunc(causes, func(cause error) bool { return errors.Is(err, cause) })
	}
	_, denied := errors.AsType[*LaunchError](err)
	switch {
	case denied:
		return problem{err, http.StatusUnprocessableEntity, `Launch again with {"url":"…","token":"…"}, as they should be.`}
	case is(story.ErrOver):
		return problem{err, http.StatusConflict, "Send with another scenario, or with other types."}
	case is(ErrQuota):
		return problem{err, http.StatusConflict, "Wait until midnight UTC, or send with a Current that is no Test Current."}
	case is(ErrNotLaunched, ErrHeld, ErrDisabled):
		return problem{err, http.StatusConflict, "POST /api/currents/" + id + "/launch"}
	case is(ErrClosed, context.Canceled, context.DeadlineExceeded):
		return problem{err, http.StatusServiceUnavailable, "Try again."}
	default:
		return problem{err, http.StatusBadRequest, strings.Replace(fix, "/ID/", "/"+id+"/", 1)}
	}
}

type created struct{ Report }

func answer(w http.ResponseWriter, body any) {
	status := http.StatusOK
	switch b := body.(type) {
	case problem:
		status, body = b.status, map[string]string{"error": b.Error(), "what_to_do": b.todo}
	case created:
		status = http.StatusCreated
		w.Header().Set("Location", "/api/currents/"+b.ID)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client has gone where this fails
}

// decode reads a JSON body into v; an empty one leaves v as it is.
func decode(r *http.Request, v any) error {
	dec := json.NewDecoder(r.Body)
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
func (s *Server) eventTypes(*http.Request, *Connector) (any, error) {
	families := []map[string]any{}
	for _, family := range [][2]string{ // as in Braze's documentation and its form
		{"message", "Message engagement events"}, {"behavior", "Customer behavior events"}, {"user", "User events"},
		{"agent", "Agent events"}, {"optimizer", "Content Optimizer events"},
	} {
		events := []map[string]any{}
		for _, t := range s.glossary.Events {
			if t.Family == family[0] {
				parts := strings.Split(t.Name, ".") // the second last one is the channel of a message event
				events = append(events, map[string]any{
					"name": t.Name, "readable_name": t.RudderName, "group": parts[max(0, len(parts)-2)], "retired": t.Retired != "", "beta": t.Beta,
				})
			}
		}
		families = append(families, map[string]any{"family": family[0], "title": family[1], "events": events})
	}
	return map[string]any{
		"families": families, "scenarios": s.Scenarios(), "glossary": s.glossary.Version(),
		"string_fields": slices.Sorted(maps.Keys(fieldtransform.StringFields(s.glossary))),
	}, nil
}

func read(r *http.Request) (Current, error) {
	var form struct {
		Current
		Seconds float64 `json:"flush_after_seconds"`
	}
	err := decode(r, &form)
	if err == nil && !(form.Seconds >= 0 && form.Seconds <= maxFlushAfter.Seconds()) {
		err = fmt.Errorf("flush_after_seconds: %v is not from 0 to %.0f", form.Seconds, maxFlushAfter.Seconds())
	}
	form.FlushAfter = time.Duration(form.Seconds * float64(time.Second))
	return form.Current, err
}

func (s *Server) list(*http.Request, *Connector) (any, error) {
	reports := []Report{}
	for _, current := range s.Currents() {
		reports = append(reports, current.Report())
	}
	return map[string]any{"currents": reports}, nil
}

func report(do func(r *http.Request, current *Connector) error) operation {
	return func(r *http.Request, current *Connector) (any, error) {
		err := do(r, current)
		return current.Report(), err
	}
}

func (s *Server) create(r *http.Request, _ *Connector) (any, error) {
	spec, err := read(r)
	if err != nil {
		return nil, err
	}
	current, err := s.Create(spec)
	if err != nil {
		return nil, err
	}
	return created{current.Report()}, nil
}

func change(r *http.Request, current *Connector) error {
	var form struct {
		Rate *float64 `json:"rate"`
	}
	err := decode(r, &form)
	switch {
	case err != nil:
		return err
	case form.Rate == nil:
		return errors.New("rate: it is missing")
	}
	return current.SetRate(*form.Rate)
}

func (s *Server) remove(_ *http.Request, current *Connector) (any, error) {
	s.Delete(current.ID())
	return map[string]any{"id": current.ID(), "state": current.State()}, nil
}

func tested(a Answer, kind Kind) any { return map[string]any{"verdict": a.ofProbe(kind), "answer": a} }

func (s *Server) testForm(r *http.Request, _ *Connector) (any, error) {
	spec, err := read(r)
	if err != nil {
		return nil, err
	}
	probed, err := s.test(r.Context(), spec)
	return tested(probed, spec.Kind), err
}

func test(r *http.Request, current *Connector) (any, error) {
	probed, err := current.test(r.Context())
	return tested(probed, current.spec.Kind), err
}

// launch takes a new URL or token along, where the old one was wrong.
func launch(r *http.Request, current *Connector) error {
	var given struct {
		URL   string `json:"url"`
		Token string `json:"token"`
	}
	err := decode(r, &given)
	if err == nil {
		err = current.SetCredentials(given.URL, given.Token)
	}
	if err != nil {
		return err
	}
	return current.Launch(r.Context())
}

// send answers once every event is sent or dropped. It continues when the client
// goes away.
func (s *Server) send(r *http.Request, current *Connector) (any, error) {
	query := r.URL.Query()
	n, err := strconv.Atoi(query.Get("events"))
	if err != nil || n < 0 || n > maxSend {
		return nil, fmt.Errorf("send: events=%q is no number from 0 to %d", query.Get("events"), maxSend)
	}
	var types []string
	if query.Has("types") {
		types = strings.Split(strings.Join(query["types"], ","), ",")
	}
	from, err := current.feeds.of(query.Get("scenario"), types)
	if err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	var outcome Outcome
	done := make(chan error, 1)
	if !s.background(func(ctx context.Context) {
		var err error
		outcome, err = current.sendFrom(ctx, from.take, n, 0)
		done <- err
	}) {
		return nil, ErrClosed
	}
	select {
	case <-r.Context().Done():
		return nil, r.Context().Err() // the client has gone
	case err = <-done:
	}
	if errors.Is(err, ErrDropped) {
		err = nil
	}
	return struct {
		ID     string `json:"id"`
		Events int    `json:"events"`
		State  State  `json:"state"`
		Outcome
	}{current.ID(), n, current.State(), outcome}, err
}
