package mockrudder

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

// The query API under /_mock/. Errors are JSON, {"error":"…"}.

// Limits of a page of the query API.
const (
	defaultLimit = 1000
	maxLimit     = 100_000
	maxWait      = 10 * time.Minute
)

func (s *Server) queryRoutes() http.Handler {
	engine := newEngine()
	engine.GET("/_mock/events", s.getEvents)
	engine.GET("/_mock/stats", func(c *gin.Context) { writeJSON(c.Writer, http.StatusOK, s.Stats()) })
	engine.POST("/_mock/reset", s.postReset)
	engine.GET("/_mock/faults", func(c *gin.Context) { writeFaults(c.Writer, s.Faults()) })
	engine.PUT("/_mock/faults", s.putFaults)
	engine.NoRoute(func(c *gin.Context) { writeError(c.Writer, http.StatusNotFound, "no such path") })
	engine.NoMethod(func(c *gin.Context) { writeError(c.Writer, http.StatusMethodNotAllowed, "no such method here") })
	return engine
}

func writeError(w http.ResponseWriter, status int, text string) {
	writeJSON(w, status, map[string]string{"error": text})
}

// search is what a request for events asks for.
type search struct {
	filter Filter
	after  uint64
	limit  int
	count  int
	wait   time.Duration
}

func (s *Server) getEvents(c *gin.Context) {
	q, err := parseSearch(c.Request.URL.RawQuery)
	if err != nil {
		writeError(c.Writer, http.StatusBadRequest, err.Error())
		return
	}
	if q.wait > 0 {
		ctx, cancel := context.WithTimeout(c.Request.Context(), q.wait)
		defer context.AfterFunc(s.open, cancel)()
		defer cancel()
		_, _ = s.store.wait(ctx, q.filter, q.after, q.count) // what has come by then is the answer
	}
	events := s.store.find(q.filter, q.after, q.limit)
	next := ""
	switch {
	case len(events) > 0:
		next = strconv.FormatUint(events[len(events)-1].seq, 10)
	case q.wait > 0 && q.after > 0:
		next = strconv.FormatUint(q.after, 10) // so that the next wait goes on from here
	}
	writeEvents(c.Writer, events, next, s.store.total(q.filter))
}

// writeEvents writes one event after the other, so that a long page is not
// held in memory twice.
func writeEvents(w http.ResponseWriter, events []Event, next string, total uint64) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = io.WriteString(w, `{"events":[`)
	for i := range events {
		text, err := events[i].MarshalJSON()
		if err != nil {
			text = []byte("null")
		}
		if i > 0 {
			text = append([]byte{','}, text...)
		}
		if _, err := w.Write(text); err != nil {
			return // the client has left
		}
	}
	_, _ = fmt.Fprintf(w, "],\"next\":%q,\"total\":%d}\n", next, total)
}

func parseSearch(rawQuery string) (search, error) {
	q := search{count: 1}
	values, err := url.ParseQuery(rawQuery)
	if err != nil {
		return q, fmt.Errorf("query: %w", err)
	}
	limited := false
	for name, all := range values {
		value := all[0]
		switch name {
		case "type":
			q.filter.Type = value
		case "event":
			q.filter.Event = value
		case "userId":
			q.filter.UserID = value
		case "messageId":
			q.filter.MessageID = value
		case "source":
			q.filter.Source = value
		case "valid":
			q.filter.OnlyValid, q.filter.OnlyInvalid, err = verdictOf(value)
		case "after":
			q.after, err = cursorOf(value)
		case "limit":
			limited = value != ""
			q.limit, err = numberOf(name, value, 0, maxLimit)
		case "count":
			q.count, err = numberOf(name, value, 1, 1<<40)
		case "wait":
			q.wait, err = waitOf(value)
		default:
			err = fmt.Errorf("unknown parameter %q; known are type, event, userId, messageId, source, valid, after, limit, count, wait", name)
		}
		if err != nil {
			return q, err
		}
	}
	if !limited {
		q.limit = min(max(defaultLimit, q.count), maxLimit)
	}
	return q, nil
}

func verdictOf(value string) (valid, invalid bool, err error) {
	switch value {
	case "":
		return false, false, nil
	case "true":
		return true, false, nil
	case "false":
		return false, true, nil
	}
	return false, false, fmt.Errorf("valid must be true or false, not %q", value)
}

func cursorOf(value string) (uint64, error) {
	if value == "" {
		return 0, nil
	}
	after, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("after must be a cursor from next, not %q", value)
	}
	return after, nil
}

func numberOf(name, value string, low, high int) (int, error) {
	if value == "" {
		return low, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("%s must be a whole number from %d to %d, not %q", name, low, high, value)
	}
	return n, nil
}

func waitOf(value string) (time.Duration, error) {
	if value == "" {
		return 0, nil
	}
	wait, err := time.ParseDuration(value)
	if seconds, plain := strconv.ParseFloat(value, 64); plain == nil {
		wait, err = time.Duration(seconds*float64(time.Second)), nil
	}
	if err != nil || wait < 0 || wait > maxWait {
		return 0, fmt.Errorf("wait must be a duration such as 5s, up to %s, not %q", maxWait, value)
	}
	return wait, nil
}

func (s *Server) postReset(c *gin.Context) {
	switch keep := c.Query("keep"); keep {
	case "":
		s.Reset()
	case "faults":
		s.ResetMessages()
	default:
		writeError(c.Writer, http.StatusBadRequest, fmt.Sprintf("keep must be faults, not %q", keep))
		return
	}
	writeJSON(c.Writer, http.StatusOK, map[string]bool{"ok": true})
}

func writeFaults(w http.ResponseWriter, list []Fault) {
	writeJSON(w, http.StatusOK, map[string][]Fault{"faults": list})
}

// putFaults replaces the list. It takes {"faults":[…]}, a bare list or one fault.
func (s *Server) putFaults(c *gin.Context) {
	const maxFaults = 1 << 20 // bytes
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxFaults))
	if err != nil {
		writeError(c.Writer, http.StatusBadRequest, "reading the faults: "+err.Error())
		return
	}
	list, err := parseFaults(body)
	if err == nil {
		err = s.SetFaults(list...)
	}
	if err != nil {
		writeError(c.Writer, http.StatusBadRequest, err.Error())
		return
	}
	writeFaults(c.Writer, s.Faults())
}

func parseFaults(body []byte) ([]Fault, error) {
	text := strings.TrimSpace(string(body))
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) == nil {
		if inner, wrapped := members["faults"]; wrapped && len(members) == 1 {
			text = strings.TrimSpace(string(inner))
		}
	}
	if !strings.HasPrefix(text, "[") {
		text = "[" + text + "]"
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	var list []Fault
	if err := decoder.Decode(&list); err != nil {
		return nil, fmt.Errorf("faults: %w", err)
	}
	return list, nil
}
