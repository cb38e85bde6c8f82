package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/bridge"
	"github.com/currentsbridge/currentsbridge/bridge/queue/pebble"
	"github.com/currentsbridge/currentsbridge/internal/cli"
)

func newRepair() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "repair",
		Short: "Set aside what is damaged in the data directory, and go on",
		Long: `Read everything in the data directory that can be read, whatever is damaged or
missing, and write a new store from it. Nothing is deleted: the old files are
moved to set-aside-TIME in the same directory. Pending events that cannot be
read become dead letters with the reason "damaged", so that the ledger holds;
bridge dead list shows them, and bridge dead purge removes them.

This is for the embedded store, pebble; the servers of a queue on NATS look after
their own files. The bridge must not run meanwhile. There must be as much free disk as the store
takes. Killed half-way, it has changed nothing, or the next call goes on where it
was. It exits 0 when the store is whole, also where something was set aside, and
1 when that could not be done.`,
		Example: `  bridge repair --data-dir /var/lib/bridge --dry-run
  bridge repair --data-dir /var/lib/bridge`,
		Args: cobra.NoArgs,
		// Where the variable says to bridge serve what the directory is, a repair
		// of another one, such as ./data, would be a surprise.
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			if (bridge.Queue{Store: os.Getenv("BRIDGE_QUEUE")}).OnNATS() && !cmd.Flags().Changed("data-dir") {
				return errors.New("BRIDGE_QUEUE is on NATS, and a repair is for the data directory of pebble; the NATS servers look after their own files. To repair a directory all the same, name it with --data-dir")
			}
			return cli.BindEnv("BRIDGE", cmd.Flags())
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, _ := cmd.Flags().GetString("data-dir")
			dryRun, _ := cmd.Flags().GetBool("dry-run")
			report, err := pebble.Repair(cmd.Context(), dir, pebble.RepairOptions{
				DryRun: dryRun, Progress: repairProgress(cmd.Context(), cmd.ErrOrStderr()),
			})
			if err != nil {
				return err
			}
			if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
				return printJSON(cmd.OutOrStdout(), report)
			}
			printRepair(cmd.OutOrStdout(), report, dryRun)
			return nil
		},
	}
	cmd.Flags().String("data-dir", bridge.DefaultConfig().DataDir, "`DIRECTORY` that keeps the events")
	cmd.Flags().Bool("dry-run", false, "say what is damaged and what would be lost, and change nothing")
	cmd.Flags().Bool("json", false, "print the report as JSON")
	return cmd
}

// repairProgress prints how far a long repair is.
func repairProgress(ctx context.Context, to io.Writer) func(pebble.RepairProgress) {
	begun := time.Now()
	return func(p pebble.RepairProgress) {
		took := time.Since(begun)
		if took < time.Second || p.Done == 0 || ctx.Err() != nil {
			return
		}
		rate := float64(p.Done) / took.Seconds()
		left := time.Duration(float64(max(0, p.Total-p.Done)) / rate * float64(time.Second))
		fmt.Fprintf(to, "read %d of %d MB, %.1f MB/s, about %s left\n", p.Done>>20, p.Total>>20, rate/(1<<20), left.Round(time.Second))
	}
}

func printRepair(to io.Writer, r pebble.RepairReport, dryRun bool) {
	switch {
	case r.Resumed:
		fmt.Fprintf(to, "%s: a repair that was interrupted is finished\n", r.Dir)
	case r.Whole:
		fmt.Fprintf(to, "%s: whole; %d bytes were read and nothing was changed\n", r.Dir, r.BytesRead)
	case dryRun:
		fmt.Fprintf(to, "%s: damaged in %d places; this would be done, and nothing was:\n", r.Dir, r.Places)
	default:
		fmt.Fprintf(to, "%s: mended; it was damaged in %d places\n", r.Dir, r.Places)
	}
	for _, d := range r.Damages {
		fmt.Fprintln(to, "damaged:", d)
	}
	if more := r.Places - len(r.Damages); more > 0 {
		fmt.Fprintf(to, "damaged: and %d places more\n", more)
	}
	for _, d := range r.Torn {
		fmt.Fprintln(to, "end of a log:", d)
	}
	for _, c := range r.Connectors {
		fmt.Fprintf(to, "connector %s: %d pending events lost and now dead letters with the reason %s, %d dead letters lost, %d events delivered again; pending %d, dead %d\n",
			c.Name, c.Lost, pebble.ReasonDamaged, c.LostDead, c.Again, c.Pending, c.Dead)
	}
	for _, e := range r.Estimates {
		fmt.Fprintln(to, "estimate:", e)
	}
	if r.SetAside != "" {
		fmt.Fprintf(to, "the old files, %d bytes, are in %s\n", r.BytesSetAside, r.SetAside)
	}
}
