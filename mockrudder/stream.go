package mockrudder

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

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
