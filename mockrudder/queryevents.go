package mockrudder

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"
)

// getEvents answers with a page of events, after a wait for them if one is
// asked for.
func (s *Server) getEvents(c *gin.Context) {
	q, err := parseSearch(c.Request.URL.Query())
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
	events := s.store.page(q.filter, q.after, q.before, q.newestFirst, q.limit)
	next := ""
	switch {
	case len(events) > 0:
		next = events[len(events)-1].ID()
	case q.wait > 0 && q.after > 0:
		next = idOf(q.after) // so that the next wait goes on from here
	}
	writeEvents(c.Writer, events, q.summaries, next, s.store.total(q.filter))
}

// writeEvents writes one event after the other, so that a long page is not
// held in memory twice.
func writeEvents(w http.ResponseWriter, events []Event, summaries bool, next string, total uint64) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = io.WriteString(w, `{"events":[`)
	for i := range events {
		var value any = events[i].summary()
		if !summaries {
			value = events[i].json()
		}
		text := []byte(encode(value))
		if i > 0 {
			text = append([]byte{','}, text...)
		}
		if _, err := w.Write(text); err != nil {
			return // the client has left
		}
	}
	_, _ = fmt.Fprintf(w, "],\"next\":%q,\"total\":%d}\n", next, total)
}

// getEvent answers with one event and the names of the schemas that it was
// held against.
func (s *Server) getEvent(c *gin.Context) {
	seq, err := strconv.ParseUint(c.Param("id"), 10, 64)
	e, ok := s.store.get(seq)
	if err != nil || !ok {
		writeError(c.Writer, http.StatusNotFound, fmt.Sprintf("no event %q is kept", c.Param("id")))
		return
	}
	whole := e.json()
	if e.Judged && s.judge != nil {
		whole.Schema = s.judge.schemas(&e)
	}
	writeJSON(c.Writer, http.StatusOK, whole)
}
