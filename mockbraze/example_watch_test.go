package mockbraze_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/currentsbridge/currentsbridge/mockbraze"
)

// moody is an endpoint that decides by the text of the request. It answers each
// text that has "late" in it 503 the first time.
func moody() *httptest.Server {
	var seen sync.Map
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		text := string(raw)
		switch {
		case err != nil || strings.Contains(text, "odd"):
			http.Error(w, "this is odd", http.StatusBadRequest)
		case strings.Contains(text, "large"):
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		case strings.Contains(text, "late"):
			if _, again := seen.LoadOrStore(text, true); !again {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}
	}))
}

// event is one of a type with an id.
func event(eventType, id string) mockbraze.Event {
	return mockbraze.Event{Type: eventType, ID: id, Raw: fmt.Appendf(nil, `{"event_type":%q,"id":%q}`, eventType, id)}
}

// A test looks at what a Current did with every kind of answer.
func ExampleConnector_Report() {
	target := moody()
	defer target.Close()
	t := &exampleT{}
	defer t.end()
	braze := mockbraze.Start(t)
	requests := 0
	current := braze.Launch(mockbraze.Current{
		Name: "Bridge", Contact: "ops@example.com", Region: "EU", URL: target.URL + "/?writeKey=wk", Token: "s3cret",
		Batch: 2, Timeout: 10 * time.Second, Window: 1000, Connections: 1, FlushAfter: time.Hour, EmptyProbe: true,
		Backoff: mockbraze.Backoff{First: time.Millisecond, Max: time.Millisecond},
		OnSend:  func([]mockbraze.Event) { requests++ },
		OnDrop: func(events []mockbraze.Event, reason mockbraze.Reason) {
			fmt.Println("dropped", events[0].Type, reason)
		},
	})
	huge := mockbraze.Event{Type: "huge", Raw: []byte(strings.Repeat(" ", mockbraze.MaxEventBytes+1))}
	err := current.SendEvents(context.Background(), huge, event("late", "1"), event("odd", "2"), event("fine", "3"), event("fine", "4"), event("large", "5"))
	var failed *mockbraze.SendError
	if errors.As(err, &failed) {
		fmt.Println(failed.Outcome.Acked, failed.Pending, failed.Outcome.Withheld, errors.Is(failed.Cause, mockbraze.ErrDropped))
		fmt.Println(failed.Last.Type, failed.Unwrap() == mockbraze.ErrDisabled, strings.HasPrefix(failed.Error(), "send: events were dropped (acknowledged 3,"))
	}
	current.Queue(event("waits", "6"))

	r := current.Report()
	fmt.Println(r.ID, r.Kind, r.Name, r.Contact, r.Region, r.HasToken, strings.HasSuffix(r.URL, "writeKey=****"), r.Scenario, r.Batch, r.FlushAfter, r.Rate, r.EmptyProbe)
	c := r.Counts
	fmt.Println(c.Events, "events:", c.Sent, "sent,", c.Queued, "queued; retried", c.Retried, "split", c.Split, "requests", c.Requests == int64(requests), "probes", c.Probes)
	fmt.Println(r.Dropped[mockbraze.Refused], r.Dropped[mockbraze.TooLarge], r.Dropped[mockbraze.Oversized], r.Queues)
	late, odd := r.ByType["late"], r.ByType["odd"]
	fmt.Println(late.Events, late.Sent, late.Retried, odd.Split, odd.Dropped[mockbraze.Refused])
	last := r.Answers[len(r.Answers)-1]
	fmt.Println(last.Type, last.Status, last.Events, last.Body == "", last.Error == "", last.Took > 0, last.At.IsZero())
	l := r.Latency
	fmt.Println(l.Count == c.Requests, l.P50 > 0, l.P50 <= l.P90, l.P90 <= l.P99, l.P99 <= l.Max)
	fmt.Println(r.TroubleSince == nil, len(r.Mails), r.OlderAccount)

	var sum mockbraze.Second // the last two minutes together
	for _, s := range current.Seconds() {
		sum.Requests, sum.Failed, sum.Events, sum.Max = sum.Requests+s.Requests, sum.Failed+s.Failed, sum.Events+s.Events, max(sum.Max, s.Max)
		sum.At, sum.Mean = s.At, sum.Mean+s.Mean
	}
	fmt.Println(sum.Requests == c.Requests, sum.Failed, sum.Events, sum.Max >= l.P50, sum.Mean > 0, sum.At.IsZero())
	// Output:
	// dropped huge oversized
	// dropped odd refused
	// dropped large too_large
	// 3 0 0 true
	// late false true
	// 1 http Bridge ops@example.com EU true true rounds 2 3600 0 true
	// 7 events: 3 sent, 1 queued; retried 1 split 0 requests true probes 1
	// 1 1 1 map[waits:1]
	// 1 1 1 0 1
	// late 200 1 true true true false
	// true true true true true
	// true 0 false
	// true 3 3 true true false
}

