package mockbraze

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/journey/journeytest"
)

// endpoint is an HTTP endpoint in memory, for tests in a bubble of synctest.
type endpoint struct {
	mu       sync.Mutex
	requests []request
	// answer says what the endpoint answers: a status, 0 for no connection,
	// negative for an answer that never comes. Nil means 200.
	answer func(r request) int
	probe  int // what a probe gets; 0 means 200
}

type request struct {
	at     time.Time
	url    string
	header http.Header
	body   string
	types  []string
	ids    []string
	events []journeytest.Event
}

var errNoConnection = errors.New("no connection")

func (e *endpoint) RoundTrip(req *http.Request) (*http.Response, error) {
	raw, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) != req.ContentLength {
		return nil, fmt.Errorf("%d bytes came, %d were announced", len(raw), req.ContentLength)
	}
	r := request{at: time.Now(), url: req.URL.String(), header: req.Header.Clone(), body: string(raw)}
	var doc struct{ Events []journeytest.Event }
	_ = json.Unmarshal(raw, &doc)
	r.events = doc.Events
	for _, ev := range doc.Events {
		r.types = append(r.types, ev.Type)
		r.ids = append(r.ids, ev.ID)
	}
	e.mu.Lock()
	e.requests = append(e.requests, r)
	status := http.StatusOK
	if r.body == `{"events":[]}` {
		if e.probe != 0 {
			status = e.probe
		}
	} else if e.answer != nil {
		status = e.answer(r)
	}
	e.mu.Unlock()
	switch {
	case status == 0:
		return nil, errNoConnection
	case status < 0:
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"Location": {"http://elsewhere.example/"}}, Request: req,
		Body: io.NopCloser(strings.NewReader(http.StatusText(status))),
	}, nil
}

func (e *endpoint) say(answer func(r request) int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = answer
}

func always(status int) func(request) int { return func(request) int { return status } }

func answerIf(status int, when func(request) bool) func(request) int {
	return func(r request) int {
		if when(r) {
			return status
		}
		return http.StatusOK
	}
}

// batches are the requests so far that carried anything, in order.
func (e *endpoint) batches() []request {
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []request
	for _, r := range e.requests {
		if r.body != `{"events":[]}` {
			list = append(list, r)
		}
	}
	return list
}

func (e *endpoint) open(t *testing.T, options ...Option) *TestServer {
	return Start(t, append([]Option{WithTransport(e), WithGlossary(journeytest.Glossary(t))}, options...)...)
}

func (e *endpoint) launch(t *testing.T, spec Current) *Connector {
	spec.URL = "http://bridge.example/currents"
	return e.open(t).Launch(spec)
}

func inBubble(t *testing.T, answer func(request) int, spec Current, do func(t *testing.T, e *endpoint, c *Connector)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: answer}
		do(t, e, e.launch(t, spec))
	})
}

// pass lets time pass and then waits for what happens by it.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func opens(n int) []Event {
	list := make([]Event, n)
	for i := range list {
		list[i] = Event{Raw: fmt.Appendf(nil,
			`{"event_type":"users.messages.email.Open","id":"e%03d","time":1,"user":{"user_id":"u"},"properties":{}}`, i)}
	}
	return list
}

// requireFailed looks at what became of the events of a send that failed.
func requireFailed(t *testing.T, err, cause error, want Outcome) {
	t.Helper()
	var failed *SendError
	require.ErrorAs(t, err, &failed)
	require.ErrorIs(t, err, cause)
	if want.Dropped == nil {
		want.Dropped = map[Reason]int{}
	}
	require.Equal(t, want, failed.Outcome)
}

// consistent checks that a report adds up.
func consistent(t *testing.T, r Report) {
	t.Helper()
	sum := r.Counts.Queued + r.Counts.Sent
	for _, n := range r.Dropped {
		sum += n
	}
	require.Equal(t, r.Counts.Events, sum, "%+v", r)
}
