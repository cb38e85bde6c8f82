// Package receiver is a small service that takes Braze Currents and passes each
// event on to RudderStack. It is an example of what the fakes test: it keeps
// nothing on disk, so it answers 200 only when RudderStack has accepted the
// events, and leaves retries to Braze. In production use the bridge.
package receiver

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// Receiver is an http.Handler for POST /currents.
type Receiver struct {
	// Token is the bearer token that Braze sends.
	Token string
	// RudderURL and WriteKey are RudderStack's data plane and an HTTP source.
	RudderURL, WriteKey string
	// Client posts to RudderStack.
	Client *http.Client

	seen sync.Map // ids of events that RudderStack has accepted
}

// event is what it needs of a Braze event; properties pass as they are.
type event struct {
	ID   string `json:"id"`
	Type string `json:"event_type"`
	User struct {
		ID         string `json:"user_id"`
		ExternalID string `json:"external_user_id"`
	} `json:"user"`
	Properties json.RawMessage `json:"properties"`
}

// message is a track call of RudderStack's HTTP API.
type message struct {
	Type        string          `json:"type"`
	Event       string          `json:"event"`
	MessageID   string          `json:"messageId"`
	UserID      string          `json:"userId,omitempty"`
	AnonymousID string          `json:"anonymousId,omitempty"`
	Properties  json.RawMessage `json:"properties,omitempty"`
}

func (rc *Receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+rc.Token)) != 1 {
		http.Error(w, "wrong token", http.StatusUnauthorized)
		return
	}
	var batch struct {
		Events []event `json:"events"`
	}
	const limit = 16 << 20
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit)).Decode(&batch); err != nil {
		http.Error(w, "not a batch: "+err.Error(), http.StatusBadRequest)
		return
	}
	var fresh []event
	for _, e := range batch.Events {
		if _, seen := rc.seen.Load(e.ID); !seen {
			fresh = append(fresh, e)
		}
	}
	if err := rc.forward(r, fresh); err != nil {
		// Braze sends the same batch again later.
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	for _, e := range fresh {
		rc.seen.Store(e.ID, true)
	}
	fmt.Fprintf(w, "%d accepted, %d duplicates\n", len(fresh), len(batch.Events)-len(fresh))
}

// forward posts the events as one batch. Its error says that RudderStack has
// not accepted them.
func (rc *Receiver) forward(r *http.Request, events []event) error {
	var messages []message
	for _, e := range events {
		if e.User.ID == "" && e.User.ExternalID == "" {
			continue // RudderStack takes no message without a user
		}
		messages = append(messages, message{Type: "track", Event: e.Type, MessageID: e.ID,
			UserID: e.User.ExternalID, AnonymousID: e.User.ID, Properties: e.Properties})
	}
	if len(messages) == 0 {
		return nil
	}
	body, err := json.Marshal(map[string]any{"batch": messages})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, rc.RudderURL+"/v1/batch", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.SetBasicAuth(rc.WriteKey, "")
	res, err := rc.Client.Do(req)
	if err != nil {
		return fmt.Errorf("RudderStack is away: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(res.Body, 200))
		return fmt.Errorf("RudderStack answers %s: %s", res.Status, said)
	}
	return nil
}
