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
	return asking(client("status", "Show the ledger of a running bridge, per connector", cobra.NoArgs), "GET /status", printStatus)
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
	return cli.HealthCommand(cli.Health{Env: "BRIDGE", Flag: "admin", Address: config.Default().Admin, Path: "/readyz", Live: "/livez"})
}
