package harness

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"sync"
)

// Break says how a run is spoiled on purpose, to show that the verdict notices.
type Break string

// The ways to spoil a run.
const (
	BreakNothing   Break = ""
	BreakLose      Break = "lose"      // one message is swallowed and answered as if it had arrived
	BreakCorrupt   Break = "corrupt"   // one byte of one message's properties is altered
	BreakDuplicate Break = "duplicate" // messages are sent a second time
)

// repeats is how many messages BreakDuplicate sends twice. One could fall
// together with a kill, which explains a duplicate; twenty do not.
const repeats = 20

// spoiler stands between the bridge and RudderStack and does what Break says.
// Everything else passes as it is.
type spoiler struct {
	how    Break
	target string // RudderStack's base URL
	client *http.Client

	mu     sync.Mutex
	victim string // id of the message that is lost, every time it is sent
	done   int    // how often it was spoiled and RudderStack took it
}

func newSpoiler(how Break, target string) *spoiler {
	return &spoiler{how: how, target: target, client: &http.Client{
		// A connection for each request: one that is closed says that nothing
		// of it is under way any more.
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// ServeHTTP passes a request on, spoiled where it is its turn.
func (s *spoiler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the bridge is gone: nobody to answer
	}
	spoilt, extra := s.spoil(body)
	if spoilt == nil {
		_, _ = io.WriteString(w, "ok")
		return
	}
	res, err := s.pass(r, spoilt)
	if err != nil {
		// RudderStack closed the connection or hangs: so does this side.
		panic(http.ErrAbortHandler)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusOK && extra != nil {
		if again, err := s.pass(r, extra); err == nil {
			again.Body.Close()
		}
	}
	if res.StatusCode == http.StatusOK && (extra != nil || !bytes.Equal(spoilt, body)) {
		s.mu.Lock()
		s.done++
		s.mu.Unlock()
	}
	maps.Copy(w.Header(), res.Header)
	w.WriteHeader(res.StatusCode)
	_, _ = io.Copy(w, res.Body)
}

func (s *spoiler) pass(r *http.Request, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(r.Context(), r.Method, s.target+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("pass on: %w", err)
	}
	req.Header = r.Header.Clone()
	return s.client.Do(req)
}

// envelope is a request's body, of either of the two ways into RudderStack.
type envelope struct {
	Batch  []json.RawMessage `json:"batch,omitempty"`
	Events []json.RawMessage `json:"events,omitempty"`
}

func (e *envelope) list() *[]json.RawMessage {
	if e.Batch != nil {
		return &e.Batch
	}
	return &e.Events
}

// spoil returns the body to pass on, nil where nothing of it is left, and one
// to send after it.
func (s *spoiler) spoil(body []byte) (spoilt, extra []byte) {
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil || len(*e.list()) == 0 {
		return body, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch messages := e.list(); {
	case s.how == BreakLose:
		if s.victim == "" {
			s.victim = idOf((*messages)[0])
		}
		kept := without(*messages, s.victim)
		if len(kept) == len(*messages) {
			return body, nil
		}
		if len(kept) == 0 {
			s.done++
			return nil, nil
		}
		*messages = kept
	case s.how == BreakCorrupt && s.done == 0:
		if !corruptOne(*messages) {
			return body, nil
		}
	case s.how == BreakDuplicate && s.done < repeats:
		*messages = (*messages)[:1]
		return body, mustMarshal(e)
	default:
		return body, nil
	}
	return mustMarshal(e), nil
}

// mustMarshal writes an envelope of what was just read; that cannot fail.
func mustMarshal(e envelope) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		panic(errors.Join(http.ErrAbortHandler, err))
	}
	return out.Bytes()
}

func idOf(message []byte) string {
	var m struct {
		MessageID string `json:"messageId"`
		ID        string `json:"id"`
	}
	_ = json.Unmarshal(message, &m) // without an id nothing is lost, which the run then shows
	if m.MessageID != "" {
		return m.MessageID
	}
	return m.ID
}

func without(messages []json.RawMessage, id string) []json.RawMessage {
	var kept []json.RawMessage
	for _, m := range messages {
		if idOf(m) != id {
			kept = append(kept, m)
		}
	}
	return kept
}

// alterable finds a letter or digit before a quote that can be made the next one
// in the alphabet, and leaves JSON valid, even where it ends a \u escape.
var alterable = regexp.MustCompile(`[^\\][0-8a-eg-yG-Y]"`)

// corruptOne alters one byte of the properties of one message and says whether
// there was one to alter.
func corruptOne(messages []json.RawMessage) bool {
	for i, m := range messages {
		var fields struct{ Properties json.RawMessage }
		if json.Unmarshal(m, &fields) != nil || len(fields.Properties) == 0 {
			continue
		}
		at := alterable.FindIndex(fields.Properties)
		if at == nil {
			continue
		}
		messages[i] = bytes.Clone(m)
		messages[i][bytes.Index(m, fields.Properties)+at[0]+1]++
		return true
	}
	return false
}
