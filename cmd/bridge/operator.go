package main

import (
	"cmp"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/bridge/admin"
	"github.com/currentsbridge/currentsbridge/internal/progress"
)

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

func newResume() *cobra.Command {
	return asking(connectorClient("resume", "Try a destination again at once that is paused or backing off", cobra.NoArgs),
		"POST /api/resume", func(to io.Writer, resumed admin.Resumed) {
			for _, name := range resumed.Resumed {
				fmt.Fprintf(to, "connector %s: the destination is tried again\n", name)
			}
		})
}

func newForget() *cobra.Command {
	cmd := connectorClient("forget --user EXTERNAL_ID", "Remove a person's events from history and dead letters", cobra.NoArgs)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		begin := time.Now()
		live := progress.Show(cmd.ErrOrStderr(), func(now time.Time) string {
			return fmt.Sprintf("the bridge is reading its disk, for %s now", now.Sub(begin).Round(time.Second))
		})
		var forgotten admin.Forgotten
		err := ask(cmd, "POST /api/forget", given(cmd), &forgotten)
		live.Stop()
		if err == nil {
			err = printed(cmd, forgotten, printForgotten)
		}
		if err == nil && forgotten.Pending+forgotten.Unreadable > 0 {
			err = exitCode(3)
		}
		return err
	}
	cmd.Flags().String("user", "", "`EXTERNAL_ID` of the person")
	return cmd
}

func printForgotten(to io.Writer, f admin.Forgotten) {
	for _, c := range f.Connectors {
		fmt.Fprintf(to, "connector %s: %d events of history and %d dead letters are removed\n", c.Connector, c.History, c.Dead)
		if c.Pending > 0 {
			fmt.Fprintf(to, "connector %s: %d events wait for delivery and are left; call this again once they are delivered\n", c.Connector, c.Pending)
		}
		if c.Unreadable > 0 {
			fmt.Fprintf(to, "connector %s: %s of the disk could not be searched, because of damage, and may hold more\n", c.Connector, progress.Count("places")(int64(c.Unreadable)))
		}
	}
	if f.Unreadable > 0 {
		fmt.Fprintln(to, "with SQLite, restart the bridge, which rebuilds queue.db without what cannot be read, and delete queue.db.*.damaged beside it, which hold what was in it; replay or purge the dead letters with the reason damaged; then call this again")
	}
}

func printDrift(to io.Writer, d admin.Drift) {
	if len(d.Drift) == 0 {
		fmt.Fprintln(to, "nothing that the glossary does not have")
		return
	}
	fmt.Fprintln(to, "event type\tfield\tevents\tfirst seen\tlast seen")
	for _, item := range d.Drift {
		fmt.Fprintf(to, "%s\t%s\t%d\t%s\t%s\n", item.EventType, cmp.Or(item.Field, "(the type itself)"), item.Count,
			item.FirstSeen.Format(time.RFC3339), item.LastSeen.Format(time.RFC3339))
	}
}
