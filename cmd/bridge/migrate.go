package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/currentsbridge/currentsbridge/bridge"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/migrate"
	"github.com/currentsbridge/currentsbridge/bridge/queue/pebble"
	"github.com/currentsbridge/currentsbridge/internal/progress"
)

func newMigrate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Move what waits in a data directory to a queue on NATS",
		Long: `Move the pending events and the dead letters of all connectors from the data
directory of the embedded store to a NATS cluster. The bridge of that directory
must not run meanwhile; bridges on NATS may. Where Braze gets no answer in that
time it keeps its events and sends them later.

An event is taken out of the directory once it is stored on NATS, so nothing is
lost however this ends. Run it again to go on: what the end left in both places,
at most some 2000 events, is known by its event id and stored once; only events
without an id can come twice.

History, the totals and an order to replay stay in the directory, where moved
events count as filtered and moved dead letters as purged. To replay history
later, start a bridge with that directory and other addresses.

How NATS is reached comes from --to, the flags, the environment and the file of
bridge serve. It exits 0 when nothing is left in the directory, 3 when something
had to stay (an event that is larger than NATS takes, a record that cannot be
read), and 1 on an error.`,
		Example: `  bridge migrate --from /var/lib/bridge --to nats://n1:4222,n2:4222,n3:4222
  bridge migrate --from /var/lib/bridge --config bridge.yaml     # to the queue of the file`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := runMigrate(cmd)
			return errors.Join(printMigration(cmd, report, err == nil), err)
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().String("from", "", "`DIRECTORY` that keeps the events now")
	cmd.Flags().String("to", "", "servers on NATS to move them to: nats://HOST:PORT[,HOST:PORT] (default the configuration's `queue`)")
	cmd.Flags().Bool("json", false, "print the report as JSON")
	cmd.Flags().String("config", "", "YAML file of the bridge to read `FILE`")
	for _, f := range storeFlags() {
		cmd.Flags().String(f.name, f.value, f.usage)
	}
	return cmd
}

// storeFlags are the flags of bridge serve that a store on NATS needs.
func storeFlags() []configFlag {
	var out []configFlag
	for _, f := range configFlags() {
		if strings.HasPrefix(f.name, "queue-") || strings.HasPrefix(f.name, "retain-") || strings.HasPrefix(f.name, "log-") {
			out = append(out, f)
		}
	}
	return out
}

// migration reads where to move from and to.
func migration(fs *pflag.FlagSet) (dir string, cfg bridge.Config, err error) {
	src, err := source(fs)
	if err != nil {
		return "", cfg, err
	}
	dir = src.Flags["from"]
	to := src.Flags["to"]
	for _, own := range []string{"from", "to", "json"} {
		delete(src.Flags, own)
	}
	if dir == "" {
		return "", cfg, errors.New("--from is missing; it is the data directory of the bridge until now, such as /var/lib/bridge")
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return "", cfg, fmt.Errorf("--from: there is no directory %s", dir)
	}
	if to != "" {
		src.Flags["queue"] = to
	}
	if cfg, err = bridge.LoadStore(src); err != nil {
		return "", cfg, err
	}
	if !cfg.Queue.OnNATS() {
		return "", cfg, errors.New("there is nowhere to move to: say --to nats://HOST:PORT, or name a configuration whose queue is on NATS with --config")
	}
	return dir, cfg, nil
}

func runMigrate(cmd *cobra.Command) (report migrate.Report, err error) {
	ctx := cmd.Context()
	dir, cfg, err := migration(cmd.Flags())
	if err != nil {
		return report, err
	}
	log := newLog(cfg.Log, cmd.ErrOrStderr())
	from, err := pebble.Open(dir, pebble.Options{
		Logger: log, RetainAge: cfg.Retain.Age, RetainBytes: cfg.Retain.Size,
	})
	if err != nil {
		return report, fmt.Errorf("--from %s: %w", dir, err)
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := bridge.OpenStore(ctx, cfg, log)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, to.Close()) }()

	opts := migrate.Options{Window: windows(cfg)}
	total, err := migrate.Waiting(ctx, from, opts)
	if err != nil {
		return report, err
	}
	meter := progress.Start(cmd.ErrOrStderr(), "moved", func(n int64) string { return fmt.Sprintf("%d events", n) }, int64(total))
	defer meter.Stop()
	opts.Moved = func(n int) { meter.Add(int64(n)) }
	report, err = migrate.Run(ctx, from, to, opts)
	if err != nil {
		err = fmt.Errorf("%w\nnothing is lost; run the same command again to go on", err)
	}
	return report, err
}

// windows says how many event ids each connector remembers.
func windows(cfg bridge.Config) func(string) int {
	return func(name string) int {
		for _, c := range cfg.Connectors {
			if c.Name == name {
				return c.DedupeWindow
			}
		}
		return queue.DefaultWindow
	}
}

// printMigration prints what was moved, and turns what is left into an exit code.
func printMigration(cmd *cobra.Command, report migrate.Report, done bool) error {
	out := cmd.OutOrStdout()
	if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
		if err := printJSON(out, report); err != nil {
			return err
		}
	} else {
		printConnectors(out, report)
		if done && report.Left() == 0 {
			fmt.Fprintln(out, "all is moved; start the bridges with the new queue, and keep the directory for as long as its history may be replayed")
		}
	}
	if done && report.Left() > 0 {
		return exitCode(exitLeft)
	}
	return nil
}

func printConnectors(to io.Writer, report migrate.Report) {
	for _, c := range report.Connectors {
		fmt.Fprintf(to, "connector %s: moved %d pending events and %d dead letters, %d of them known there already\n", c.Name, c.Pending, c.Dead, c.Repeats)
		fmt.Fprintf(to, "  in the directory now: pending %d, dead %d; on NATS: received %d, pending %d, dead %d\n",
			c.Source.Pending(), c.Source.Dead, c.Destination.Received, c.Destination.Pending(), c.Destination.Dead)
		if c.WithoutID > 0 {
			fmt.Fprintf(to, "  %d have no id by which a repeat would be known\n", c.WithoutID)
		}
		if c.TooLarge > 0 {
			fmt.Fprintf(to, "  %d stay, because they are larger than NATS takes: raise max_payload of the servers and run this again\n", c.TooLarge)
		}
		if c.Unreadable > 0 {
			fmt.Fprintf(to, "  %d stay, because they cannot be read: bridge repair sets them aside\n", c.Unreadable)
		}
		if c.Replaying {
			fmt.Fprintln(to, "  a replay of history is under way in the directory and stays there")
		}
	}
}
