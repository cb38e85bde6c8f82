package harness

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"sync"
)

// Break says how a run is spoiled on purpose, to show that the verdict notices.
type Break string

// The ways to spoil a run.
const (
	BreakNothing   Break = ""
	BreakLose      Break = "lose"      // one message is dropped, and its request answered as if it had arrived
	BreakCorrupt   Break = "corrupt"   // one byte of one message's properties is altered
	BreakDuplicate Break = "duplicate" // some messages arrive twice
)

// spoiler stands before RudderStack and does what Break says to the first
// messages that it can, each time they are sent. All others pass.
type spoiler struct {
	how  Break
	next http.Handler // RudderStack

	mu      sync.Mutex
	victims map[string]bool // ids of the messages that are spoiled
}

// ServeHTTP passes a request on, spoiled where it has a victim in it.
func (s *spoiler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/version" { // or the bridge would compress what is to be spoiled
		http.NotFound(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the bridge is gone
	}
	var lists map[string][]json.RawMessage // one list: batch, or events in webhook mode
	if json.Unmarshal(body, &lists) == nil {
		for key, messages := range lists {
			if lists[key] = s.spoil(messages); len(messages) > 0 && len(lists[key]) == 0 {
				_, _ = io.WriteString(w, "ok")
				return
			}
		}
		if body, err = json.Marshal(lists); err != nil {
			panic(err) // unreachable for what was JSON before
		}
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	s.next.ServeHTTP(w, r)
}

func (s *spoiler) spoil(messages []json.RawMessage) []json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := []json.RawMessage{}
	for _, m := range messages {
		switch {
		case !s.isVictim(m):
			kept = append(kept, m)
		case s.how == BreakDuplicate:
			kept = append(kept, m, m)
		case s.how == BreakCorrupt:
			kept = append(kept, corrupt(m))
		}
	}
	return kept
}

// isVictim says whether a message is to be spoiled. The first ones are chosen.
func (s *spoiler) isVictim(message []byte) bool {
	var m struct{ MessageID, ID string }
	_ = json.Unmarshal(message, &m) // a message without an id is no victim
	id, limit := cmp.Or(m.MessageID, m.ID), 1
	if s.how == BreakDuplicate {
		limit = 20 // one could coincide with a kill, which explains a duplicate
	}
	if !s.victims[id] && id != "" && len(s.victims) < limit && (s.how != BreakCorrupt || corrupt(message) != nil) {
		s.victims[id] = true
	}
	return s.victims[id]
}

// alterable finds a letter or digit before a quote that can be made the next one
// in the alphabet, and leaves JSON valid, even where it ends a \u escape.
var alterable = regexp.MustCompile(`[^\\][0-8a-eg-yG-Y]"`)

// corrupt returns a message with one byte of its properties altered; nil: there
// is none to alter.
func corrupt(message []byte) []byte {
	var fields struct{ Properties json.RawMessage }
	if json.Unmarshal(message, &fields) != nil {
		return nil
	}
	at := alterable.FindIndex(fields.Properties)
	if at == nil {
		return nil
	}
	altered := bytes.Clone(message)
	altered[bytes.Index(message, fields.Properties)+at[0]+1]++
	return altered
}
