// Command bench measures what an event costs the bridge on its whole way: the
// real program takes batches over HTTP, stores them on disk, maps the events and
// posts them to a server that accepts everything and does nothing. It prints a
// table in Markdown, one row for each combination of batch size, event size and
// backlog:
//
//	make build && go run ./bench
//	go run ./bench --batch 100 --size 1KB --pending 0,10m --events 500k
//
// CPU an event is that of the bridge's process alone, user and system, from the
// first request until everything is delivered. Latency is measured in a second
// pass at half of the rate that the first one reached, from the instant at which
// a request was due to its response. It needs Linux, for /proc. Exit code 1 is an
// error.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// settings are the flags.
type settings struct {
	bridge      string
	mode        string
	queue       string
	dir         string
	batches     []string
	sizes       []string
	pending     []string
	events      string
	connections int
	latencyFor  time.Duration
}

// row is one combination to measure; events and pending are counts, size is
// bytes an event.
type row struct {
	batch, size, pending, events int
}

// result is what a row cost.
type result struct {
	cpu      time.Duration // an event
	rate     float64       // events a second, as fast as it goes
	p50, p99 time.Duration // to the response, at half that rate
	memory   int           // bytes resident at the most
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure what an event costs the bridge, from the request to the delivery",
		Example: `  make build && go run ./bench
  go run ./bench --batch 100 --size 1KB --pending 0,10m --events 500k
  go run ./bench --mode webhook --batch 1,100 --size 1KB`,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd.Context(), s, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&s.bridge, "bridge", "bin/bridge", "the bridge's program")
	f.StringVar(&s.mode, "mode", "events", "mode of the connector: events or webhook")
	f.StringVar(&s.queue, "queue", "sqlite", "queue: sqlite, or postgres://…")
	f.StringVar(&s.dir, "dir", "", "directory for the bridge's data, on the disk to measure (default a temporary one)")
	f.StringSliceVar(&s.batches, "batch", []string{"1", "10", "100"}, "events in a request")
	f.StringSliceVar(&s.sizes, "size", []string{"300B", "1KB", "4KB", "64KB"}, "bytes an event")
	f.StringSliceVar(&s.pending, "pending", []string{"0"}, "events that wait before the measurement, such as 0,1m,10m")
	f.StringVar(&s.events, "events", "", "events a row (default 200k of batches of 100, fewer where batches are small or events are large)")
	f.IntVar(&s.connections, "connections", 16, "connections that requests come on")
	f.DurationVar(&s.latencyFor, "latency-for", 5*time.Second, "length of the pass for latency; 0 leaves it out")
	return cmd
}

func run(ctx context.Context, s settings, out, progress io.Writer) error {
	rows, err := s.rows()
	if err != nil {
		return err
	}
	if _, err := exec.LookPath(s.bridge); err != nil {
		return fmt.Errorf("%w (make build makes it)", err)
	}
	if s.bridge, err = filepath.Abs(s.bridge); err != nil {
		return err
	}
	fmt.Fprintln(out, "| events a batch | bytes an event | pending before | CPU an event | events a second | p50 | p99 | memory |")
	fmt.Fprintln(out, "| --- | --- | --- | --- | --- | --- | --- | --- |")
	for i, r := range rows {
		fmt.Fprintf(progress, "%d of %d: batches of %d, %d bytes, %d pending\n", i+1, len(rows), r.batch, r.size, r.pending)
		res, err := measure(ctx, s, r)
		if err != nil {
			return fmt.Errorf("batches of %d, %d bytes, %d pending: %w", r.batch, r.size, r.pending, err)
		}
		fmt.Fprintf(out, "| %d | %d | %d | %.1f µs | %.0f | %.1f ms | %.1f ms | %d MB |\n", r.batch, r.size, r.pending,
			float64(res.cpu.Nanoseconds())/1e3, res.rate, res.p50.Seconds()*1e3, res.p99.Seconds()*1e3, res.memory>>20)
	}
	return nil
}

// rows are all combinations.
func (s settings) rows() ([]row, error) {
	batches, err1 := counts(s.batches)
	sizes, err2 := counts(s.sizes)
	pending, err3 := counts(s.pending)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	var rows []row
	for _, p := range pending {
		for _, batch := range batches {
			for _, size := range sizes {
				r := row{batch: batch, size: max(size, smallest), pending: p, events: defaultEvents(batch, size)}
				if s.events != "" {
					n, err := count(s.events)
					if err != nil {
						return nil, err
					}
					r.events = n
				}
				r.events = max(r.events/batch, 1) * batch
				rows = append(rows, r)
			}
		}
	}
	return rows, nil
}

// defaultEvents keeps a row to some seconds.
func defaultEvents(batch, size int) int {
	const requests, bytes, most = 20_000, 400 << 20, 200_000
	return min(requests*batch, bytes/max(size, 1), most)
}

func counts(texts []string) ([]int, error) {
	var out []int
	for _, text := range texts {
		n, err := count(text)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

// count reads 100, 10k, 1m, 300B, 0.3KB or 64KB.
func count(text string) (int, error) {
	number, unit := strings.TrimSpace(text), 1.0
	for suffix, u := range map[string]float64{"KB": 1000, "k": 1e3, "m": 1e6, "B": 1} {
		if n, found := strings.CutSuffix(number, suffix); found && (suffix != "B" || !strings.HasSuffix(n, "K")) {
			number, unit = n, u
			break
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is no number such as 100, 10k, 1m, 300B or 4KB", text)
	}
	return int(n * unit), nil
}
