package mockrudder

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/mockrudder/console"
)

// The query API under /_mock/. Errors are JSON, {"error":"…"}. What it offers
// is told by openapi.json, which a test holds against the routes below.

//go:embed openapi.json
var openAPI string

// api answers the calls.
type api struct{ *Server }

// route is one call of the query API.
type route struct {
	method, path string
	params       []string // of the query; others are mistakes
	handle       http.HandlerFunc
}

func (a api) queries() []route {
	return []route{
		{http.MethodGet, "/_mock/events", listParams(), a.getEvents},
		{http.MethodGet, "/_mock/events/{id}", nil, a.getEvent},
		{http.MethodGet, "/_mock/stream", streamParams(), a.getStream},
		{http.MethodGet, "/_mock/stats", nil, a.getStats},
		{http.MethodGet, "/_mock/rates", []string{"seconds"}, a.getRates},
		{http.MethodGet, "/_mock/sources", nil, a.getSources},
		{http.MethodPost, "/_mock/reset", []string{"keep"}, a.postReset},
		{http.MethodGet, "/_mock/faults", nil, a.getFaults},
		{http.MethodPut, "/_mock/faults", nil, a.putFaults},
		{http.MethodPost, "/_mock/faults", nil, a.postFault},
		{http.MethodDelete, "/_mock/faults/{id}", nil, a.deleteFault},
		{http.MethodGet, "/_mock/openapi.json", nil, getOpenAPI},
	}
}

// handler answers the calls above and the page, and anything else with an
// error in JSON.
func (a api) handler() http.Handler {
	mux := http.NewServeMux()
	paths := map[string]bool{"/_mock/{$}": true, "/_mock/assets/": true}
	for path := range paths {
		mux.Handle("GET "+path, console.Handler())
	}
	for _, r := range a.queries() {
		mux.HandleFunc(r.method+" "+r.path, known(r.params, r.handle))
		paths[r.path] = true
	}
	for path := range paths {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			writeError(w, http.StatusMethodNotAllowed, "no such method here")
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { writeError(w, http.StatusNotFound, "no such path") })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if no := a.config.hosts.Check(r); no != nil { // a page of another site, sent through a browser
			writeError(w, http.StatusForbidden, no.Error())
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// known refuses a query with other parameters than these.
func known(params []string, handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		values, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			writeError(w, http.StatusBadRequest, "query: "+err.Error())
			return
		}
		for name := range values {
			if slices.Contains(params, name) {
				continue
			}
			text := fmt.Sprintf("unknown parameter %q; there are none here", name)
			if len(params) > 0 {
				text = fmt.Sprintf("unknown parameter %q; known are %s", name, strings.Join(params, ", "))
			}
			writeError(w, http.StatusBadRequest, text)
			return
		}
		handle(w, r)
	}
}

func writeError(w http.ResponseWriter, status int, text string) {
	writeJSON(w, status, map[string]string{"error": text})
}

func getOpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = io.WriteString(w, openAPI)
}

func (a api) getStats(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, a.Stats())
}

func (a api) getRates(w http.ResponseWriter, r *http.Request) {
	seconds, err := numberOf("seconds", cmp.Or(r.URL.Query().Get("seconds"), "60"), 1, rateSeconds)
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	writeJSON(w, http.StatusOK, map[string][]second{"seconds": a.store.lastSeconds(time.Now(), seconds)})
}

// sourceJSON is what the query API says of a source.
type sourceJSON struct {
	Key      string `json:"key"`
	Kind     Kind   `json:"kind"`
	Disabled bool   `json:"disabled"`
}

func (a api) getSources(w http.ResponseWriter, _ *http.Request) {
	list := []sourceJSON{}
	for _, src := range a.config.sources {
		list = append(list, sourceJSON{src.Key, kindOf(src), src.Disabled})
	}
	slices.SortFunc(list, func(a, b sourceJSON) int { return strings.Compare(a.Key, b.Key) })
	writeJSON(w, http.StatusOK, map[string][]sourceJSON{"sources": list})
}

func (a api) postReset(w http.ResponseWriter, r *http.Request) {
	switch keep := r.URL.Query().Get("keep"); keep {
	case "":
		a.Reset()
	case "faults":
		a.ResetMessages()
	default:
		writeError(w, http.StatusBadRequest, fmt.Sprintf("keep must be faults, not %q", keep))
		return
	}
	writeJSON(w, http.StatusOK, map[string]bool{"ok": true})
}

