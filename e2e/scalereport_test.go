//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/capacity"
)

// scaleFile is where the figures go as JSON.
var scaleFile = flag.String("scale-report", "", "write the figures of -scale to this file, too")

// What bounded a run.
const (
	boundBridge = "bridge"
	boundLeader = "NATS"
	boundOther  = "other" // the machine, the senders, the sink, or waiting for each other
)

// scaleRow are the figures of a case. What is "each event's" is divided by the
// events that were delivered; bridges and followers are summed before.
type scaleRow struct {
	scaleCase

	Events float64 `json:"events"`
	// Acked is events a second while there was load; Rate is from the first
	// batch until the last was delivered.
	Acked     float64 `json:"acked_per_s"`
	Rate      float64 `json:"rate_per_s"`
	Predicted float64 `json:"predicted_per_s,omitempty"` // by the model, from one bridge

	BridgeUS   float64 `json:"bridge_us"` // µs of CPU an event
	LeaderUS   float64 `json:"leader_us,omitempty"`
	FollowerUS float64 `json:"follower_us,omitempty"` // each
	SinkUS     float64 `json:"sink_us"`
	LoadUS     float64 `json:"load_us"`

	BridgeBusy float64 `json:"bridge_busy"` // share of their quotas
	LeaderBusy float64 `json:"leader_busy,omitempty"`
	Bound      string  `json:"bound"`

	Stored    float64 `json:"stored_bytes"` // an event, in one copy
	BridgeIn  float64 `json:"bridge_in_bytes"`
	BridgeOut float64 `json:"bridge_out_bytes"`
	LeaderIn  float64 `json:"leader_in_bytes,omitempty"`
	LeaderOut float64 `json:"leader_out_bytes,omitempty"`
	SinkIn    float64 `json:"sink_in_bytes"`

	BridgeMB float64 `json:"bridge_mb"` // resident, the largest
	LeaderMB float64 `json:"leader_mb,omitempty"`
}

const million = 1e6

func newScaleRow(r *scaleRun, events float64, took time.Duration, before, after map[string]usage) scaleRow {
	row := scaleRow{scaleCase: r.scaleCase, Events: events, Rate: events / took.Seconds(), LoadUS: r.loadCPU * million / events}
	leader := ""
	if r.NATSCPU > 0 {
		leader = r.leader()
	}
	for name, then := range after {
		used := then.minus(before[name])
		us, in, out, mb := used.cpu.Seconds()*million/events, float64(used.in)/events, float64(used.out)/events, float64(used.resident)/million
		switch {
		case name == "sink":
			row.SinkUS, row.SinkIn = us, in
		case name == leader:
			row.LeaderUS, row.LeaderIn, row.LeaderOut, row.LeaderMB = us, in, out, mb
		case r.nats[name] != nil:
			row.FollowerUS += us / float64(len(r.nats)-1)
		default:
			row.BridgeUS, row.BridgeIn, row.BridgeOut, row.BridgeMB = row.BridgeUS+us, row.BridgeIn+in, row.BridgeOut+out, max(row.BridgeMB, mb)
		}
	}
	row.BridgeBusy = row.Rate * row.BridgeUS / million / (float64(r.Bridges) * r.BridgeCPU)
	if leader != "" {
		row.LeaderBusy = row.Rate * row.LeaderUS / million / r.NATSCPU
	}
	switch {
	case row.LeaderBusy >= fullyBusy:
		row.Bound = boundLeader
	case row.BridgeBusy >= fullyBusy:
		row.Bound = boundBridge
	default:
		row.Bound = boundOther
	}
	return row
}

// predictRows fills in what the model says of each set on NATS, from the costs
// that were measured with one bridge.
func predictRows(rows []scaleRow) {
	var costs *capacity.Costs
	for i := range rows {
		row := &rows[i]
		switch {
		case row.NATSCPU == 0 || row.Always:
			continue
		case costs == nil && row.Bridges == 1:
			costs = &capacity.Costs{Bridge: row.BridgeUS, Leader: row.LeaderUS, Follower: row.FollowerUS}
		}
		if costs != nil {
			row.Predicted = capacity.Rate(*costs, capacity.Size{Bridges: row.Bridges, BridgeCPU: row.BridgeCPU, NATSCPU: row.NATSCPU})
		}
	}
}

// shares compares several bridges with one, where only bridges bounded both.
func shares(rows []scaleRow) (err error) {
	var one float64
	for _, row := range rows {
		least := leastShare * float64(row.Bridges) * one
		switch {
		case row.NATSCPU == 0 || row.Always || row.Bound != boundBridge:
		case row.Bridges == 1:
			one = row.Rate
		case row.Rate < least:
			err = errors.Join(err, fmt.Errorf("%s: %.0f events a second, and %.0f would be %.1f of what each takes alone", row.Name, row.Rate, least, leastShare))
		}
	}
	return err
}

// TestFigures holds what is worked out of the runs to what it should be.
func TestFigures(t *testing.T) {
	on := func(bridges int, rate float64) scaleRow {
		return scaleRow{scaleCase: scaleCase{Bridges: bridges, BridgeCPU: 0.1, NATSCPU: 0.3}, Rate: rate, BridgeUS: 20, LeaderUS: 10, Bound: boundBridge}
	}
	rows := []scaleRow{{scaleCase: scaleCase{Bridges: 1}, Rate: 1e6, Bound: boundBridge}, on(1, 5000), on(2, 7000), on(8, 28_000)}
	require.NoError(t, shares(rows))
	predictRows(rows)
	require.Equal(t, []float64{0, 5000, 10_000, 30_000}, []float64{rows[0].Predicted, rows[1].Predicted, rows[2].Predicted, rows[3].Predicted})
	rows[2].Rate = 6999
	require.ErrorContains(t, shares(rows), "6999 events a second, and 7000 would be 0.7")
	rows[2].Bound = boundOther
	require.NoError(t, shares(rows), "another bound says nothing about bridges")
}

// writeScale prints the table and writes the file.
func writeScale(t *testing.T, rows []scaleRow) {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tevents/s\tacked/s\tmodel\tbridge µs\tleader µs\tfollower µs\tbusy\tleader busy\tbound\tstored B\tbridge in/out B\tleader in/out B\tsink in B\tbridge MB\t")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.0f\t%.1f\t%.1f\t%.1f\t%.0f %%\t%.0f %%\t%s\t%.0f\t%.0f/%.0f\t%.0f/%.0f\t%.0f\t%.0f\t\n", r.Name, r.Rate, r.Acked, r.Predicted,
			r.BridgeUS, r.LeaderUS, r.FollowerUS, 100*r.BridgeBusy, 100*r.LeaderBusy, r.Bound, r.Stored, r.BridgeIn, r.BridgeOut, r.LeaderIn, r.LeaderOut, r.SinkIn, r.BridgeMB)
	}
	require.NoError(t, w.Flush())
	fmt.Fprint(os.Stderr, out.String())
	if *scaleFile == "" {
		return
	}
	text, err := json.MarshalIndent(map[string]any{"runs": rows}, "", "  ")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(*scaleFile, append(text, '\n'), 0o644))
}
