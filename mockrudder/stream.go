package mockrudder

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// How the stream behaves.
const (
	streamEvery     = 250 * time.Millisecond // what comes in between is one batch
	streamHeartbeat = 15 * time.Second
	streamPatience  = 10 * time.Second // for a client that does not read
	streamMost      = 200              // summaries in a batch
	streamNames     = 500              // event names in its statistics
)

// streamBatch is the data of an event "message".
type streamBatch struct {
	Events  []summary `json:"events"`
	Skipped uint64    `json:"skipped"` // older ones that match and are kept, too many for a batch
	Stats   Stats     `json:"stats"`
}

// getStream sends server-sent events: "message" with what has come and the
// statistics, at most every streamEvery, and "reset". It reads what the store
// keeps and buffers nothing: a client that is slow gets larger gaps, and one
// that does not read at all is dropped.
func (s *Server) getStream(w http.ResponseWriter, r *http.Request) {
	values := r.URL.Query()
	given := values.Get("after")
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		given = last
		values.Set("after", last)
	}
	q, err := parseSearch(values)
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	client := &streamClient{store: s.store, stats: s.Stats, filter: q.filter, out: w, control: http.NewResponseController(w)}
	client.begin(given != "", q.after)
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // a proxy would hold it back
	ticker := time.NewTicker(streamEvery)
	defer ticker.Stop()
	for client.look() == nil {
		select {
		case <-ticker.C:
		case <-r.Context().Done():
			return
		case <-s.open.Done():
			return
		}
	}
}

// streamClient is one reader of the stream and how far it has come.
type streamClient struct {
	store   *store
	stats   func() Stats
	filter  Filter
	out     http.ResponseWriter
	control *http.ResponseController

	cursor  uint64
	resets  int
	version uint64
	spoke   time.Time // zero before the first look
}

// begin places the client behind its cursor, or behind the newest message
// where it has none. A cursor that lies behind a reset, or that this server
// never gave, makes the first event a reset.
func (c *streamClient) begin(given bool, cursor uint64) {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	c.resets = c.store.resets
	if !given {
		c.cursor = c.store.last
		return
	}
	c.cursor = cursor
	if cursor > c.store.last || c.resets > 0 && cursor <= c.store.resetAt {
		c.resets--
	}
}

// look sends what has happened since the last look.
func (c *streamClient) look() error {
	c.store.mu.Lock()
	version, resets, last, resetAt := c.store.version, c.store.resets, c.store.last, c.store.resetAt
	c.store.mu.Unlock()
	first := c.spoke.IsZero()
	if !first && version == c.version {
		if time.Since(c.spoke) < streamHeartbeat {
			return nil
		}
		return c.send(": still here\n\n")
	}
	c.version = version
	if resets != c.resets {
		c.resets, c.cursor = resets, resetAt
		if err := c.send(fmt.Sprintf("event: reset\nid: %d\ndata: {}\n\n", resetAt)); err != nil {
			return err
		}
	}
	return c.batch(last)
}

// batch sends the newest of what matches up to last, oldest first.
func (c *streamClient) batch(last uint64) error {
	batch, all := streamBatch{Events: []summary{}}, c.filter.conditions()
	for _, e := range slices.Backward(c.store.kept(c.cursor, last+1)) {
		switch {
		case !all.match(e):
		case len(batch.Events) < streamMost:
			batch.Events = append(batch.Events, e.summary())
		default:
			batch.Skipped++
		}
	}
	slices.Reverse(batch.Events)
	batch.Stats = c.stats()
	if len(batch.Stats.ByEvent) > streamNames {
		batch.Stats.dropNames()
	}
	text, err := json.Marshal(batch)
	if err != nil {
		return err
	}
	c.cursor = last
	return c.send(fmt.Sprintf("event: message\nid: %d\ndata: %s\n\n", last, text))
}

// send writes and flushes, within streamPatience.
func (c *streamClient) send(text string) error {
	c.spoke = time.Now()
	_ = c.control.SetWriteDeadline(c.spoke.Add(streamPatience)) // not every writer has deadlines
	if _, err := c.out.Write([]byte(text)); err != nil {
		return err
	}
	return c.control.Flush()
}
