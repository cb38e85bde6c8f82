//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/currentsbridge/currentsbridge/internal/dockertest"
	"github.com/currentsbridge/currentsbridge/internal/load"
)

// scaleRuns turns the measurement on: it takes minutes, and its figures mean
// something only on a machine that does little else.
var scaleRuns = flag.Bool("scale", false, "measure what bridges with few cores take")

const (
	scaleLoad  = 8 * time.Second // of load; then it is waited until all is delivered
	scaleDrain = 90 * time.Second
	// fullyBusy is the share of its quota that a container must have used to be
	// what bounds the rate: the kernel gives the rest away in whole slices.
	fullyBusy = 0.85
	// leastShare is what each of several bridges must be worth of one alone.
	leastShare = 0.7
	loadReport = "/data/load.json"
)

// scaleCase is a set of containers with quotas of CPU.
type scaleCase struct {
	Name      string  `json:"name"`
	Bridges   int     `json:"bridges"`
	BridgeCPU float64 `json:"bridge_cpu"`         // cores of each
	NATSCPU   float64 `json:"nats_cpu,omitempty"` // cores of each of three servers; 0: Pebble
	Always    bool    `json:"sync_always,omitempty"`
}

func scaleCases() []scaleCase {
	const few, node = 0.1, 0.35
	return []scaleCase{
		{Name: "Pebble, 0.25 CPU", Bridges: 1, BridgeCPU: 0.25},
		{Name: "Pebble, 0.5 CPU", Bridges: 1, BridgeCPU: 0.5},
		{Name: "NATS, 1 bridge", Bridges: 1, BridgeCPU: few, NATSCPU: node},
		{Name: "NATS, 2 bridges", Bridges: 2, BridgeCPU: few, NATSCPU: node},
		{Name: "NATS, 4 bridges", Bridges: 4, BridgeCPU: few, NATSCPU: node},
		{Name: "NATS, fsync always", Bridges: 1, BridgeCPU: few, NATSCPU: node, Always: true},
	}
}

// TestScale measures what bridges with few cores take: how many events a second
// from Braze's first batch until the last is delivered, and what an event costs
// each part in CPU, disk and network. It asserts that everything arrived, and
// that N bridges take 0.7·N of what one takes, where nothing but the bridges was
// short of CPU; never how fast anything is.
func TestScale(t *testing.T) {
	if !*scaleRuns {
		t.Skip("a measurement of minutes: make scale")
	}
	var rows []scaleRow
	for _, c := range scaleCases() {
		t.Run(c.Name, func(t *testing.T) { rows = append(rows, measure(t, c)) })
	}
	predictRows(rows)
	writeScale(t, rows)
	require.NoError(t, shares(rows))
}

// scaleRun is one case under way.
type scaleRun struct {
	*cluster
	scaleCase

	loads   []testcontainers.Container
	loadCPU float64                             // seconds that they took
	members map[string]testcontainers.Container // all else
}

// measure runs a case: load as fast as the bridges take it, then nothing until
// all is delivered.
func measure(t *testing.T, sc scaleCase) scaleRow {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	s := &scenario{t: t, ctx: ctx, name: "scale", began: time.Now()}
	s.say("%s", sc.Name)
	s.control, s.wire = s.network("control"), s.network("wire")
	r := &scaleRun{
		cluster:   &cluster{scenario: s, nats: map[string]testcontainers.Container{}, bridges: map[string]testcontainers.Container{}},
		scaleCase: sc, members: map[string]testcontainers.Container{},
	}
	r.start()
	before, storeBefore := r.all(), s.gauge("bridge_store_bytes")
	r.send()
	accepted := r.drain()
	ended, after := time.Now(), r.all()
	from, acked := r.judgeLoad()
	row := newScaleRow(r, accepted, ended.Sub(from), before, after)
	row.Acked = acked
	s.during(2 * time.Second) // a bridge asks NATS for the size every second
	row.Stored = (s.gauge("bridge_store_bytes") - storeBefore) / accepted
	s.say("%s: %.0f events/s", sc.Name, row.Rate)
	return row
}

