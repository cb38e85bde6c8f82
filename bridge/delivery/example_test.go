package delivery_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/delivery"
	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/pebble"
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

	q, closeQueue, err := queueWith(`{"id":"e1","event_type":"users.behaviors.app.SessionStart","user":{"external_user_id":"ada"}}`)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer closeQueue()

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
	stop() // the outcome of a POST under way is stored all the same
	fmt.Println("ended:", <-ended)
	fmt.Println("delivered:", q.Ledger().Delivered, "destination:", sender.State().Name)
	// Output:
	// POST /v1/batch with key wkHTTP
	// {"batch":[{"context":{"library":{"name":"unknown","version":"unknown"},"integration":{"name":"Braze"}},"integrations":{"Braze":false},"type":"track","event":"users.behaviors.app.SessionStart","messageId":"e1","userId":"ada"}]}
	// ended: <nil>
	// delivered: 1 destination: ok
}

// metrics is an Observer that counts.
type metrics struct{ paused chan delivery.State }

func (metrics) Posted(p delivery.Post) {
	fmt.Println("POST:", p.Class, p.Status, "events:", p.Events, "halved:", p.Halved, "dead:", p.Dead == delivery.ReasonRefused)
}

func (metrics) Began(int)               {}
func (metrics) Ended(int)               {}
func (metrics) Delivered(time.Duration) {}
func (metrics) GzipChanged(bool)        {}

func (m metrics) StateChanged(s delivery.State) { m.paused <- s }

// A wrong write key pauses the destination; nothing is lost, and a try every
// few seconds finds out when the key has been mended.
func ExampleObserver() {
	rudder := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "invalid write key", http.StatusUnauthorized)
	}))
	defer rudder.Close()
	q, closeQueue, err := queueWith(`{"id":"e1","event_type":"t","user":{"user_id":"u"}}`)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer closeQueue()

	mapper, err := mapping.New(mapping.Options{Webhook: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	m := metrics{paused: make(chan delivery.State, 1)}
	sender, err := delivery.New(delivery.Config{
		Queue:         q,
		Mapper:        mapper,
		URL:           rudder.URL,
		WriteKey:      "wkBraze",
		Mode:          delivery.Webhook,
		ProbeInterval: 10 * time.Second,
		Transport:     delivery.NewTransport(1),
		Observer:      m,
		Logger:        slog.New(slog.DiscardHandler),
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
	fmt.Println("pending:", q.Ledger().Pending())
	// Output:
	// POST: 4xx 401 events: 1 halved: false dead: false
	// paused because of 401 invalid write key until true
	// pending: 1
}

// queueWith returns a queue in a directory of its own in which one event waits.
func queueWith(event string) (queue.Queue, func(), error) {
	dir, err := os.MkdirTemp("", "delivery")
	if err != nil {
		return nil, nil, err
	}
	store, err := pebble.Open(dir, pebble.Options{})
	if err != nil {
		return nil, nil, err
	}
	done := func() {
		_ = store.Close()
		_ = os.RemoveAll(dir)
	}
	q, err := store.Open(context.Background(), "default", queue.DefaultWindow)
	if err == nil {
		_, err = q.Append(context.Background(), queue.Batch{
			Body: []byte(event), Items: []queue.Item{{End: len(event)}}, ReceivedAt: time.Now(),
		})
	}
	return q, done, err
}
