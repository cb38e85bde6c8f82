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

	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"

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
)

func TestMain(m *testing.M) {
	dockertest.Main(m, dockertest.MockRudder, dockertest.MockBraze, dockertest.Bridge, dockertest.Toxiproxy)
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
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	if deadline, ok := t.Deadline(); ok {
		cancel()
		ctx, cancel = context.WithDeadline(t.Context(), deadline.Add(-cleanupTime))
	}
	t.Cleanup(cancel)
	s := &scenario{t: t, ctx: ctx, name: name, seed: seed, rate: rate, began: time.Now()}
	s.say("starting")
	s.control, s.wire = s.network("control"), s.network("wire")
	s.startRudder()
	s.startBraze()
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
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
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

// result is what the report says of a scenario.
type result struct {
	Name           string         `json:"name"`
	Faults         []fault        `json:"faults"`
	DuplicateBound int64          `json:"duplicate_bound"`
	Run            harness.Report `json:"run"`
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
	require.NoError(s.t, json.NewEncoder(file).Encode(result{s.name, s.faults, r.DuplicateBound, r}))
}

const kills = 5

// TestKilledAndRecreated kills the container of a bridge with SIGKILL in the
// middle of its work, five times, takes it away, and makes a new one on the same
// volume. Braze goes on all the while.
func TestKilledAndRecreated(t *testing.T) {
	t.Parallel() // it waits more than it works
	s := open(t, "kill", 21, 800)
	volume, to := s.volume(), []string{"--rudder-url", "http://rudder:8090"}
	s.bridge = s.startBridge("bridge", volume, to...)
	s.launch("http://bridge:8080/currents", 50*time.Millisecond)
	for i := range kills {
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
