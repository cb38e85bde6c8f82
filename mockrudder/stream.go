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
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	client := &streamClient{store: s.store, stats: s.Stats, filter: q.filter, out: w, control: http.NewResponseController(w)}
	client.begin(given != "", q.after)
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
	store   *store
	stats   func() Stats
	filter  Filter
	out     http.ResponseWriter
	control *http.ResponseController

	cursor  uint64
	resets  int
	version uint64
	wrote   time.Time // zero before the first write
}

// begin sets the position to the client's cursor, or to the newest message if it
// has none. A cursor from before a reset, or one that is not of this server, makes
// the first event a reset.
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

// update sends what has changed since the last update.
func (c *streamClient) update() error {
	c.store.mu.Lock()
	version, resets, last, resetAt := c.store.version, c.store.resets, c.store.last, c.store.resetAt
	c.store.mu.Unlock()
	first := c.wrote.IsZero()
	if !first && version == c.version {
		if time.Since(c.wrote) < streamHeartbeat {
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

// batch sends the newest of the messages up to last that match, the oldest first.
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
	c.cursor = last
	return c.send(fmt.Sprintf("event: message\nid: %d\ndata: %s\n\n", last, encode(batch)))
}

// send writes and flushes, within streamWriteTimeout.
func (c *streamClient) send(text string) error {
	c.wrote = time.Now()
	_ = c.control.SetWriteDeadline(c.wrote.Add(streamWriteTimeout)) // not every writer has deadlines
	if _, err := c.out.Write([]byte(text)); err != nil {
		return err
	}
	return c.control.Flush()
}
