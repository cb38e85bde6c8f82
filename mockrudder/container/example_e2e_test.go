//go:build e2e

package container_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/testcontainers/testcontainers-go"

	"github.com/currentsbridge/currentsbridge/mockrudder"
	"github.com/currentsbridge/currentsbridge/mockrudder/container"
)

// A test starts a RudderStack with a Braze source, has its subject post to it, which
// fails at first, and waits for the messages. In your test the image is
// "localhost/currentsbridge/mockrudder", and testcontainers.CleanupContainer(t, rudder)
// takes the place of TerminateContainer.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	rudder, err := container.Run(ctx, image(ctx), container.WithSource("key", mockrudder.Braze))
	defer func() { _ = testcontainers.TerminateContainer(rudder) }()
	check(err)
	check(rudder.Fault(ctx, mockrudder.Fault{Status: http.StatusServiceUnavailable, Requests: 1}))
	url := must(rudder.WebhookURL(ctx, "key"))
	body := `{"events":[{"event_type":"users.messages.email.Open","id":"1","user":{"external_user_id":"u"}}]}`
	for range 2 {
		res := must(http.Post(url, "application/json", strings.NewReader(body)))
		_ = res.Body.Close()
		fmt.Println(res.Status)
	}
	events := must(rudder.WaitFor(ctx, mockrudder.Filter{Type: "track"}, 1))
	fmt.Println(events[0].Name, "of", events[0].UserID)
	fmt.Println("hits:", must(rudder.Faults(ctx))[0].Hits, "stored:", must(rudder.Stats(ctx)).Stored)
	// Output:
	// 503 Service Unavailable
	// 200 OK
	// users.messages.email.Open of u
	// hits: 1 stored: 1
}

// check is for examples: a program handles the error.
func check(err error) {
	if err != nil {
		panic(err)
	}
}

func must[T any](value T, err error) T {
	check(err)
	return value
}
