package mockbraze_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/currentsbridge/currentsbridge/mockbraze"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// exampleT stands for the *testing.T of a test.
type exampleT struct{ cleanups []func() }

func (t *exampleT) Helper()                           {}
func (t *exampleT) Cleanup(f func())                  { t.cleanups = append(t.cleanups, f) }
func (t *exampleT) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func (t *exampleT) end() {
	for _, f := range t.cleanups {
		f()
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

func bridge(events *atomic.Int64) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		var batch struct {
			Events []json.RawMessage `json:"events"`
		}
		if json.NewDecoder(r.Body).Decode(&batch) == nil {
			events.Add(int64(len(batch.Events)))
		}
	}
}

// bridgeURL is where the Currents of the examples post to; it leads to their handler.
const bridgeURL = "http://bridge.example/currents?writeKey=wk"

func ExampleStart() {
	var arrived atomic.Int64
	target := httptest.NewServer(bridge(&arrived))
	defer target.Close()

	t := &exampleT{} // in a test: the *testing.T
	defer t.end()
	braze := mockbraze.Start(t, mockbraze.WithSeed(7))
	current := braze.Launch(mockbraze.Current{URL: target.URL, Token: "s3cret", Events: mockbraze.All})
	check(current.Send(context.Background(), 960))
	fmt.Println(arrived.Load(), "events arrived")
	// Output: 960 events arrived
}

func ExampleNew() {
	var arrived, acked atomic.Int64
	target := httptest.NewServer(bridge(&arrived))
	defer target.Close()
	braze := must(mockbraze.New(mockbraze.WithSeed(7), mockbraze.WithTransport(http.DefaultTransport)))
	defer braze.Close()
	current := must(braze.Create(mockbraze.Current{
		Kind:        mockbraze.HTTP,
		URL:         target.URL,
		Events:      []string{"users.messages.email.*", "users.campaigns.Conversion"},
		FlushAfter:  time.Minute,
		Connections: 8,
		Backoff:     mockbraze.Backoff{First: 10 * time.Millisecond, Max: time.Second},
		OnAck:       func(events []mockbraze.Event, _ mockbraze.Answer) { acked.Add(int64(len(events))) },
	}))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	check(current.Launch(ctx))
	check(current.SendAt(ctx, 500, 5000)) // 5,000 events a second
	report := current.Report()
	fmt.Println(report.State, report.Counts.Sent, acked.Load())
	// Output: running 500 500
}

// A test sends events that a real workspace would not.
func ExampleConnector_SendEvents() {
	t := &exampleT{}
	defer t.end()
	braze := mockbraze.Start(t, mockbraze.WithHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > 100 {
			w.WriteHeader(http.StatusBadRequest)
		}
	})))
	current := braze.Launch(mockbraze.Current{URL: bridgeURL})

	small := mockbraze.Event{Raw: []byte(`{"event_type":"x","id":"1","user":{"user_id":"u"}}`)}
	large := mockbraze.Event{Raw: fmt.Appendf(nil, `{"event_type":"x","id":"2","properties":{"a":%q}}`, strings.Repeat("a", 100))}
	err := current.SendEvents(context.Background(), small, large)
	if failed, ok := errors.AsType[*mockbraze.SendError](err); ok {
		fmt.Println("acknowledged", failed.Acked, "dropped", failed.Dropped[mockbraze.Refused])
	}
	fmt.Println(errors.Is(err, mockbraze.ErrDropped), current.Report().Dropped)
	// Output:
	// acknowledged 1 dropped 1
	// true map[refused:1]
}