// Credentials can be tried before there is a Current, and again later.
func ExampleServer_Test() {
	t := &exampleT{}
	defer t.end()
	braze := mockbraze.Start(t)
	ctx := context.Background()
	for _, status := range []int{204, 400, 401, 500} {
		target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		answer, err := braze.Test(ctx, mockbraze.Current{URL: target.URL})
		target.Close()
		if err != nil {
			fmt.Println(err)
			return
		}
		// RudderStack answers 400 to a request without events.
		fmt.Println(answer.Status, answer.Verdict(mockbraze.HTTP), answer.Verdict(mockbraze.RudderStack) == mockbraze.Good)
	}
	current, err := braze.Create(mockbraze.Current{URL: "http://127.0.0.1:1"})
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, err := current.Test(ctx)
	fmt.Println(answer.Status, answer.Error != "", answer.Verdict(mockbraze.HTTP) == mockbraze.Unsure, answer.Verdict(mockbraze.HTTP) == mockbraze.Denied, err)

	// What is deleted is gone at once.
	fmt.Println(braze.Delete(current.ID()), braze.Delete(current.ID()), current.State() == mockbraze.Closed)
	fmt.Println(errors.Is(current.Launch(ctx), mockbraze.ErrClosed), len(braze.Server.Currents()))
	// Output:
	// 204 good true
	// 400 unsure true
	// 401 denied false
	// 500 unsure false
	// 0 true true false <nil>
	// true false true
	// true 0
}

// The days that a Current needs to get disabled take a second on a fast clock.
func ExampleDisableAfter() {
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
	}))
	defer target.Close()
	t := &exampleT{}
	defer t.end()
	braze := mockbraze.Start(t, mockbraze.WithClock(hurriedClock{time.Now(), 10 * 24 * 3600})) // ten days take a second
	launchable := moody()
	defer launchable.Close()
	ctx := context.Background()
	current := braze.Launch(mockbraze.Current{URL: launchable.URL, Contact: "ops@example.com", OlderAccount: true})
	if err := current.Mend(target.URL, ""); err != nil {
		fmt.Println(err)
	}
	begin := time.Now()
	// An older account goes on trying for two days, then the Current is held.
	err := current.SendEvents(ctx, event("x", "1"))
	fmt.Println(errors.Is(err, mockbraze.ErrHeld), current.State() == mockbraze.Held, 10*24*3600*time.Since(begin) >= mockbraze.OlderRetryFor)
	until := func(done func(mockbraze.Report) bool) {
		for end := time.Now().Add(time.Minute); !done(current.Report()) && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
	}
	until(func(r mockbraze.Report) bool { return r.State == mockbraze.Stopped })
	fmt.Println(current.State(), "after", mockbraze.DisableAfter, "and keeps events for", mockbraze.KeepFor)
	err = current.SendEvents(ctx, event("x", "2"))
	fmt.Println(errors.Is(err, mockbraze.ErrDropped), current.Report().Dropped[mockbraze.Disabled])
	until(func(r mockbraze.Report) bool { return r.Dropped[mockbraze.Expired] > 0 })
	r := current.Report()
	fmt.Println(r.Dropped[mockbraze.Expired], r.Counts.Queued)
	mail := r.Mails[len(r.Mails)-1]
	fmt.Println(mail.To, mail.Subject, mail.At.After(begin))
	// Output:
	// true true true
	// disabled after 120h0m0s and keeps events for 168h0m0s
	// true 1
	// 1 0
	// ops@example.com Your Current was disabled after 5 days of errors true
}