// getEvents answers with a page of events, after a wait for them if one is
// asked for.
func (a api) getEvents(w http.ResponseWriter, r *http.Request) {
	q, err := parseSearch(r.URL.Query())
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	var waited *waitJSON
	if q.wait > 0 {
		ctx, cancel := context.WithTimeout(r.Context(), q.wait)
		defer context.AfterFunc(a.open, cancel)()
		defer cancel()
		waited = &waitJSON{Satisfied: true}
		if _, err := a.store.wait(ctx, q.filter, q.after, q.count); err != nil { // what has come by then is the answer
			waited = &waitJSON{Instead: a.instead(q.filter)}
		}
	}
	events := a.store.page(q.filter, q.after, q.before, q.newestFirst, q.limit)
	next := ""
	switch {
	case len(events) > 0:
		next = events[len(events)-1].ID()
	case q.wait > 0 && q.after > 0:
		next = idOf(q.after) // so that the next wait goes on from here
	}
	writeEvents(w, events, q.summaries, pageJSON{next, a.store.total(q.filter), waited})
}

// pageJSON is what a page says beside its events.
type pageJSON struct {
	Next  string `json:"next"`
	Total uint64 `json:"total"`
	*waitJSON
}

// waitJSON tells how a wait ended, if there was one: with its messages, or with
// the time over and what came instead, a sentence each.
type waitJSON struct {
	Satisfied bool     `json:"satisfied"`
	Instead   []string `json:"instead,omitempty"`
}

// writeEvents writes one event after the other, so that a long page is not
// held in memory twice, and then the rest of the page.
func writeEvents(w http.ResponseWriter, events []Event, summaries bool, rest pageJSON) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = io.WriteString(w, `{"events":[`)
	var text []byte
	for i := range events {
		if text = text[:0]; i > 0 {
			text = append(text, ',')
		}
		if summaries {
			text = append(text, encode(events[i].summary())...)
		} else {
			text = events[i].appendJSON(text)
		}
		if _, err := w.Write(text); err != nil {
			return // the client has left
		}
	}
	_, _ = fmt.Fprintf(w, "],%s\n", encode(rest)[1:])
}

func (a api) getEvent(w http.ResponseWriter, r *http.Request) {
	seq, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	e, ok := a.store.get(seq)
	if err != nil || !ok {
		writeError(w, http.StatusNotFound, fmt.Sprintf("no event %q is kept", r.PathValue("id")))
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(append(e.appendJSON(nil), '\n'))
}

func writeFaults(w http.ResponseWriter, list []Fault) {
	writeJSON(w, http.StatusOK, map[string][]Fault{"faults": list})
}

func (a api) getFaults(w http.ResponseWriter, _ *http.Request) { writeFaults(w, a.Faults()) }

// putFaults replaces the list. It takes {"faults":[…]}, a bare list or one fault.
func (a api) putFaults(w http.ResponseWriter, r *http.Request) {
	list, err := readFaults(w, r)
	if err == nil {
		err = a.SetFaults(list...)
	}
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	writeFaults(w, a.Faults())
}

// postFault adds one fault and answers with it, so that the client learns its id.
func (a api) postFault(w http.ResponseWriter, r *http.Request) {
	list, err := readFaults(w, r)
	if err == nil && len(list) != 1 {
		err = fmt.Errorf("want one fault, not %d", len(list))
	}
	var added Fault
	if err == nil {
		added, err = a.faults.add(list[0])
	}
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	writeJSON(w, http.StatusCreated, added)
}

func (a api) deleteFault(w http.ResponseWriter, r *http.Request) {
	if !a.RemoveFault(r.PathValue("id")) {
		writeError(w, http.StatusNotFound, fmt.Sprintf("no fault %q", r.PathValue("id")))
		return
	}
	writeFaults(w, a.Faults())
}

func readFaults(w http.ResponseWriter, r *http.Request) ([]Fault, error) {
	const maxFaults = 1 << 20 // bytes
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxFaults))
	if err != nil {
		return nil, fmt.Errorf("reading the faults: %w", err)
	}
	return ParseFaults(body)
}

// ParseFaults reads faults as PUT /_mock/faults takes them: {"faults":[…]}, a
// bare list, or one fault. The error names a member that no fault has.
func ParseFaults(text []byte) ([]Fault, error) {
	list := strings.TrimSpace(string(text))
	var members map[string]json.RawMessage
	if json.Unmarshal(text, &members) == nil {
		if inner, wrapped := members["faults"]; wrapped && len(members) == 1 {
			list = strings.TrimSpace(string(inner))
		}
	}
	if list == "" {
		return nil, errors.New("faults: the body is empty; [] is for no faults")
	}
	if !strings.HasPrefix(list, "[") {
		list = "[" + list + "]"
	}
	var faults []Fault
	if err := decodeStrictly(strings.NewReader(list), &faults); err != nil {
		return nil, fmt.Errorf("faults: %w", err)
	}
	return faults, nil
}

// decodeStrictly reads one JSON document with no fields but known ones, and
// nothing behind it: half of what someone meant is not put in force.
func decodeStrictly(r io.Reader, to any) error {
	decoder := json.NewDecoder(r)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(to); err != nil {
		return err
	}
	switch _, err := decoder.Token(); {
	case err == nil:
		return errors.New("there is more behind the JSON")
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

// writeJSON answers with a value as JSON.
func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // fails only where the client has left
}
