//go:build e2e

package container_test

import (
	"context"
	"fmt"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/network"

	"github.com/currentsbridge/currentsbridge/internal/dockertest"
	"github.com/currentsbridge/currentsbridge/mockbraze"
	"github.com/currentsbridge/currentsbridge/mockbraze/container"
	"github.com/currentsbridge/currentsbridge/mockrudder"
	rudders "github.com/currentsbridge/currentsbridge/mockrudder/container"
)

// Both fakes in one network: Braze sends to RudderStack, and the test looks at
// what came. In a test of your own the images are "currentsbridge/mockbraze" and
// "currentsbridge/mockrudder".
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	rudderImage, err := dockertest.Image(ctx, dockertest.MockRudder())
	if err != nil {
		fmt.Println(err)
		return
	}
	wire, err := network.New(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = wire.Remove(ctx) }()
	rudder, err := rudders.Run(ctx, rudderImage, network.WithNetwork([]string{"rudder"}, wire))
	defer func() { _ = testcontainers.TerminateContainer(rudder) }()
	if err != nil {
		fmt.Println(err)
		return
	}
	braze, err := container.Run(ctx, image(ctx), container.WithSeed(7), network.WithNetwork(nil, wire))
	defer func() { _ = testcontainers.TerminateContainer(braze) }()
	if err != nil {
		fmt.Println(err)
		return
	}
	current, err := braze.Launch(ctx, mockbraze.Current{
		Kind: mockbraze.RudderStack, Events: []string{"users.messages.email.*"},
		URL: fmt.Sprintf("http://rudder:%d/v1/webhook?writeKey=wkBraze", rudders.Port),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	outcome, err := current.Send(ctx, 100)
	if err != nil {
		fmt.Println(err)
		return
	}
	n, err := rudder.Count(ctx, mockrudder.Filter{OnlyValid: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("all there:", outcome.Acked+outcome.Withheld == 100 && int(n) == outcome.Acked)
	// Output: all there: true
}

// Events can happen by themselves until a test has seen enough.
func ExampleCurrent_SetRate() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	braze, err := container.Run(ctx, image(ctx))
	defer func() { _ = testcontainers.TerminateContainer(braze) }()
	if err != nil {
		fmt.Println(err)
		return
	}
	// Its own page takes the place of an endpoint here: what is posted to it is
	// answered 200.
	current, err := braze.Create(ctx, mockbraze.Current{URL: fmt.Sprintf("http://127.0.0.1:%d/", container.Port)})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, step := range []func() error{
		func() error { return current.Launch(ctx) },
		func() error { return current.SetRate(ctx, 1000) },
		func() error { return current.SetRate(ctx, 0) },
		func() error { return current.Pause(ctx) },
		func() error { return current.Launch(ctx) },
		func() error { return current.Flush(ctx) },
	} {
		if err := step(); err != nil {
			fmt.Println(err)
			return
		}
	}
	report, err := current.Drained(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.State, report.Counts.Sent == report.Counts.Events)
	// Output: running true
}
