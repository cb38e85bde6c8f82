//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
	networks "github.com/testcontainers/testcontainers-go/network"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/currentsbridge/currentsbridge/harness"
	"github.com/currentsbridge/currentsbridge/internal/dockertest"
	"github.com/currentsbridge/currentsbridge/mockbraze"
	brazes "github.com/currentsbridge/currentsbridge/mockbraze/container"
	"github.com/currentsbridge/currentsbridge/mockrudder"
	rudders "github.com/currentsbridge/currentsbridge/mockrudder/container"
)

const (
	settleTime  = 3 * time.Minute
	cleanupTime = 20 * time.Second // kept back of the time for all tests
	startTime   = time.Minute
	pollEvery   = 50 * time.Millisecond
	token       = "e2e-token"
	recording   = "/data/received.ndjson"
	adminPort   = "9090/tcp"
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

func TestMain(m *testing.M) {
	dockertest.Main(m, dockertest.MockRudder, dockertest.MockBraze, dockertest.Bridge, dockertest.Toxiproxy)
}

// TestKilledAndRecreated kills the container of a bridge with SIGKILL in the
// middle of its work, five times, takes it away, and makes a new one on the same
// volume. Braze goes on all the while.
func TestKilledAndRecreated(t *testing.T) {
	t.Parallel() // it waits more than it works
	s := open(t, "kill", 21, 800)
	volume, to := s.volume(), []string{"--rudder-url", "http://rudder:8090"}
	s.bridge = s.startBridge("bridge", volume, to...)
	s.launch("http://bridge:8080/currents", 50*time.Millisecond)
	for i := range 5 {
		s.load()
		s.during(2 * time.Second)
		from := time.Now()
		s.kill(s.bridge)
		s.remove(s.bridge)
		s.during(time.Second) // Braze has no bridge to send to
		s.bridge = s.startBridge("bridge", volume, to...)
		s.lose(from, inFlight)
		s.crashes++
		s.settle(fmt.Sprintf("kill %d", i+1), time.Now())
	}
	s.judge()
}

// scenario is one run of all programs, from start to verdict.
type scenario struct {
	t     *testing.T
	ctx   context.Context
	name  string
	seed  uint64
	rate  float64 // events a second, while there is load
	began time.Time

	control, wire *testcontainers.DockerNetwork
	rudder        *rudders.Container
	braze         *brazes.Container
	current       *brazes.Current
	bridge        testcontainers.Container // one whose admin side can be asked

	losses  []harness.Loss
	crashes int
	faults  []fault
}

// open makes the networks and the fakes, with a RudderStack that takes its time
// before it stores and again before it has answered, so that there is always
// something in flight, and some of it done.
func open(t *testing.T, name string, seed uint64, rate float64) *scenario {
	ctx, cancel := context.WithCancel(t.Context())
	if deadline, ok := t.Deadline(); ok {
		cancel()
		ctx, cancel = context.WithDeadline(t.Context(), deadline.Add(-cleanupTime))
	}
	t.Cleanup(cancel)
	s := &scenario{t: t, ctx: ctx, name: name, seed: seed, rate: rate, began: time.Now()}
	s.say("starting")
	s.control, s.wire = s.network("control"), s.network("wire")
	var err error
	s.rudder, err = rudders.Run(ctx, s.image(dockertest.MockRudder),
		s.joined("rudder", mount(s.volume()), testcontainers.WithCmdArgs("--record", recording, "--keep", "1"))...)
	s.keep("mockrudder", s.rudder, err)
	s.braze, err = brazes.Run(ctx, s.image(dockertest.MockBraze), s.joined("braze", brazes.WithSeed(seed))...)
	s.keep("mockbraze", s.braze, err)
	require.NoError(t, s.rudder.SetFaults(ctx, mockrudder.Fault{
		Path: "/v1/batch", Latency: mockrudder.Duration(50 * time.Millisecond), LatencyMax: mockrudder.Duration(150 * time.Millisecond),
		Trickle: mockrudder.Duration(150 * time.Millisecond),
	}))
	return s
}

// say shows how far it is.
func (s *scenario) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%-8s %4.0fs  %s\n", s.name, time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

// launch makes the Current and starts the load. flushAfter is the longest time that a
// batch waits: where it is short, there are responses all the time, and no kill falls
// into a pause.
func (s *scenario) launch(url string, flushAfter time.Duration) {
	var err error
	s.current, err = s.braze.Launch(s.ctx, mockbraze.Current{URL: url, Token: token, FlushAfter: flushAfter})
	require.NoError(s.t, err)
	s.load()
}

func (s *scenario) load() {
	require.NoError(s.t, s.current.SetRate(s.ctx, s.rate))
}

// during waits under load.
func (s *scenario) during(d time.Duration) {
	select {
	case <-time.After(d):
	case <-s.ctx.Done():
	}
}

// admin is the URL of the admin side of a bridge.
func (s *scenario) admin() (string, error) { return s.bridge.PortEndpoint(s.ctx, adminPort, "http") }

func (s *scenario) ledger() (harness.Ledger, error) {
	url, err := s.admin()
	if err != nil {
		return harness.Ledger{}, err
	}
	return harness.ReadLedger(s.ctx, url, "default")
}

// lose notes a time in which outcomes could be lost, up to now.
func (s *scenario) lose(from time.Time, events int64) {
	s.losses = append(s.losses, harness.Loss{From: from, Until: time.Now(), Events: events})
}

// settle stops the load and waits until the backlog of a fault, which ended at
// that time, is delivered: Braze has nothing queued, and the bridge nothing
// pending.
func (s *scenario) settle(what string, ended time.Time) {
	require.NoError(s.t, s.current.SetRate(s.ctx, 0))
	require.NoError(s.t, s.current.Flush(s.ctx))
	ctx, cancel := context.WithTimeout(s.ctx, settleTime)
	defer cancel()
	_, err := s.current.Drained(ctx)
	require.NoError(s.t, err, "Braze waits for the bridge")
	var ledger harness.Ledger
	for {
		if ledger, err = s.ledger(); err == nil && ledger.Pending == 0 {
			break
		}
		require.NoError(s.t, ctx.Err(), "the bridge has %d events pending (%s) %v", ledger.Pending, ledger.Destination.LastError, err)
		s.during(pollEvery)
	}
	f := fault{What: what, Recovery: time.Since(ended).Seconds()}
	s.faults = append(s.faults, f)
	s.say("%s: recovered within %.1f s", what, f.Recovery)
}

// judge asks the harness for its verdict and writes the report.
func (s *scenario) judge() {
	braze, err := s.current.Report(s.ctx)
	require.NoError(s.t, err)
	require.NotZero(s.t, braze.Counts.Events)
	var sent bytes.Buffer
	require.NoError(s.t, mockbraze.Emit(s.ctx, &sent, mockbraze.Emission{Events: int(braze.Counts.Events), Seed: s.seed}))
	received, err := s.rudder.CopyFileFromContainer(s.ctx, recording)
	require.NoError(s.t, err)
	defer received.Close()
	admin, err := s.admin()
	require.NoError(s.t, err)
	report, err := harness.Judge(s.ctx, harness.Outside{
		Sent: &sent, Counts: braze.Counts, Received: received, Admin: admin,
		Losses: s.losses, Crashes: s.crashes, Duration: time.Since(s.began),
	})
	require.NoError(s.t, err)
	s.write(report)
	require.True(s.t, report.Passed(), "%v", report.Failures)
}

// fault is something that went wrong on purpose.
type fault struct {
	What string `json:"what"`
	// Recovery is the time in seconds from its end until Braze had nothing
	// queued and the bridge nothing pending.
	Recovery float64 `json:"recovery_s"`
}

// write prints the line of a scenario, and appends its figures to the file that
// E2E_REPORT names.
func (s *scenario) write(r harness.Report) {
	var recoveries []string
	for _, f := range s.faults {
		recoveries = append(recoveries, fmt.Sprintf("%s %.1f s", f.What, f.Recovery))
	}
	s.say("%s: %d acknowledged, %d lost, %d changed, %d duplicates of %d that may be, %d dead; recovery: %s",
		strings.ToUpper(r.Verdict), r.Acked, r.Lost, r.Corrupted, r.Duplicates, r.DuplicateBound, r.Dead,
		strings.Join(recoveries, ", "))
	path := os.Getenv("E2E_REPORT")
	if path == "" {
		return
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	require.NoError(s.t, err, "E2E_REPORT")
	defer file.Close()
	line := map[string]any{"name": s.name, "faults": s.faults, "duplicate_bound": r.DuplicateBound, "run": r}
	require.NoError(s.t, json.NewEncoder(file).Encode(line))
}

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
