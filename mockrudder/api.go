package mockrudder

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
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/webpage"
)

// The query API under /_mock/. Errors are JSON, {"error":"…"}. openapi.json
// describes it; a test compares it with the routes below.

//go:embed openapi.json
var openAPI json.RawMessage

// assets are the page: messages and verdicts, live, and faults to turn on and off.
//
//go:embed assets
var assets embed.FS

// route is one operation of the query API.
type route struct {
	method, path string
	params       []string // of the query; others are errors
	handle       http.HandlerFunc
}

func (s *Server) queries() []route {
	return []route{
		{http.MethodGet, "/_mock/events", listParams(), s.getEvents},
		{http.MethodGet, "/_mock/events/{id}", nil, s.getEvent},
		{http.MethodGet, "/_mock/stream", streamParams(), s.getStream},
		{http.MethodGet, "/_mock/stats", nil, call(func(*http.Request) (int, any) { return http.StatusOK, s.Stats() })},
		{http.MethodGet, "/_mock/rates", []string{"seconds"}, call(s.getRates)},
		{http.MethodGet, "/_mock/sources", nil, call(s.getSources)},
		{http.MethodPost, "/_mock/reset", []string{"keep"}, call(s.postReset)},
		{http.MethodGet, "/_mock/faults", nil, call(s.getFaults)},
		{http.MethodPut, "/_mock/faults", nil, call(s.putFaults)},
		{http.MethodPost, "/_mock/faults", nil, call(s.postFault)},
		{http.MethodDelete, "/_mock/faults/{id}", nil, call(s.deleteFault)},
		{http.MethodGet, "/_mock/openapi.json", nil, call(func(*http.Request) (int, any) { return http.StatusOK, openAPI })},
	}
}

// call makes a handler that answers with a value as JSON.
func call(answer func(*http.Request) (status int, value any)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		status, value := answer(r)
		writeJSON(w, status, value)
	}
}

// queryHandler serves these operations and the page; anything else gets an error.
func (s *Server) queryHandler() http.Handler {
	mux := http.NewServeMux()
	paths := map[string]bool{"/_mock/{$}": true, "/_mock/assets/": true}
	for path := range paths {
		mux.Handle("GET "+path, webpage.Handler(assets, "/_mock/"))
	}
	for _, r := range s.queries() {
		mux.HandleFunc(r.method+" "+r.path, known(r.params, r.handle))
		paths[r.path] = true
	}
	for path := range paths {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, http.StatusMethodNotAllowed, errors.New("no such method here"))
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusNotFound, errors.New("no such path"))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if no := s.config.hosts.Check(r); no != nil { // a page of another site, by a browser
			writeJSON(w, http.StatusForbidden, no)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// known answers 400 to a query with other parameters.
func known(params []string, handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		values, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			writeJSON(w, http.StatusBadRequest, fmt.Errorf("query: %w", err))
			return
		}
		for name := range values {
			if slices.Contains(params, name) {
				continue
			}
			others := "there are none here"
			if len(params) > 0 {
				others = "known are " + strings.Join(params, ", ")
			}
			writeJSON(w, http.StatusBadRequest, fmt.Errorf("unknown parameter %q; %s", name, others))
			return
		}
		handle(w, r)
	}
}

func (s *Server) getRates(r *http.Request) (int, any) {
	var seconds int
	given := cmp.Or(r.URL.Query().Get("seconds"), "60")
	if p := numberParam(&seconds, 1, rateSeconds); !p.set(given) {
		return http.StatusBadRequest, fmt.Errorf("seconds must be %s, not %q", p.want, given)
	}
	return http.StatusOK, map[string][]second{"seconds": s.store.lastSeconds(time.Now(), seconds)}
}

func (s *Server) getSources(*http.Request) (int, any) {
	list := []*source{}
	for _, key := range slices.Sorted(maps.Keys(s.config.sources)) {
		list = append(list, s.config.sources[key])
	}
	return http.StatusOK, map[string][]*source{"sources": list}
}

