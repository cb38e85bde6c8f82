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
	"fmt"
	"io"
	"net/url"
	"strconv"

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
	started, fake, err := fakecontainer.Run(ctx, fakecontainer.Program{Name: "mockrudder", Port: Port, Path: "/health"}, image, opts)
	if started == nil {
		return nil, err
	}
	return &Container{started, fake}, err
}

// WithSource adds a source with this write key. Without this option there are wkBraze,
// a Braze source, and wkHTTP, an HTTP source.
func WithSource(key string, kind mockrudder.Kind) testcontainers.CustomizeRequestOption {
	return testcontainers.WithCmdArgs("--source", key+"="+string(kind))
}

// WithDisabledSource adds a disabled source: it answers 404.
func WithDisabledSource(key string, kind mockrudder.Kind) testcontainers.CustomizeRequestOption {
	return testcontainers.WithCmdArgs("--source", key+"="+string(kind)+",disabled")
}

// WithKeep sets how many of the newest messages are kept; older ones are only
// counted. Without it that is mockrudder.DefaultKeep.
func WithKeep(n int) testcontainers.CustomizeRequestOption {
	return testcontainers.WithCmdArgs("--keep", strconv.Itoa(n))
}

// WithRateLimit answers 429 beyond this number of events a second.
func WithRateLimit(eventsPerSecond float64) testcontainers.CustomizeRequestOption {
	return testcontainers.WithCmdArgs("--rate-limit", strconv.FormatFloat(eventsPerSecond, 'g', -1, 64))
}

// WithoutValidation turns validation off, to accept more messages a second.
func WithoutValidation() testcontainers.CustomizeRequestOption {
	return testcontainers.WithCmdArgs("--no-validate")
}

// WithRecording appends every stored message to a file in the container, as a line of
// JSON, before its request is answered. The file survives the process, and on a volume
// the container; Recording reads it. Its directory must exist, and be writable for the
// image's user.
func WithRecording(path string) testcontainers.CustomizeRequestOption {
	return testcontainers.WithCmdArgs("--record", path)
}

// Recording reads the file of WithRecording, also of a stopped container. Each line is
// an event: decode it into a mockrudder.Event.
func (c *Container) Recording(ctx context.Context, path string) (io.ReadCloser, error) {
	file, err := c.CopyFileFromContainer(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("read the recording of mockrudder: %w", err)
	}
	return file, nil
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
