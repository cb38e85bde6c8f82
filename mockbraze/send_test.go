package mockbraze

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/journey/journeytest"
)

func TestRequests(t *testing.T) {
	inBubble(t, nil, Current{Token: "s3cret", Batch: 10}, func(t *testing.T, e *endpoint, c *Connector) {
		require.NoError(t, c.Send(t.Context(), 102*10+5))
		probe := e.requests[0]
		require.Equal(t, `{"events":[]}`, probe.body)
		for _, r := range e.requests {
			require.Equal(t, "application/json", r.header.Get("Content-Type"))
			require.Equal(t, "1", r.header.Get("Braze-Currents-Version"))
			require.Equal(t, "Bearer s3cret", r.header.Get("Authorization"))
		}
		types := make(map[string]int)
		for _, r := range e.batches() {
			require.NotEmpty(t, r.types)
			require.LessOrEqual(t, len(r.types), 10)
			for _, typ := range r.types {
				require.Equal(t, r.types[0], typ, "a request carries one type")
				types[typ]++
			}
		}
		require.Len(t, types, 102)
		require.Len(t, e.batches(), 102+5)
		require.EqualValues(t, 1025, c.Report().Counts.Sent)

		e = &endpoint{}
		e.launch(t, Current{EmptyProbe: true})
		require.Empty(t, e.requests[0].body)
		require.NotContains(t, e.requests[0].header, "Authorization", "without a token")
	})
}

func TestSameSeedSameBytes(t *testing.T) {
	run := func(seed uint64, connections int) (bodies [2]map[string]bool) { // of two Currents
		synctest.Test(t, func(t *testing.T) {
			e := &endpoint{}
			s := e.open(t, WithSeed(seed))
			for i := range bodies {
				bodies[i] = make(map[string]bool)
				before := len(e.batches())
				require.NoError(t, s.Launch(Current{URL: "http://x.example/", Events: All, Connections: connections}).Send(t.Context(), 1000))
				for _, r := range e.batches()[before:] {
					bodies[i][r.body] = true
				}
			}
		})
		return bodies
	}
	bodies := run(7, 1)
	require.Equal(t, bodies, run(7, 16))
	require.NotEqual(t, bodies, run(8, 1))
	for body := range bodies[1] {
		require.NotContains(t, bodies[0], body, "a second Current has events of its own")
	}
}

func TestOversizedIsNeverSent(t *testing.T) {
	inBubble(t, nil, Current{}, func(t *testing.T, e *endpoint, c *Connector) {
		sized := func(n int) Event {
			raw := `{"event_type":"big","id":"b","properties":{"x":"`
			return Event{Raw: []byte(raw + strings.Repeat("x", n-len(raw)-3) + `"}}`)}
		}
		requireFailed(t, c.SendEvents(t.Context(), sized(MaxEventBytes), sized(MaxEventBytes+1), sized(1000)),
			ErrDropped, Outcome{Acked: 2, Dropped: map[Reason]int{Oversized: 1}})
		require.Len(t, e.batches(), 1)
		consistent(t, c.Report())
	})
}

func TestRudderStackSendsOnlyExternalIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{probe: 400} // what RudderStack answers to a probe
		s := e.open(t)
		const url = "http://rudder.example/v1/webhook?writeKey=wk"
		c := s.Launch(Current{Kind: RudderStack, URL: url})
		require.NoError(t, c.Send(t.Context(), 2040))
		sent := 0
		for _, r := range e.batches() {
			require.Equal(t, url, r.url)
			for _, ev := range r.events {
				require.NotEmpty(t, ev.Text("external_user_id"))
				sent++
			}
		}
		r := c.Report()
		require.EqualValues(t, sent, r.Counts.Sent)
		require.Positive(t, r.Counts.Withheld)
		require.EqualValues(t, 2040, r.Counts.Sent+r.Counts.Withheld)
	})
}

func TestLaunchFailsOnWrongCredentialsOnly(t *testing.T) {
	for _, kind := range []Kind{HTTP, RudderStack} {
		for status, fails := range map[int]bool{200: false, 204: false, 400: false, 500: false, 429: false, 401: true, 403: true, 404: true} {
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{probe: status}
				s := e.open(t)
				c, err := s.Create(Current{URL: "http://x.example", Kind: kind})
				require.NoError(t, err)
				require.ErrorIs(t, c.Send(t.Context(), 1), ErrNotLaunched)
				require.ErrorIs(t, c.Pause(), ErrNotLaunched)
				err = c.Launch(t.Context())
				if !fails {
					require.NoError(t, err, "%s %d", kind, status)
					require.Equal(t, Running, c.State())
					return
				}
				var refused *LaunchError
				require.ErrorAs(t, err, &refused, "%s %d", kind, status)
				require.Equal(t, Draft, c.State())
				require.Len(t, e.requests, 1)
			})
		}
	}
}

func TestSendGivesUpWaitingButNotTheEvents(t *testing.T) {
	inBubble(t, always(503), Current{Events: []string{"users.messages.email.*"}}, func(t *testing.T, e *endpoint, c *Connector) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		requireFailed(t, c.Send(ctx, 55), context.DeadlineExceeded, Outcome{Pending: 55})
		e.say(always(200))
		pass(time.Hour)
		require.EqualValues(t, 55, c.Report().Counts.Sent)
	})
}

