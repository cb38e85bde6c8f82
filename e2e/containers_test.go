//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"time"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
	networks "github.com/testcontainers/testcontainers-go/network"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/currentsbridge/currentsbridge/internal/dockertest"
	brazes "github.com/currentsbridge/currentsbridge/mockbraze/container"
	rudders "github.com/currentsbridge/currentsbridge/mockrudder/container"
)

const (
	token     = "e2e-token"
	recording = "/data/received.ndjson"
	adminPort = "9090/tcp"
	startTime = time.Minute
	pollEvery = 50 * time.Millisecond
)

// Limits of the bridges. Few events may be in flight, so that a bridge that sends too
// many duplicates is found, and the timeouts are long enough for a slow machine.
const (
	concurrency = 4
	perPost     = 200 // events
	inFlight    = concurrency * perPost
	postTimeout = 5 * time.Second
	maxBackoff  = 2 * time.Second
)

// image is that of a program, built from these sources.
func (s *scenario) image(program string) string {
	name, err := dockertest.Image(s.ctx, program)
	require.NoError(s.t, err)
	return name
}

// network makes a network. A container's networks are sorted by name, and the port
// that a test reaches it by belongs to the first: "control" goes before "wire" and
// stays when the container is disconnected from the wire.
func (s *scenario) network(name string) *testcontainers.DockerNetwork {
	made, err := networks.New(s.ctx, networks.WithLabels(dockertest.Labels()))
	require.NoError(s.t, err, name)
	s.t.Cleanup(func() { _ = made.Remove(context.WithoutCancel(s.ctx)) }) // or Main does it
	return made
}

// volume makes a volume that outlives containers.
func (s *scenario) volume() string {
	name := ""
	s.docker(func(docker *client.Client) error {
		made, err := docker.VolumeCreate(s.ctx, client.VolumeCreateOptions{Labels: dockertest.Labels()})
		name = made.Volume.Name
		return err
	})
	return name
}

func (s *scenario) docker(do func(*client.Client) error) {
	require.NoError(s.t, dockertest.WithClient(s.ctx, do))
}

// joined are the options that all containers have: a name on the wire, where all
// bridges together are "bridges", and a network for the test itself.
func (s *scenario) joined(name string, more ...testcontainers.ContainerCustomizer) []testcontainers.ContainerCustomizer {
	names := []string{name}
	if name == "b1" || name == "b2" {
		names = append(names, "bridges")
	}
	return append([]testcontainers.ContainerCustomizer{
		testcontainers.WithLabels(dockertest.Labels()),
		networks.WithNetwork(nil, s.control), networks.WithNetwork(names, s.wire),
	}, more...)
}

// keep ends a container with the test and shows its log where that fails.
func (s *scenario) keep(name string, c testcontainers.Container, err error) {
	if c != nil {
		s.t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), startTime)
			defer cancel()
			if s.t.Failed() {
				s.t.Logf("the log of %s ends with:\n%s", name, dockertest.Logs(ctx, c))
			}
			_ = c.Terminate(ctx, testcontainers.StopTimeout(0)) // or Main does it
		})
	}
	require.NoError(s.t, err, name)
}

// run runs a container that ends with the test.
func (s *scenario) run(name, image string, opts ...testcontainers.ContainerCustomizer) testcontainers.Container {
	c, err := testcontainers.Run(s.ctx, image, opts...)
	if c == nil {
		require.NoError(s.t, err, name)
		return nil
	}
	s.keep(name, c, err)
	return c
}

func (s *scenario) startRudder() {
	c, err := rudders.Run(s.ctx, s.image(dockertest.MockRudder),
		s.joined("rudder", mount(s.volume()), testcontainers.WithCmdArgs("--record", recording, "--keep", "1"))...)
	s.keep("mockrudder", c, err)
	s.rudder = c
}

func (s *scenario) startBraze() {
	c, err := brazes.Run(s.ctx, s.image(dockertest.MockBraze), s.joined("braze", brazes.WithSeed(s.seed))...)
	s.keep("mockbraze", c, err)
	s.braze = c
}

// startBridge runs a bridge on a volume and returns when it is ready. args come after
// those that all bridges have.
func (s *scenario) startBridge(name, volume string, args ...string) testcontainers.Container {
	serve := append([]string{
		"serve", "--listen", "0.0.0.0:8080", "--admin", "0.0.0.0:9090", "--data-dir", "/data/bridge", "--braze-token", token,
		"--write-key", "wkHTTP", "--concurrency", fmt.Sprint(concurrency), "--batch-events", fmt.Sprint(perPost),
		"--timeout", postTimeout.String(), "--backoff-max", maxBackoff.String(), "--grace", "5s",
	}, args...)
	return s.run(name, s.image(dockertest.Bridge), s.joined(name, mount(volume),
		testcontainers.WithCmd(serve...), testcontainers.WithExposedPorts(adminPort),
		testcontainers.WithWaitStrategyAndDeadline(startTime, wait.ForHTTP("/readyz").WithPort(adminPort).WithPollInterval(pollEvery)))...)
}

func mount(volume string) testcontainers.CustomizeRequestOption {
	return testcontainers.WithMounts(testcontainers.VolumeMount(volume, "/data"))
}

// kill ends a container with SIGKILL and returns when it is gone.
func (s *scenario) kill(c testcontainers.Container) {
	s.docker(func(docker *client.Client) error {
		gone := docker.ContainerWait(s.ctx, c.GetContainerID(), client.ContainerWaitOptions{})
		if _, err := docker.ContainerKill(s.ctx, c.GetContainerID(), client.ContainerKillOptions{Signal: "KILL"}); err != nil {
			return err
		}
		select {
		case <-gone.Result:
			return nil
		case err := <-gone.Error:
			return err
		}
	})
}

// remove removes a container; its volume stays.
func (s *scenario) remove(c testcontainers.Container) {
	require.NoError(s.t, c.Terminate(s.ctx, testcontainers.StopTimeout(0)))
}

// disconnect disconnects a container from the wire; reconnect connects it again by the
// same name, perhaps with another address.
func (s *scenario) disconnect(c testcontainers.Container) {
	s.docker(func(docker *client.Client) error {
		_, err := docker.NetworkDisconnect(s.ctx, s.wire.ID, client.NetworkDisconnectOptions{Container: c.GetContainerID()})
		return err
	})
}

func (s *scenario) reconnect(c testcontainers.Container, name string) {
	s.docker(func(docker *client.Client) error {
		_, err := docker.NetworkConnect(s.ctx, s.wire.ID, client.NetworkConnectOptions{
			Container: c.GetContainerID(), EndpointConfig: &network.EndpointSettings{Aliases: []string{name}},
		})
		return err
	})
}