func ExampleConnector_Launch() {
	t := &exampleT{}
	defer t.end()
	braze := mockbraze.Start(t, mockbraze.WithHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer right" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})))
	current := must(braze.Create(mockbraze.Current{URL: bridgeURL, Token: "wrong"}))
	ctx := context.Background()
	fmt.Println(errors.Is(current.Send(ctx, 1), mockbraze.ErrNotLaunched))
	if refused, ok := errors.AsType[*mockbraze.LaunchError](current.Launch(ctx)); ok {
		fmt.Println(refused.Answer.Status, current.State())
	}
	check(errors.Join(current.SetCredentials("", "right"), current.Launch(ctx)))
	fmt.Println(current.State() == mockbraze.Running)
	// Events wait in a paused Current until the next launch.
	err := current.Pause()
	current.Queue(mockbraze.Event{Raw: []byte(`{"event_type":"x","id":"1"}`)})
	current.Flush()
	fmt.Println(err, current.State() == mockbraze.Paused, current.Report().Counts.Queued)
	// Output:
	// true
	// 401 draft
	// true
	// <nil> true 1
}

func ExampleEmit() {
	err := mockbraze.Emit(context.Background(), os.Stdout, mockbraze.Emission{
		Events: 1, Types: []string{"users.behaviors.Uninstall"}, Seed: 1,
	})
	fmt.Println(err)
	// Output:
	// {"event_type":"users.behaviors.Uninstall","id":"4d77205c-cdd2-4fbf-a6a5-d6d30daef29d","properties":{"app_group_id":"72195e6b-013b-45c9-81d0-02bfb70ec204","app_id":"26f4e536-547e-46a2-b753-37bd8e0b16ac"},"time":1780271990,"user":{"device_id":"f84f849d2db4a1c5","external_user_id":"customer-104926","user_id":"66b276aa056928c753788d9a"}}
	// <nil>
}

// A host name of your own must be allowed.
func ExampleServer_Handler() {
	braze := must(mockbraze.New(mockbraze.WithAllowedHosts("braze.example.com")))
	defer braze.Close()
	form := `{"kind":"http","integration_name":"Bridge","url":"http://127.0.0.1:8080/currents","token":"s3cret","events":["users.messages.sms.*"]}`
	for _, host := range []string{"localhost:8091", "braze.example.com", "evil.example.net"} {
		answer := httptest.NewRecorder()
		braze.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "http://"+host+"/api/currents", strings.NewReader(form)))
		fmt.Println(answer.Code, len(braze.Currents()))
	}
	current, ok := braze.Current("1")
	fmt.Println(ok, current.ID(), current.State() == mockbraze.Draft, len(current.Report().Types))
	// Output:
	// 201 1
	// 201 2
	// 403 2
	// true 1 true 9
}

// fastClock runs faster than the system's clock, by a factor.
type fastClock struct {
	begin time.Time
	times time.Duration
}

func (c fastClock) Now() time.Time { return c.begin.Add(c.times * time.Since(c.begin)) }

func (c fastClock) After(d time.Duration) (<-chan time.Time, func()) {
	timer := time.NewTimer(d / c.times)
	return timer.C, func() { timer.Stop() }
}

func event(eventType, id string) mockbraze.Event {
	return mockbraze.Event{Type: eventType, ID: id, Raw: fmt.Appendf(nil, `{"event_type":%q,"id":%q}`, eventType, id)}
}

// A report counts what a Current did with each kind of response.
func ExampleConnector_Report() {
	t := &exampleT{}
	defer t.end()
	braze := mockbraze.Start(t, mockbraze.WithHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(string(must(io.ReadAll(r.Body))), "bad") {
			w.WriteHeader(http.StatusBadRequest)
		}
	})))
	current := braze.Launch(mockbraze.Current{
		Name: "Bridge", Contact: "ops@example.com", Region: "EU", URL: bridgeURL, Token: "s3cret",
		Batch: 2, Connections: 1, EmptyProbe: true,
	})
	err := current.SendEvents(context.Background(), event("bad", "1"), event("bad", "2"), event("fine", "3"), event("fine", "4"))
	if failed, ok := errors.AsType[*mockbraze.SendError](err); ok {
		fmt.Println(failed.Last.Type, failed.Unwrap() == mockbraze.ErrDropped, failed)
	}
	current.Queue(event("waits", "5"))

	r := current.Report()
	fmt.Println(r.ID, r.Kind, r.Name, r.Contact, r.Region, r.HasToken, strings.HasSuffix(r.URL, "writeKey=****"), r.Scenario, r.Batch, r.FlushAfter, r.Rate, r.EmptyProbe)
	fmt.Printf("%+v\n", r.Counts)
	fmt.Println(r.Dropped, r.Queues, r.ByType["bad"].Events, r.ByType["bad"].Split, r.ByType["bad"].Dropped)
	last := r.Answers[len(r.Answers)-1]
	fmt.Println(last.Type, last.Status, last.Events, last.Body == "", last.Error == "", last.Took > 0, last.At.IsZero())
	l := r.Latency
	fmt.Println(l.Count == r.Counts.Requests, l.P50 > 0, l.P50 <= l.P90, l.P90 <= l.P99, l.P99 <= l.Max)
	// Output:
	// bad true send: events were dropped (acknowledged 2, still queued 0, refused 2; last answer: 400)
	// 1 http Bridge ops@example.com EU true true rounds 2 300 0 true
	// {Events:5 Queued:1 Sent:2 Retried:0 Withheld:0 Split:1 Requests:4 Probes:1 TestEvents:0}
	// map[refused:2] map[waits:1] 2 1 map[refused:2]
	// bad 400 1 true true true false
	// true true true true true
}