// start runs everything but the load.
func (r *scaleRun) start() {
	r.t.Helper()
	sink, err := testcontainers.Run(r.ctx, r.image(dockertest.Program{Name: "sink", Package: "github.com/currentsbridge/currentsbridge/e2e/sink"}),
		r.joined("rudder", testcontainers.WithExposedPorts("8090/tcp"),
			testcontainers.WithWaitStrategyAndDeadline(startTime, wait.ForHTTP("/health").WithPort("8090/tcp").WithPollInterval(pollEvery)))...)
	r.keep("sink", nilable(sink), err)
	r.members["sink"] = sink
	queue := "pebble"
	if r.NATSCPU > 0 {
		for _, name := range natsNames() {
			r.nats[name] = r.startNATS(name, r.natsOptions()...)
			r.members[name] = r.nats[name]
			var said struct {
				JetStream struct {
					Config struct {
						SyncAlways bool `json:"sync_always"`
					} `json:"config"`
				} `json:"jetstream"`
			}
			require.NoError(r.t, r.monitor(r.nats[name], "/varz", &said))
			require.Equal(r.t, r.Always, said.JetStream.Config.SyncAlways, "%s syncs before it acknowledges", name)
		}
		r.awaitHealthy()
		queue = natsURL()
	}
	for i := range r.Bridges {
		name := fmt.Sprintf("b%d", i+1)
		// 0.1 CPU is a start of some seconds: it is limited once it is ready.
		r.bridges[name] = r.startBridge(name, "--rudder-url", "http://rudder:8090", "--queue", queue, "--batch-events", "1000", "--log-level", "warn")
		r.limit(r.bridges[name], r.BridgeCPU)
		r.members[name] = r.bridges[name]
		r.ask(r.bridges[name])
	}
	r.prepareLoad()
}

func (r *scaleRun) natsOptions() []testcontainers.ContainerCustomizer {
	options := []testcontainers.ContainerCustomizer{limited(r.NATSCPU)}
	if r.Always {
		const config = "/nats.conf"
		options = append(options, testcontainers.WithFiles(testcontainers.ContainerFile{
			Reader: strings.NewReader("jetstream {\n  sync_interval: always\n}\n"), ContainerFilePath: config, FileMode: 0o644,
		}), testcontainers.WithCmdArgs("-c", config))
	}
	return options
}

// prepareLoad makes a sender for each bridge, as a balancer would share the
// load; they are started together.
func (r *scaleRun) prepareLoad() {
	r.t.Helper()
	for i := range r.Bridges {
		name := fmt.Sprintf("load%d", i+1)
		request := testcontainers.GenericContainerRequest{ContainerRequest: testcontainers.ContainerRequest{
			Image: r.image(dockertest.MockBraze()),
			Cmd: []string{
				"load", "--url", fmt.Sprintf("http://b%d:8080/currents", i+1), "--token", token, "--rate", "max",
				"--duration", scaleLoad.String(), "--types", "users.messages.*", "--seed", fmt.Sprint(i + 1), "--report", loadReport,
			},
			WaitingFor: wait.ForExit().WithExitTimeout(scaleLoad + startTime),
		}}
		for _, option := range r.joined(name) {
			require.NoError(r.t, option.Customize(&request))
		}
		sender, err := testcontainers.GenericContainer(r.ctx, request)
		r.keep(name, sender, err)
		r.loads = append(r.loads, sender)
	}
}

// send lets the senders run and returns when they have ended.
func (r *scaleRun) send() {
	r.t.Helper()
	var all sync.WaitGroup
	failed := make([]error, len(r.loads))
	for i, sender := range r.loads {
		all.Go(func() { failed[i] = sender.Start(r.ctx) })
	}
	all.Wait()
	require.NoError(r.t, errors.Join(failed...))
}

// judgeLoad reads the senders' reports: when the first began, and how many
// events a second were acknowledged. Each batch must have been taken.
func (r *scaleRun) judgeLoad() (from time.Time, acked float64) {
	r.t.Helper()
	for _, sender := range r.loads {
		file, err := sender.CopyFileFromContainer(r.ctx, loadReport)
		require.NoError(r.t, err)
		var report load.Report
		require.NoError(r.t, json.NewDecoder(file).Decode(&report))
		require.NoError(r.t, file.Close())
		require.Zero(r.t, report.Events.Refused+report.Events.Failed, "%v %v", report.Statuses, report.Failures)
		r.loadCPU += report.Process.CPUSeconds
		acked += float64(report.Events.Acked) / report.Seconds
		if from.IsZero() || report.Started.Before(from) {
			from = report.Started
		}
	}
	return from, acked
}

// drain waits until everything is delivered, and returns how many events.
func (r *scaleRun) drain() (events float64) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, scaleDrain)
	defer cancel()
	for {
		ledger, err := r.ledger()
		if err == nil && ledger.Pending == 0 {
			require.NotZero(r.t, ledger.Accepted)
			require.Equal(r.t, ledger.Accepted, ledger.Delivered, "a dead letter costs more than an event that is delivered")
			return float64(ledger.Delivered)
		}
		require.NoError(r.t, ctx.Err(), "%d events are pending: %s %v", ledger.Pending, ledger.Destination.LastError, err)
		r.during(4 * pollEvery) // the question costs CPU, too
	}
}

// all is what each container has used so far.
func (r *scaleRun) all() map[string]usage {
	r.t.Helper()
	used := map[string]usage{}
	for name, c := range r.members {
		used[name] = r.usage(c)
	}
	return used
}
