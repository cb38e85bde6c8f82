package mockbraze_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/currentsbridge/currentsbridge/mockbraze"
	"github.com/currentsbridge/currentsbridge/mockbraze/journey"
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

// bridge is whatever takes Braze's batches. It answers 200 and counts.
func bridge(events *atomic.Int64) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var batch struct {
			Events []json.RawMessage `json:"events"`
		}
		if json.NewDecoder(r.Body).Decode(&batch) == nil {
			events.Add(int64(len(batch.Events)))
		}
	}))
}

func ExampleStart() {
	var arrived atomic.Int64
	target := bridge(&arrived)
	defer target.Close()

	t := &exampleT{} // in a test: the *testing.T
	defer t.end()
	braze := mockbraze.Start(t, mockbraze.WithSeed(7))
	current := braze.Launch(mockbraze.Current{URL: target.URL, Token: "s3cret", Events: mockbraze.All})
	if err := current.Send(context.Background(), 960); err != nil {
		fmt.Println(err)
	}
	fmt.Println(arrived.Load(), "events arrived")
	// Output: 960 events arrived
}

func ExampleNew() {
	var arrived atomic.Int64
	target := bridge(&arrived)
	defer target.Close()

	braze, err := mockbraze.New(
		mockbraze.WithSeed(7),
		mockbraze.WithReference(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)),
		mockbraze.WithTransport(http.DefaultTransport),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer braze.Close()
	var acked atomic.Int64
	current, err := braze.Create(mockbraze.Current{
		Kind:        mockbraze.HTTP,
		URL:         target.URL,
		Events:      []string{"users.messages.email.*", "users.campaigns.Conversion"},
		FlushAfter:  time.Minute,
		Connections: 8,
		Backoff:     mockbraze.Backoff{First: 10 * time.Millisecond, Max: time.Second},
		OnAck:       func(events []mockbraze.Event, _ mockbraze.Answer) { acked.Add(int64(len(events))) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := current.Launch(ctx); err != nil {
		fmt.Println(err)
		return
	}
	if err := current.SendAt(ctx, 500, 5000); err != nil { // 5,000 events a second
		fmt.Println(err)
	}
	report := current.Report()
	fmt.Println(report.State, report.Counts.Sent, acked.Load())
	// Output: running 500 500
}

// A test sends what no real workspace would.
func ExampleConnector_SendEvents() {
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body strings.Builder
		if _, err := fmt.Fprint(&body, r.ContentLength); err != nil || r.ContentLength > 100 {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	defer target.Close()
	t := &exampleT{}
	defer t.end()
	current := mockbraze.Start(t).Launch(mockbraze.Current{URL: target.URL})

	small := mockbraze.Event{Raw: []byte(`{"event_type":"x","id":"1","user":{"user_id":"u"}}`)}
	large := mockbraze.Event{Raw: fmt.Appendf(nil, `{"event_type":"x","id":"2","properties":{"a":%q}}`, strings.Repeat("a", 100))}
	fmt.Println(len(mockbraze.AppendBody(nil, []mockbraze.Event{small, large})) > 100)

	err := current.SendEvents(context.Background(), small, large)
	var failed *mockbraze.SendError
	if errors.As(err, &failed) {
		fmt.Println("acknowledged", failed.Acked, "dropped", failed.Dropped[mockbraze.Refused])
	}
	fmt.Println(errors.Is(err, mockbraze.ErrDropped), current.Report().Dropped)
	// Output:
	// true
	// acknowledged 1 dropped 1
	// true map[refused:1]
}

func ExampleConnector_Launch() {
	var mended atomic.Bool
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer right" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mended.Store(true)
	}))
	defer target.Close()
	t := &exampleT{}
	defer t.end()
	current, err := mockbraze.Start(t).Create(mockbraze.Current{URL: target.URL, Token: "wrong"})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	fmt.Println(errors.Is(current.Send(ctx, 1), mockbraze.ErrNotLaunched))
	var refused *mockbraze.LaunchError
	if errors.As(current.Launch(ctx), &refused) {
		fmt.Println(refused.Answer.Status, current.State())
	}
	if err := errors.Join(current.Mend("", "right"), current.Launch(ctx)); err != nil {
		fmt.Println(err)
	}
	fmt.Println(mended.Load(), current.State() == mockbraze.Running)
	// Events wait in a paused Current until the next launch.
	err = current.Pause()
	current.Queue(mockbraze.Event{Raw: []byte(`{"event_type":"x","id":"1"}`)})
	current.Flush()
	fmt.Println(err, current.State() == mockbraze.Paused, current.Report().Counts.Queued)
	// Output:
	// true
	// 401 draft
	// true true
	// <nil> true 1
}

// A Current of kind RudderStack exports only users with an external id.
func ExampleRudderStack() {
	var arrived atomic.Int64
	target := bridge(&arrived)
	defer target.Close()
	t := &exampleT{}
	defer t.end()
	current := mockbraze.Start(t).Launch(mockbraze.Current{
		Kind: mockbraze.RudderStack, URL: target.URL + "/v1/webhook?writeKey=wk",
	})
	err := current.SendEvents(context.Background(),
		mockbraze.Event{Raw: []byte(`{"event_type":"x","id":"1","user":{"user_id":"u"}}`)},
		mockbraze.Event{Raw: []byte(`{"event_type":"x","id":"2","user":{"user_id":"u","external_user_id":"e"}}`)},
	)
	fmt.Println(err, arrived.Load(), current.Report().Counts.Withheld)
	// Output: <nil> 1 1
}

func ExampleEmit() {
	err := mockbraze.Emit(context.Background(), os.Stdout, mockbraze.Emission{
		Events: 1, Types: []string{"users.behaviors.Uninstall"}, Seed: 1,
	})
	fmt.Println(err)
	// Output:
	// {"event_type":"users.behaviors.Uninstall","id":"4d77205c-cdd2-4fbf-a6a5-d6d30daef29d","time":1780271990,"user":{"user_id":"66b276aa056928c753788d9a","external_user_id":"customer-104926","device_id":"f84f849d2db4a1c5"},"properties":{"app_group_id":"72195e6b-013b-45c9-81d0-02bfb70ec204","app_id":"26f4e536-547e-46a2-b753-37bd8e0b16ac"}}
	// <nil>
}

func ExampleServer_Handler() {
	braze, err := mockbraze.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer braze.Close()
	control := httptest.NewServer(braze.Handler())
	defer control.Close()
	form := `{"kind":"http","integration_name":"Bridge","url":"http://127.0.0.1:8080/currents","token":"s3cret","events":["users.messages.sms.*"]}`
	res, err := http.Post(control.URL+"/api/currents", "application/json", strings.NewReader(form))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Body.Close()
	fmt.Println(res.StatusCode, len(braze.Currents()))
	current, ok := braze.Current("1")
	fmt.Println(ok, current.ID(), current.State() == mockbraze.Draft, len(current.Report().Types))
	fmt.Println(journey.Reference().Year())
	// Output:
	// 201 1
	// true 1 true 9
	// 2026
}

// hurriedClock is a clock that is so many times too fast.
type hurriedClock struct {
	begin time.Time
	times time.Duration
}

func (c hurriedClock) Now() time.Time { return c.begin.Add(c.times * time.Since(c.begin)) }

func (c hurriedClock) After(d time.Duration) (<-chan time.Time, func()) {
	timer := time.NewTimer(d / c.times)
	return timer.C, func() { timer.Stop() }
}

func ExampleClock() {
	var arrived atomic.Int64
	target := bridge(&arrived)
	defer target.Close()
	t := &exampleT{}
	defer t.end()
	var clock mockbraze.Clock = hurriedClock{time.Now(), 3600} // an hour takes a second
	acked := make(chan struct{})
	current := mockbraze.Start(t, mockbraze.WithClock(clock)).Launch(mockbraze.Current{
		URL: target.URL, OnAck: func([]mockbraze.Event, mockbraze.Answer) { close(acked) },
	})
	// One event is no full batch: it goes out after five minutes.
	current.Queue(mockbraze.Event{Raw: []byte(`{"event_type":"x","id":"1"}`)})
	<-acked
	fmt.Println(arrived.Load())
	// Output: 1
}
