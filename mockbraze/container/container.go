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
//	braze, err := container.Run(ctx, "localhost/currentsbridge/mockbraze",
//		container.WithSeed(7), network.WithNetwork(nil, net))
//	testcontainers.CleanupContainer(t, braze)
//	current, err := braze.Launch(ctx, mockbraze.Current{URL: "http://bridge:8080/currents", Token: "s3cret"})
//	outcome, err := current.Send(ctx, 960)
//
// All methods ask the container over HTTP and are safe for concurrent use. The
// Currents live in the program's memory: a container that is started again has
// none, and the same seed gives its first Current the same events again.
package container

import (
	"context"
	"strconv"

	"github.com/testcontainers/testcontainers-go"

	"github.com/currentsbridge/currentsbridge/internal/dockertest/fakecontainer"
)

// Port is the port in the container, for other containers of a network.
const Port = 8091

// Container is a fake Braze in a container. It is ended as any container of
// testcontainers-go: by Terminate or testcontainers.CleanupContainer.
type Container struct {
	testcontainers.Container

	fake fakecontainer.Fake
}

// Run starts a container from an image and returns when it takes requests. opts
// are those of this package and any of testcontainers-go. Where it fails, the
// container is returned too if there is one, so that it can be terminated.
func Run(ctx context.Context, image string, opts ...testcontainers.ContainerCustomizer) (*Container, error) {
	started, fake, err := fakecontainer.Run(ctx, "mockbraze", Port, "/api/currents", image, opts)
	if started == nil {
		return nil, err
	}
	return &Container{started, fake}, err
}

// WithSeed chooses the workspace and everything that happens in it; without it
// the seed is 1.
func WithSeed(seed uint64) testcontainers.CustomizeRequestOption {
	return testcontainers.WithCmdArgs("--seed", strconv.FormatUint(seed, 10))
}

// URL is where the test reaches the page and the control API, without a slash
// at the end. Other containers use their network's name for it, and Port.
func (c *Container) URL(ctx context.Context) (string, error) { return c.fake.URL(ctx) }