func TestObserversSeeEverything(t *testing.T) {
	requests := 0
	unsteady := func(request) int {
		if requests++; requests%3 == 0 {
			return 503
		}
		return 200
	}
	sent, acked := make(map[string]int), make(map[string][]byte)
	inBubble(t, unsteady, Current{
		Connections: 1, // so that one observer is called at a time
		OnSend: func(events []Event) {
			for _, ev := range events {
				sent[ev.ID]++
			}
		},
		OnAck: func(events []Event, a Answer) {
			require.Equal(t, 200, a.Status)
			require.Equal(t, len(events), a.Events)
			for _, ev := range events {
				require.Equal(t, a.Type, ev.Type)
				require.Contains(t, string(ev.Raw), `"event_type":"`+ev.Type+`","id":"`+ev.ID+`"`)
				acked[ev.ID] = ev.Raw
			}
		},
	}, func(t *testing.T, _ *endpoint, c *Connector) {
		require.NoError(t, c.Send(t.Context(), 1000))
		// Send returns after the observers were called.
		require.Len(t, acked, 1000)
		require.ElementsMatch(t, slices.Collect(maps.Keys(sent)), slices.Collect(maps.Keys(acked)))
		require.Contains(t, slices.Collect(maps.Values(sent)), 2)
	})
}

func TestSendAtKeepsTheRate(t *testing.T) {
	inBubble(t, nil, Current{}, func(t *testing.T, e *endpoint, c *Connector) {
		begin := time.Now()
		require.NoError(t, c.SendAt(t.Context(), 2_000, 500))
		require.InDelta(t, 4, time.Since(begin).Seconds(), 0.1)
	})
}

func TestSendEventsTakesAnything(t *testing.T) {
	inBubble(t, nil, Current{}, func(t *testing.T, e *endpoint, c *Connector) {
		texts := []string{`7`, `null`, `{"id":1}`, `[]`, `{"event_type":5}`, `not JSON`}
		var events []Event
		for _, raw := range texts {
			events = append(events, Event{Type: "x", Raw: []byte(raw)})
		}
		require.NoError(t, c.SendEvents(t.Context(), events...))
		require.Equal(t, `{"events":[`+strings.Join(texts, ",")+`]}`, e.batches()[0].body)
		require.Equal(t, e.batches()[0].body, string(bodyOf(events)))
	})
}

// TestMemoryIsBoundedByTheWindow sends, and lets events happen, where none is taken.
func TestMemoryIsBoundedByTheWindow(t *testing.T) {
	inBubble(t, always(503), Current{Window: 1000}, func(t *testing.T, e *endpoint, c *Connector) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		require.ErrorIs(t, c.Send(ctx, 100_000), context.DeadlineExceeded)
		require.LessOrEqual(t, c.Report().Counts.Queued, int64(1000+chunk))
		rated := e.launch(t, Current{Window: 500, Rate: 1000})
		for range 8 { // long enough to fill the window many times over
			pass(time.Second)
			require.LessOrEqual(t, rated.Report().Counts.Queued, int64(500+chunk))
		}
		require.GreaterOrEqual(t, rated.Report().Counts.Queued, int64(500), "the window is never full")
		e.say(always(200))
		require.NoError(t, c.Send(t.Context(), 2500), "a window smaller than the queues does not block")
	})
}

func TestCloseEndsHungRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: always(-1)}
		s := e.open(t)
		c := s.Launch(Current{URL: "http://x.example", Timeout: time.Hour})
		done := make(chan error, 1)
		go func() { done <- c.Send(t.Context(), 500) }()
		time.Sleep(time.Second)
		begin := time.Now()
		s.Close()
		require.ErrorIs(t, <-done, ErrClosed)
		require.Zero(t, time.Since(begin))
		require.ErrorIs(t, c.Launch(t.Context()), ErrClosed)
		require.ErrorIs(t, c.Send(t.Context(), 1), ErrClosed)
		require.ErrorIs(t, c.Pause(), ErrClosed)
		_, err := s.Create(Current{URL: "http://x.example"})
		require.ErrorIs(t, err, ErrClosed)
		_, err = s.Create(Current{URL: "http://x.example", Window: -1})
		require.ErrorContains(t, err, "cannot be negative")
		consistent(t, c.Report())
	})
}

// What single sends ask for costs bounded memory, and no id comes twice.
func TestFeedsAreBounded(t *testing.T) {
	c, err := Start(t).Create(Current{URL: "http://127.0.0.1:1"})
	require.NoError(t, err)
	seen := map[string]bool{}
	for range 2 {
		for i, name := range slices.Concat(c.spec.Events, []string{"*"}) {
			types := []string{name, "users.messages.email.*"}[:1+i%2]
			f, err := c.feeds.of("", types)
			require.NoError(t, err)
			require.Equal(t, name == "*", f == c.feeds.main)
			events, err := f.take(t.Context(), 30)
			require.NoError(t, err)
			for _, e := range events {
				require.False(t, seen[e.ID], name)
				seen[e.ID] = true
			}
			require.LessOrEqual(t, len(c.feeds.opened), maxFeeds)
		}
	}
}

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
	sum := r.Counts.Queued + r.Counts.Sent
	for _, n := range r.Dropped {
		sum += n
	}
	require.Equal(t, r.Counts.Events, sum, "%+v", r)
}