// On a fast clock the days until a Current is disabled take a second.
func ExampleDisableAfter() {
	t := &exampleT{}
	defer t.end()
	var down atomic.Bool
	var clock mockbraze.Clock = fastClock{time.Now(), 10 * 24 * 3600} // ten days take a second
	braze := mockbraze.Start(t, mockbraze.WithClock(clock), mockbraze.WithHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusForbidden)
		}
	})))
	current := braze.Launch(mockbraze.Current{URL: bridgeURL, Contact: "ops@example.com"})
	down.Store(true)
	fmt.Println(current.SendEvents(context.Background(), event("x", "1")), current.State())
	current.Queue(event("x", "2"))
	for current.Report().Dropped[mockbraze.Expired] == 0 {
		time.Sleep(time.Millisecond)
	}
	fmt.Println(current.State(), "after", mockbraze.DisableAfter, "and kept events for", mockbraze.KeepFor)
	mails := current.Report().Mails
	fmt.Println(mails[len(mails)-1].To, mails[len(mails)-1].Subject)
	// Output:
	// send: events were dropped (acknowledged 0, still queued 0, unauthorized 1; last answer: 403) held
	// disabled after 120h0m0s and kept events for 168h0m0s
	// ops@example.com Your Current was disabled after 5 days of errors
}

// Before a launch, Send Test Events shows an endpoint one event of each chosen
// type. Here the endpoint is a handler of the test, without a port.
func ExampleConnector_SendTestEvents() {
	t := &exampleT{}
	defer t.end()
	glossary := must(schemas.LoadFile("")) // or that of a file that mockrudder glossary refresh wrote
	var redacted atomic.Bool
	braze := mockbraze.Start(t, mockbraze.WithGlossary(glossary), mockbraze.WithHandler(http.HandlerFunc(
		func(_ http.ResponseWriter, r *http.Request) {
			if strings.Contains(string(must(io.ReadAll(r.Body))), mockbraze.Redacted) {
				redacted.Store(true)
			}
		})))
	current := must(braze.Create(mockbraze.Current{
		URL: bridgeURL, Events: []string{"users.behaviors.Uninstall"}, TestCurrent: true,
		Transforms: map[string]mockbraze.Transform{"user_id": mockbraze.Hash, "external_user_id": mockbraze.Remove},
	}))
	sent := must(current.SendTestEvents(context.Background()))
	fmt.Println(sent.Events, sent.Accepted, sent.Answers[0].Status, redacted.Load())
	r := current.Report()
	fmt.Println(r.Counts.TestEvents, r.TestCurrent, r.QuotaUntil == nil, r.Transforms["user_id"])
	// Output:
	// 1 1 200 true
	// 1 true true hash
}

// A Current sends the events of a scenario of your own, at a rate.
func ExampleWithScenario() {
	t := &exampleT{}
	defer t.end()
	quiet := must(mockbraze.LoadScenario("quiet"))
	quiet.Users = 100
	braze := mockbraze.Start(t, mockbraze.WithHandler(bridge(new(atomic.Int64))), mockbraze.WithScenario("village", quiet))
	fmt.Println(braze.Scenarios()[0] == mockbraze.Rounds, slices.Contains(braze.Scenarios(), "village"))
	first := make(chan bool)
	once := sync.OnceFunc(func() { close(first) })
	village := braze.Launch(mockbraze.Current{
		URL: bridgeURL, Scenario: "village", Rate: 1000, Batch: 5, OnSend: func([]mockbraze.Event) { once() },
	})
	<-first
	fmt.Println(village.SetRate(0), village.SetRate(mockbraze.MaxRate+1) == nil, village.Send(context.Background(), 200))
	_, err := braze.Create(mockbraze.Current{URL: bridgeURL, Scenario: "city"})
	fmt.Println(errors.Is(err, mockbraze.ErrScenario))
	// Output:
	// true true
	// <nil> false <nil>
	// true
}
