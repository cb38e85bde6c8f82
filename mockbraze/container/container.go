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
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/testcontainers/testcontainers-go"

	"github.com/currentsbridge/currentsbridge/internal/dockertest/fakecontainer"
	"github.com/currentsbridge/currentsbridge/mockbraze"
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

// Current is a Current of a fake Braze in a container.
type Current struct {
	c  *Container
	id string
}

// Launch makes a Current and launches it. Its URL is as the container sees it.
// Timeout, Backoff, Connections, Window and the two functions of spec cannot be had in
// a container and are an error. It fails where the endpoint answers 401, 403 or 404 to
// the probe.
func (c *Container) Launch(ctx context.Context, spec mockbraze.Current) (*Current, error) {
	cannot := map[string]bool{ // for which the control API has no word
		"Timeout": spec.Timeout != 0, "Backoff": spec.Backoff != mockbraze.Backoff{}, "Connections": spec.Connections != 0,
		"Window": spec.Window != 0, "OnSend": spec.OnSend != nil, "OnAck": spec.OnAck != nil,
	}
	maps.DeleteFunc(cannot, func(_ string, given bool) bool { return !given })
	if len(cannot) > 0 {
		return nil, fmt.Errorf("a Current in a container cannot have %s: leave it out", strings.Join(slices.Sorted(maps.Keys(cannot)), ", "))
	}
	form := struct {
		mockbraze.Current
		Seconds float64 `json:"flush_after_seconds,omitempty"`
	}{spec, spec.FlushAfter.Seconds()}
	var report mockbraze.Report
	if err := c.fake.Call(ctx, http.MethodPost, "/api/currents", form, &report); err != nil {
		return nil, err
	}
	current := &Current{c: c, id: report.ID}
	return current, current.Launch(ctx)
}

// Launch probes the credentials and starts the Current, or starts it again
// after Pause.
func (c *Current) Launch(ctx context.Context) error { return c.do(ctx, "launch") }

// Pause stops the Current; its events wait.
func (c *Current) Pause(ctx context.Context) error { return c.do(ctx, "pause") }

// Flush sends what is queued without waiting for full batches. It does not wait
// for the answers.
func (c *Current) Flush(ctx context.Context) error { return c.do(ctx, "flush") }

// SetRate changes how many events a second happen by themselves, up to
// mockbraze.MaxRate; 0 ends it.
func (c *Current) SetRate(ctx context.Context, rate float64) error {
	return c.c.fake.Call(ctx, http.MethodPatch, c.path(), map[string]float64{"rate": rate}, nil)
}

// Report says how the Current stands.
func (c *Current) Report(ctx context.Context) (mockbraze.Report, error) {
	var report mockbraze.Report
	err := c.c.fake.Call(ctx, http.MethodGet, c.path(), nil, &report)
	return report, err
}

// Send lets n events happen, up to ten million, sends them, and returns what
// became of them once all were answered for. It gives up with ctx; what was sent
// stays sent, and the Current goes on.
func (c *Current) Send(ctx context.Context, n int) (outcome mockbraze.Outcome, err error) {
	err = c.c.fake.Call(ctx, http.MethodPost, fmt.Sprintf("%s/send?events=%d", c.path(), n), nil, &outcome)
	return outcome, err
}

// Drained waits until nothing of the Current is queued or in flight, and
// returns how it stands then, or when ctx ended.
func (c *Current) Drained(ctx context.Context) (mockbraze.Report, error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		report, err := c.Report(ctx)
		if err != nil || report.Counts.Queued == 0 {
			return report, err
		}
		select {
		case <-ctx.Done():
			return report, fmt.Errorf("mockbraze: %d events of the Current are still queued or in flight: %w", report.Counts.Queued, ctx.Err())
		case <-tick.C:
		}
	}
}

func (c *Current) path() string { return "/api/currents/" + c.id }

func (c *Current) do(ctx context.Context, what string) error {
	return c.c.fake.Call(ctx, http.MethodPost, c.path()+"/"+what, nil, nil)
}
