package delivery_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/delivery"
	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// One batch of Braze waits in a queue; the Sender brings it to RudderStack.
func ExampleSender() {
	got := make(chan string, 1)
	gateway := http.NewServeMux()
	gateway.HandleFunc("POST /v1/batch", func(w http.ResponseWriter, r *http.Request) {
		key, _, _ := r.BasicAuth()
		body, _ := io.ReadAll(r.Body)
		got <- fmt.Sprintf("POST %s with key %s\n%s", r.URL.Path, key, body)
		_, _ = io.WriteString(w, "ok")
	})
	rudder := httptest.NewServer(gateway)
	defer rudder.Close()

	q := &oneEvent{
		event:   `{"id":"e1","event_type":"users.behaviors.app.SessionStart","user":{"external_user_id":"ada"}}`,
		settled: make(chan queue.Settlement, 1),
	}
	sender, err := delivery.New(delivery.Config{
		Name:     "default",
		Queue:    q,
		Mapper:   mapping.Plain(),
		URL:      rudder.URL,
		WriteKey: "wkHTTP",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- sender.Run(ctx) }()
	fmt.Println(<-got)
	stop() // the outcome of a request in flight is stored all the same
	fmt.Println("ended:", <-ended)
	fmt.Println("delivered:", (<-q.settled).Delivered, "destination:", sender.State().Name)
	// Output:
	// POST /v1/batch with key wkHTTP
	// {"batch":[{"context":{"library":{"name":"unknown","version":"unknown"},"integration":{"name":"Braze"}},"integrations":{"Braze":false},"type":"track","event":"users.behaviors.app.SessionStart","messageId":"e1","userId":"ada"}]}
	// ended: <nil>
	// delivered: [{1 0 0}] destination: ok
}

// metrics is an Observer that counts.
type metrics struct{ paused chan delivery.State }

func (metrics) Posted(p delivery.Post) {
	fmt.Println("request:", p.Class, p.Status, "events:", p.Events, "halved:", p.Halved, "dead:", p.Dead == delivery.ReasonRefused)
}

func (metrics) Began(int)               {}
func (metrics) Ended(int)               {}
func (metrics) Delivered(time.Duration) {}
func (metrics) GzipChanged(bool)        {}

func (m metrics) StateChanged(s delivery.State) { m.paused <- s }

// A wrong write key pauses the destination; nothing is lost, and a try every
// few seconds finds out when the key has been repaired.
func ExampleObserver() {
	rudder := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "invalid write key", http.StatusUnauthorized)
	}))
	defer rudder.Close()
	q := &oneEvent{event: `{"id":"e1","event_type":"t","user":{"user_id":"u"}}`}
	mapper, err := mapping.New(mapping.Options{Webhook: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	m := metrics{paused: make(chan delivery.State, 1)}
	sender, err := delivery.New(delivery.Config{
		Queue:     q,
		Mapper:    mapper,
		URL:       rudder.URL,
		WriteKey:  "wkBraze",
		Mode:      delivery.Webhook,
		Transport: delivery.NewTransport(1),
		Observer:  m,
		Logger:    slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- sender.Run(ctx) }()
	state := <-m.paused
	fmt.Println(state.Name, "because of", state.LastError, "until", state.NextTry.After(state.Since))
	stop()
	<-ended
	// Output:
	// request: 4xx 401 events: 1 halved: false dead: false
	// paused because of 401 invalid write key until true
}

// oneEvent is a queue in which one event waits.
type oneEvent struct {
	event   string
	claimed atomic.Bool
	settled chan queue.Settlement
}

func (q *oneEvent) record() *queue.Record {
	return &queue.Record{Seq: 1, Events: []queue.Event{{Raw: []byte(q.event)}}}
}

func (q *oneEvent) Claim(ctx context.Context, _ queue.Limit) ([]*queue.Record, error) {
	if q.claimed.CompareAndSwap(false, true) {
		return []*queue.Record{q.record()}, nil
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func (q *oneEvent) Settle(_ context.Context, s queue.Settlement) error { q.settled <- s; return nil }
func (q *oneEvent) Release(...*queue.Record)                           {}
func (q *oneEvent) Load(context.Context, uint64) (*queue.Record, error) {
	return q.record(), nil
}
