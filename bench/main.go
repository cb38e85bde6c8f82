// Command bench measures what an event costs the bridge on its whole way: the
// real program takes batches over HTTP, stores them on disk, maps the events and
// posts them to a server that accepts everything and does nothing. It prints a
// table in Markdown, one row for each combination of batch size, event size and
// backlog:
//
//	make build && go run ./bench
//	go run ./bench --batch 100 --size 1000 --pending 0,10000000 --events 500000
//
// CPU an event is that of the bridge's process alone, user and system, from the
// first request until everything is delivered. Latency is measured in a second
// pass at half of the rate that the first one reached, from the instant at which
// a request was due to its response. It needs Linux, for /proc. Exit code 1 is an
// error.
package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/internal/load"
)

// settings are the flags.
type settings struct {
	bridge, mode, queue     string
	batches, sizes, pending []int
	events                  int
	latencyFor              time.Duration
}

// row is one combination to measure; events and pending are counts, size is
// bytes an event.
type row struct {
	batch, size, pending, events int
}

// result is what a row cost.
type result struct {
	cpu     float64        // seconds an event
	rate    float64        // events a second, as fast as it goes
	latency load.Latencies // from the instant that was due to the response, at half that rate
	memory  uint64         // bytes resident at the most
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil {
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
  go run ./bench --batch 100 --size 1000 --pending 0,10000000 --events 500000
  go run ./bench --mode webhook --batch 1,100 --size 1000`,
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
	f.IntSliceVar(&s.batches, "batch", []int{1, 10, 100}, "events in a request, 100 at most")
	f.IntSliceVar(&s.sizes, "size", []int{300, 1000, 4000, 64000}, "bytes an event")
	f.IntSliceVar(&s.pending, "pending", []int{0}, "events that wait before the measurement")
	f.IntVar(&s.events, "events", 0, "events a row (default 200,000 of batches of 100, fewer where batches are small or events are large)")
	f.DurationVar(&s.latencyFor, "latency-for", 5*time.Second, "length of the pass for latency; 0 leaves it out")
	return cmd
}

func run(ctx context.Context, s settings, out, progress io.Writer) error {
	rows := s.rows()
	if _, err := exec.LookPath(s.bridge); err != nil {
		return fmt.Errorf("%w (make build makes it)", err)
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
			res.cpu*1e6, res.rate, res.latency.P50, res.latency.P99, res.memory>>20)
	}
	return nil
}

// rows are all combinations.
func (s settings) rows() (rows []row) {
	for _, p := range s.pending {
		for _, batch := range s.batches {
			for _, size := range s.sizes {
				events := cmp.Or(s.events, defaultEvents(batch, size))
				rows = append(rows, row{batch: batch, size: max(size, smallest), pending: p, events: max(events/batch, 1) * batch})
			}
		}
	}
	return rows
}

// defaultEvents keeps a row to some seconds.
func defaultEvents(batch, size int) int {
	const requests, bytes, most = 20_000, 400 << 20, 200_000
	return min(requests*batch, bytes/max(size, 1), most)
}
