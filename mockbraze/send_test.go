package mockbraze

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
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
