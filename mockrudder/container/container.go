// Package container starts the fake RudderStack of package mockrudder from an
// image, with testcontainers-go, for tests of programs that run in containers
// themselves or are not written in Go.
//
// The image is one whose entrypoint is the program mockrudder, such as that of
// this project's deploy/Dockerfile. Run starts it and waits until it answers;
// the methods of Container reach it from the test by the port that Docker gave
// it, and other containers reach it by their network:
//
//	rudder, err := container.Run(ctx, "localhost/currentsbridge/mockrudder",
//		container.WithSource("wkBraze", mockrudder.Braze),
//		network.WithNetwork([]string{"rudder"}, net))
//	testcontainers.CleanupContainer(t, rudder)
//
// All methods call the container over HTTP and are safe for concurrent use. They get the
// port from Docker for each call, as it changes when a container is stopped and started.
package container

import (
	"context"
	"net/url"

	"github.com/testcontainers/testcontainers-go"

	"github.com/currentsbridge/currentsbridge/internal/dockertest/fakecontainer"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// Port is the port in the container, for other containers of a network.
const Port = 8090

// Container is a fake RudderStack in a container. Like any container of
// testcontainers-go it ends by Terminate or testcontainers.CleanupContainer.
type Container struct {
	testcontainers.Container

	fake fakecontainer.Fake
}

// Run starts a container from an image and returns when it answers requests. opts are
// those of this package and any of testcontainers-go. If it fails, it still returns the
// container, if there is one, so that it can be terminated.
func Run(ctx context.Context, image string, opts ...testcontainers.ContainerCustomizer) (*Container, error) {
	started, fake, err := fakecontainer.Run(ctx, "mockrudder", Port, "/health", image, opts)
	if started == nil {
		return nil, err
	}
	return &Container{started, fake}, err
}

// WithSource adds a source with this write key. Without this option there are wkBraze,
// a Braze source, and wkHTTP, an HTTP source. Other flags of `mockrudder serve` are given
// with testcontainers.WithCmdArgs; what --record writes is read with
// CopyFileFromContainer.
func WithSource(key string, kind mockrudder.Kind) testcontainers.CustomizeRequestOption {
	return testcontainers.WithCmdArgs("--source", key+"="+string(kind))
}

// URL is where the test reaches the server, without a slash at the end. Other
// containers use their network's name for it, and Port.
func (c *Container) URL(ctx context.Context) (string, error) { return c.fake.URL(ctx) }

// WebhookURL is where the test posts to for the source with this write key, as
// Braze would.
func (c *Container) WebhookURL(ctx context.Context, key string) (string, error) {
	base, err := c.fake.URL(ctx)
	if err != nil {
		return "", err
	}
	return base + "/v1/webhook?writeKey=" + url.QueryEscape(key), nil
}