func (s *Server) postReset(r *http.Request) (int, any) {
	switch keep := r.URL.Query().Get("keep"); keep {
	case "":
		s.Reset()
	case "faults":
		s.ResetMessages()
	default:
		return http.StatusBadRequest, fmt.Errorf("keep must be faults, not %q", keep)
	}
	return http.StatusOK, map[string]bool{"ok": true}
}

// getEvents answers with a page of events, after a wait for them if the query has
// one.
func (s *Server) getEvents(w http.ResponseWriter, r *http.Request) {
	q, err := parseSearch(r.URL.Query())
	if err != nil {
		writeJSON(w, http.StatusBadRequest, err)
		return
	}
	var waited *waitJSON
	if q.wait > 0 {
		ctx, cancel := context.WithTimeout(r.Context(), q.wait)
		defer context.AfterFunc(s.open, cancel)()
		defer cancel()
		waited = &waitJSON{Satisfied: true}
		if _, err := s.store.wait(ctx, q.filter, q.after, q.count); err != nil { // the page has what was stored until then
			waited = &waitJSON{Instead: s.instead(q.filter)}
		}
	}
	events := s.store.page(q)
	next := ""
	switch {
	case len(events) > 0:
		next = events[len(events)-1].ID()
	case q.wait > 0 && q.after > 0:
		next = idOf(q.after) // so that the next wait continues from here
	}
	writeEvents(w, events, q.summaries, pageJSON{next, s.store.total(q.filter), waited})
}

// pageJSON is a page without its events.
type pageJSON struct {
	Next  string `json:"next"`
	Total uint64 `json:"total"`
	*waitJSON
}

// waitJSON is how a wait ended: with its messages, or with a timeout and
// descriptions of the nearest messages.
type waitJSON struct {
	Satisfied bool     `json:"satisfied"`
	Instead   []string `json:"instead,omitempty"`
}

// writeEvents writes one event after the other, so that a long page is not in
// memory twice, and then the rest of the page.
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

func (s *Server) getEvent(w http.ResponseWriter, r *http.Request) {
	seq, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	e, ok := s.store.get(seq)
	if err != nil || !ok {
		writeJSON(w, http.StatusNotFound, fmt.Errorf("no event %q is kept", r.PathValue("id")))
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(append(e.appendJSON(nil), '\n'))
}

func (s *Server) getFaults(*http.Request) (int, any) {
	return http.StatusOK, map[string][]Fault{"faults": s.Faults()}
}

// putFaults replaces the list. It takes {"faults":[…]}, a bare list or one fault.
func (s *Server) putFaults(r *http.Request) (int, any) {
	list, err := readFaults(r)
	if err == nil {
		err = s.SetFaults(list...)
	}
	if err != nil {
		return http.StatusBadRequest, err
	}
	return s.getFaults(r)
}

// postFault adds one fault and answers with it, so that the client learns its id.
func (s *Server) postFault(r *http.Request) (int, any) {
	list, err := readFaults(r)
	if err == nil && len(list) != 1 {
		err = fmt.Errorf("want one fault, not %d", len(list))
	}
	var added Fault
	if err == nil {
		added, err = s.faults.add(list[0])
	}
	if err != nil {
		return http.StatusBadRequest, err
	}
	return http.StatusCreated, added
}

func (s *Server) deleteFault(r *http.Request) (int, any) {
	if !s.RemoveFault(r.PathValue("id")) {
		return http.StatusNotFound, fmt.Errorf("no fault %q", r.PathValue("id"))
	}
	return s.getFaults(r)
}

func readFaults(r *http.Request) ([]Fault, error) {
	const maxFaults = 1 << 20 // bytes
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxFaults))
	if err != nil {
		return nil, fmt.Errorf("reading the faults: %w", err)
	}
	return ParseFaults(body)
}

// ParseFaults reads faults in the forms of PUT /_mock/faults: {"faults":[…]}, a
// list, or one fault. The error names a member that a fault does not have.
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
	decoder := json.NewDecoder(strings.NewReader(list))
	decoder.DisallowUnknownFields()
	var faults []Fault
	if err := decoder.Decode(&faults); err != nil {
		return nil, fmt.Errorf("faults: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("faults: there is more behind the JSON")
	}
	return faults, nil
}

