// Package fakecontainer is what the containers of both fakes have in common:
// they serve HTTP on one port, and the test talks JSON to them.
package fakecontainer

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/currentsbridge/currentsbridge/internal/jsoncall"
)

const startTime = time.Minute // from start to the first answer

// Fake is the program of an image that is there to be called.
type Fake struct {
	Name string
	// URL is where the test reaches it, without a slash at the end. It asks
	// Docker each time: a container that is started again has another port.
	URL func(context.Context) (string, error)
}

// Run starts a container from an image, whose entrypoint is the program of this name,
// has it serve on a port, and returns when it answers 200 at path. opts come after the
// options that are given here. Where it fails, the container is returned too if there
// is one.
func Run(
	ctx context.Context, name string, number int, path, image string, opts []testcontainers.ContainerCustomizer,
) (testcontainers.Container, Fake, error) {
	port := strconv.Itoa(number) + "/tcp"
	all := append([]testcontainers.ContainerCustomizer{
		testcontainers.WithCmd("serve", "--listen", "0.0.0.0:"+strconv.Itoa(number)),
		testcontainers.WithExposedPorts(port),
		testcontainers.WithWaitStrategyAndDeadline(startTime, wait.ForHTTP(path).WithPort(port)),
	}, opts...)
	started, err := testcontainers.Run(ctx, image, all...)
	if err != nil {
		err = fmt.Errorf("run %s from the image %s: %w", name, image, err)
	}
	if started == nil {
		return nil, Fake{}, err // and no nil pointer, which were no nil interface
	}
	url := func(ctx context.Context) (string, error) {
		at, err := started.PortEndpoint(ctx, port, "http")
		if err != nil {
			return "", fmt.Errorf("find the port of %s: %w", name, err)
		}
		return at, nil
	}
	return started, Fake{name, url}, err
}

// Call sends body as JSON to a path and reads the answer into into; either may
// be nil.
func (f Fake) Call(ctx context.Context, method, path string, body, into any) error {
	base, err := f.URL(ctx)
	if err != nil {
		return err
	}
	if err := jsoncall.Do(ctx, method, base+path, body, into); err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	return nil
}
