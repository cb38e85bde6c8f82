//go:build e2e

package container_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/network"

	"github.com/currentsbridge/currentsbridge/internal/dockertest"
	"github.com/currentsbridge/currentsbridge/mockbraze"
	"github.com/currentsbridge/currentsbridge/mockbraze/container"
	"github.com/currentsbridge/currentsbridge/mockrudder"
	rudders "github.com/currentsbridge/currentsbridge/mockrudder/container"
)

func TestMain(m *testing.M) { dockertest.Main(m) }

// check ends an example that fails.
func check(err error) {
	if err != nil {
		panic(err)
	}
}

// Both fakes in one network: Braze sends to RudderStack, and the test looks at
// what came. In a test of your own the images are "currentsbridge/mockbraze" and
// "currentsbridge/mockrudder".
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	rudderImage, err := dockertest.Image(ctx, dockertest.MockRudder)
	check(err)
	brazeImage, err := dockertest.Image(ctx, dockertest.MockBraze)
	check(err)
	wire, err := network.New(ctx)
	check(err)
	defer func() { _ = wire.Remove(ctx) }()
	rudder, err := rudders.Run(ctx, rudderImage, network.WithNetwork([]string{"rudder"}, wire))
	defer func() { _ = testcontainers.TerminateContainer(rudder) }()
	check(err)
	braze, err := container.Run(ctx, brazeImage, container.WithSeed(7), network.WithNetwork(nil, wire))
	defer func() { _ = testcontainers.TerminateContainer(braze) }()
	check(err)
	current, err := braze.Launch(ctx, mockbraze.Current{
		Kind: mockbraze.RudderStack, Events: []string{"users.messages.email.*"},
		URL: fmt.Sprintf("http://rudder:%d/v1/webhook?writeKey=wkBraze", rudders.Port),
	})
	check(err)
	outcome, err := current.Send(ctx, 100)
	check(err)
	n, err := rudder.Count(ctx, mockrudder.Filter{OnlyValid: true})
	check(err)
	fmt.Println("all there:", outcome.Acked+outcome.Withheld == 100 && int(n) == outcome.Acked)
	// Output: all there: true
}
