// Package container starts the fake Braze of package mockbraze from an image,
// with testcontainers-go, for tests of programs that run in containers
// themselves or are not written in Go.
//
// The image is one whose entrypoint is the program mockbraze, such as that of
// this project's deploy/Dockerfile. Run starts it and waits until it answers;
// Launch makes a Current in it, and its events go to a URL as the container
// sees it, such as that of another container by the name it has in their
// network:
//
//	braze, err := container.Run(ctx, "currentsbridge/mockbraze",
//		container.WithSeed(7), network.WithNetwork(nil, net))
//	testcontainers.CleanupContainer(t, braze)
//	current, err := braze.Launch(ctx, mockbraze.Current{URL: "http://bridge:8080/currents", Token: "s3cret"})
//	outcome, err := current.Send(ctx, 960)
//
// All methods ask the container over HTTP and are safe for concurrent use. The
// Currents live in the program's memory: a container that is started again has
// none, and the same seed gives its first Current the same events anew.
package container

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/currentsbridge/currentsbridge/internal/jsoncall"
)

// Port is the port in the container, for other containers of a network.
const Port = 8091

const (
	portName  = "8091/tcp"
	startTime = time.Minute // from start to the first answer
)

// Container is a fake Braze in a container. It is ended as any container of
// testcontainers-go: by Terminate or testcontainers.CleanupContainer.
type Container struct {
	testcontainers.Container

	url func(context.Context) (string, error)
}

// Run starts a container from an image and returns when it takes requests. opts
// are those of this package and any of testcontainers-go. Where it fails, the
// container is returned too if there is one, so that it can be terminated.
func Run(ctx context.Context, image string, opts ...testcontainers.ContainerCustomizer) (*Container, error) {
	all := append([]testcontainers.ContainerCustomizer{
		testcontainers.WithCmd("serve", "--listen", "0.0.0.0:"+strconv.Itoa(Port)),
		testcontainers.WithExposedPorts(portName),
		testcontainers.WithWaitStrategyAndDeadline(startTime, wait.ForHTTP("/api/currents").WithPort(portName)),
	}, opts...)
	started, err := testcontainers.Run(ctx, image, all...)
	var c *Container
	if started != nil {
		c = &Container{Container: started}
		c.url = func(ctx context.Context) (string, error) { return c.PortEndpoint(ctx, portName, "http") }
	}
	if err != nil {
		return c, fmt.Errorf("run mockbraze from the image %s: %w", image, err)
	}
	return c, nil
}

// WithSeed chooses the workspace and everything that happens in it; without it
// the seed is 1.
func WithSeed(seed uint64) testcontainers.CustomizeRequestOption {
	return testcontainers.WithCmdArgs("--seed", strconv.FormatUint(seed, 10))
}

// URL is where the test reaches the page and the control API, without a slash
// at the end. Other containers use their network's name for it, and Port.
func (c *Container) URL(ctx context.Context) (string, error) { return c.url(ctx) }

func (c *Container) call(ctx context.Context, method, path string, body, into any) error {
	base, err := c.url(ctx)
	if err != nil {
		return fmt.Errorf("find the port of mockbraze: %w", err)
	}
	if err := jsoncall.Do(ctx, method, base+path, body, into); err != nil {
		return fmt.Errorf("mockbraze: %w", err)
	}
	return nil
}

func (c *Container) get(ctx context.Context, path string, into any) error {
	return c.call(ctx, http.MethodGet, path, nil, into)
}