// writeJSON answers with a value as JSON; of an error it shows the text.
func writeJSON(w http.ResponseWriter, status int, value any) {
	if err, failed := value.(error); failed {
		value = map[string]string{"error": err.Error()}
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "%s\n", encode(value))
}

// Settings of the stream.
const (
	streamInterval     = 250 * time.Millisecond // between batches
	streamHeartbeat    = 15 * time.Second
	streamWriteTimeout = 10 * time.Second // for a client that does not read
	streamMost         = 200              // summaries in a batch
	streamNames        = 500              // event names in its statistics
)

// streamBatch is the data of an event "message".
type streamBatch struct {
	Events  []summary `json:"events"`
	Skipped uint64    `json:"skipped"` // older ones that match and are kept, too many for a batch
	Stats   Stats     `json:"stats"`
}

// getStream sends server-sent events: "message" with new messages and the
// statistics, once in streamInterval at most, and "reset". It reads from the store
// and buffers nothing: a slow client gets fewer events, and one that does not read
// at all is disconnected.
func (s *Server) getStream(w http.ResponseWriter, r *http.Request) {
	values := r.URL.Query()
	given := values.Get("after")
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		given = last
		values.Set("after", last)
	}
	q, err := parseSearch(values)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, err)
		return
	}
	now := s.store.state()
	client := &streamClient{server: s, filter: q.filter, out: w, cursor: q.after, resets: now.resets}
	switch {
	case given == "":
		client.cursor = now.last
	case q.after > now.last || now.resets > 0 && q.after <= now.resetAt:
		client.resets-- // of before a reset, or not of this server: the first event is a reset
	}
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // no buffering by a proxy
	ticker := time.NewTicker(streamInterval)
	defer ticker.Stop()
	for client.update() == nil {
		select {
		case <-ticker.C:
		case <-r.Context().Done():
			return
		case <-s.open.Done():
			return
		}
	}
}

// streamClient is one reader of the stream and its position.
type streamClient struct {
	server *Server
	filter Filter
	out    http.ResponseWriter

	cursor  uint64
	resets  int
	version uint64
	wrote   time.Time // zero before the first write
}

// update sends what has changed since the last update.
func (c *streamClient) update() error {
	now := c.server.store.state()
	if !c.wrote.IsZero() && now.version == c.version {
		if time.Since(c.wrote) < streamHeartbeat {
			return nil
		}
		return c.send(": still here\n\n")
	}
	c.version = now.version
	if now.resets != c.resets {
		c.resets, c.cursor = now.resets, now.resetAt
		if err := c.send(fmt.Sprintf("event: reset\nid: %d\ndata: {}\n\n", now.resetAt)); err != nil {
			return err
		}
	}
	batch, all := streamBatch{Events: []summary{}}, c.filter.conditions() // the newest that match, the oldest first
	for _, e := range slices.Backward(c.server.store.kept(c.cursor, now.last+1)) {
		switch {
		case !all.match(e):
		case len(batch.Events) < streamMost:
			batch.Events = append(batch.Events, e.summary())
		default:
			batch.Skipped++
		}
	}
	slices.Reverse(batch.Events)
	batch.Stats = c.server.Stats()
	if len(batch.Stats.ByEvent) > streamNames {
		batch.Stats.dropNames()
	}
	c.cursor = now.last
	return c.send(fmt.Sprintf("event: message\nid: %d\ndata: %s\n\n", now.last, encode(batch)))
}

// send writes and flushes, within streamWriteTimeout.
func (c *streamClient) send(text string) error {
	c.wrote = time.Now()
	control := http.NewResponseController(c.out)
	_ = control.SetWriteDeadline(c.wrote.Add(streamWriteTimeout)) // not every writer has deadlines
	if _, err := c.out.Write([]byte(text)); err != nil {
		return err
	}
	return control.Flush()
}
