package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/bridge/admin"
	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/internal/cli"
)

func newStatus() *cobra.Command {
	return asking(client(&cobra.Command{
		Use:   "status",
		Short: "Show the ledger of a running bridge, per connector",
		Long: `Show the ledger of a running bridge, per connector. All counts are events, over
the lifetime of the store:

  received = duplicates + accepted
  accepted = filtered + delivered + dead + purged + pending`,
		Example: `  bridge status
  bridge status --admin 127.0.0.1:9090 --json`,
	}), "GET /status", printStatus)
}

func printStatus(to io.Writer, s admin.Status) {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "connector\treceived\tduplicates\taccepted\tfiltered\tdelivered\tdead\tpurged\tpending\treplayed\tbackfilled\toldest\tdestination\t")
	for _, c := range s.Connectors {
		oldest := "-"
		if c.Pending > 0 {
			oldest = (time.Duration(c.OldestPendingSeconds*1000) * time.Millisecond).Round(time.Second).String()
		}
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t\n", c.Name, c.Received, c.Duplicates, c.Accepted,
			c.Filtered, c.Delivered, c.Dead, c.Purged, c.Pending, c.Replayed, c.Backfilled, oldest, c.Destination.State)
	}
	table.Flush()
	for _, c := range s.Connectors {
		if c.Destination.LastError != "" {
			fmt.Fprintf(to, "%s: %s\n", c.Name, printable(c.Destination.LastError))
		}
		if c.Parked > 0 {
			fmt.Fprintf(to, "%s: %d events are suspected and parked; bridge pending list says why\n", c.Name, c.Parked)
		}
	}
}

func newHealthcheck() *cobra.Command {
	return cli.HealthCommand(cli.Health{
		Env: "BRIDGE", Flag: "admin", Address: config.Default().Admin,
		Path: "/readyz", Live: "/livez",
		Long: `Ask a running bridge's admin side and exit 0 if it answers 200; otherwise print
a line that says why, and exit 1. /readyz is 200 while batches can be stored:
not while the disk is full, but also while RudderStack is away, because the queue
is there for that. With --live it asks /livez, which answers as long as the
process lives: ask that where whatever is not well is killed. Neither needs the
admin side's token.`,
		Example: `  bridge healthcheck
  bridge healthcheck --live --timeout 1s
  bridge healthcheck --admin 127.0.0.1:9090`,
	})
}
