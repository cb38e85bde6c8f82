package main

import (
	"cmp"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/bridge/admin"
	"github.com/currentsbridge/currentsbridge/internal/progress"
)

func newResume() *cobra.Command {
	return asking(connectorClient(&cobra.Command{
		Use:   "resume",
		Short: "Try a destination again at once that is paused or backing off",
		Long: `Try a destination again at once that is paused or backing off, for example after
its write key was set right in RudderStack. Without this the bridge tries by
itself, at least every 30 seconds. It exits 0 when the request was sent; bridge
status shows the result.`,
		Example: `  bridge resume
  bridge resume --connector brand-a`,
	}), "POST /api/resume", func(to io.Writer, resumed admin.Resumed) {
		for _, name := range resumed.Resumed {
			fmt.Fprintf(to, "connector %s: the destination is tried again\n", name)
		}
	})
}

func newForget() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "forget --user EXTERNAL_ID",
		Short: "Remove a person's events from history and dead letters",
		Long: `Remove the events of a person from the history and the dead letters of the
bridge: those whose external_user_id is exactly this one. Everything on disk is
read, so it may take minutes. Events that wait for delivery stay, and what
RudderStack has is RudderStack's to remove.

It exits 0 when nothing of the person is left, 3 when some events wait for
delivery and were left (call it again later), and 1 on an error.`,
		Example: `  bridge forget --user customer-4711
  bridge forget --user customer-4711 --connector brand-a --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
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
			if err == nil && forgotten.Pending > 0 {
				err = exitCode(exitLeft)
			}
			return err
		},
	}
	connectorClient(cmd)
	cmd.Flags().String("user", "", "`EXTERNAL_ID` of the person")
	return cmd
}

func printForgotten(to io.Writer, f admin.Forgotten) {
	for _, c := range f.Connectors {
		fmt.Fprintf(to, "connector %s: %d events of history and %d dead letters are removed\n", c.Connector, c.History, c.Dead)
		if c.Pending > 0 {
			fmt.Fprintf(to, "connector %s: %d events wait for delivery and are left; call this again once they are delivered\n", c.Connector, c.Pending)
		}
	}
}

func newDrift() *cobra.Command {
	return asking(client(&cobra.Command{
		Use:   "drift",
		Short: "List what Braze sent that the glossary of event types does not have",
		Long: `List event types and fields that Braze sent since the bridge was started, or took a
newer glossary, and that the glossary of event types does not have. They are delivered like all others.
It exits 0 whether there are any or not.`,
		Example: `  bridge drift
  bridge drift --json`,
	}), "GET /api/drift", printDrift)
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
