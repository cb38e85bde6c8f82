package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/bridge/admin"
	"github.com/currentsbridge/currentsbridge/internal/progress"
)

func newDead() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dead",
		Short: "Look into the dead letters of a running bridge, replay or purge them",
		Long: `Look into the dead letters of a running bridge: events that cannot be delivered,
because they have no user or because RudderStack refused them on their own. Each
connector counts its letters for itself, so a number needs --connector where
there are several. Replay what has been repaired on RudderStack's side; purge what is
not needed.`,
		Example: `  bridge dead list
  bridge dead summary
  bridge dead show 7
  bridge dead replay --reason refused --since 2h
  bridge dead purge 7 8 9`,
	}
	cmd.AddCommand(newDeadList(), newDeadSummary(), newDeadShow(),
		newDeadMove("replay", "replayed", "Make dead letters pending again, for delivery by the same path"),
		newDeadMove("purge", "purged", "Remove dead letters for good"))
	return cmd
}

func newDeadList() *cobra.Command {
	cmd := asking(choosing(&cobra.Command{
		Use:   "list",
		Short: "List dead letters, the oldest first",
		Example: `  bridge dead list
  bridge dead list --connector brand-a --after 100 --limit 50 --json`,
	}), "GET /api/dead", printLetters)
	cmd.Flags().Uint64("after", 0, "`NUMBER` of the letter to go on after")
	cmd.Flags().String("after-connector", "", "`NAME` of the connector of that letter, to go on with all after it")
	cmd.Flags().Int("limit", 100, "how many to list, 1000 at most")
	return cmd
}

func newDeadSummary() *cobra.Command {
	return asking(choosing(&cobra.Command{
		Use:     "summary",
		Short:   "Count dead letters by reason and event type, the most frequent first",
		Example: "  bridge dead summary\n  bridge dead summary --since 24h --json",
	}), "GET /api/dead/summary", printSummary)
}

func newDeadShow() *cobra.Command {
	return asking(connectorClient(&cobra.Command{
		Use:   "show NUMBER",
		Short: "Show one dead letter: why it died, RudderStack's words, and the event",
		Example: `  bridge dead show 7
  bridge dead show 7 --connector brand-a --json`,
		Args: cobra.ExactArgs(1),
	}), "GET /api/dead/*", printLetter)
}

// newDeadMove makes the command that moves dead letters by verb, replay or purge.
// The answer says done, such as replayed.
func newDeadMove(verb, done, short string) *cobra.Command {
	cmd := asking(choosing(&cobra.Command{
		Use:   verb + " [NUMBER]…",
		Short: short,
		Long: short + `. Say which: by number, or by
reason, type or time; or --all. It says how many were moved. Stopped half-way, it
has moved some, and none is lost: call it again for the rest.`,
		Example: fmt.Sprintf(`  bridge dead %[1]s 7 8 9
  bridge dead %[1]s --reason refused --type 'users.messages.email.*' --since 2h
  bridge dead %[1]s --all --connector brand-a`, verb),
		Args: cobra.ArbitraryArgs,
	}), "POST /api/dead/"+verb, func(to io.Writer, moved admin.Moved) { printMoved(to, moved, done) }, "number")
	cmd.Flags().Bool("all", false, "all of them, where nothing else is said")
	return cmd
}

func choosing(cmd *cobra.Command) *cobra.Command {
	fs := connectorClient(cmd).Flags()
	fs.String("reason", "", "only those with this `REASON`, such as refused")
	fs.String("type", "", "only events of this type, or of a `PATTERN` such as 'users.messages.email.*'")
	fs.String("since", "", "only those that died since this `TIME`: RFC 3339, or how long ago, such as 2h")
	fs.String("until", "", "only those that died before this `TIME`")
	return cmd
}

// printLetters shows nothing of the events, which hold personal data; show does.
func printLetters(to io.Writer, letters admin.Letters) {
	fmt.Fprintln(to, "connector\tnumber\tdied at\ttype\tid\treason\tstatus")
	for _, l := range letters.Dead {
		status := "-"
		if l.Status != 0 {
			status = strconv.Itoa(l.Status)
		}
		fmt.Fprintf(to, "%s\t%d\t%s\t%s\t%s\t%s\t%s\n", l.Connector, l.Number, l.DiedAt.Format(time.RFC3339),
			printable(l.EventType), printable(l.EventID), printable(l.Reason), status)
	}
	if letters.Next != 0 {
		fmt.Fprintf(to, "… go on with --after %d", letters.Next)
		if letters.NextConnector != "" {
			fmt.Fprintf(to, " --after-connector %s", letters.NextConnector)
		}
		fmt.Fprintln(to)
	}
}

func printSummary(to io.Writer, summary admin.Summaries) {
	fmt.Fprintln(to, "connector\tevents\treason\ttype\tnewest\tnumbers")
	for _, g := range summary.Groups {
		fmt.Fprintf(to, "%s\t%d\t%s\t%s\t%s\t%d to %d\n", g.Connector, g.Events, printable(g.Reason), printable(g.EventType),
			g.DiedAt.Format(time.RFC3339), g.First, g.Last)
	}
}

func printLetter(to io.Writer, l admin.Letter) {
	fmt.Fprintf(to, "connector:   %s\nnumber:      %d\nreceived at: %s\ndied at:     %s\nreason:      %s\n",
		l.Connector, l.Number, l.ReceivedAt.Format(time.RFC3339), l.DiedAt.Format(time.RFC3339), printable(l.Reason))
	if l.Status != 0 {
		fmt.Fprintf(to, "answer:      %d %s\nattempts:    %d\n", l.Status, printable(l.Answer), l.Attempts)
	}
	fmt.Fprintf(to, "%s\n", printable(string(l.Event)))
}

func printMoved(to io.Writer, moved admin.Moved, done string) {
	for _, c := range moved.Connectors {
		fmt.Fprintf(to, "connector %s: %s %s\n", c.Connector, progress.Count("dead letters")(int64(c.Moved)), done)
		if c.Unfit > 0 {
			fmt.Fprintf(to, "connector %s: not replayed: %s without a user or an event type, which no replay can help\n", c.Connector, progress.Count("dead letters")(int64(c.Unfit)))
		}
	}
}
