package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/bridge/admin"
	"github.com/currentsbridge/currentsbridge/internal/cli"
	"github.com/currentsbridge/currentsbridge/internal/progress"
)

func newDead() *cobra.Command {
	return cli.Group("dead", "Look into the dead letters of a running bridge, replay or purge them",
		newDeadList(),
		asking(choosing("summary", "Count dead letters by reason and event type, the most frequent first", cobra.NoArgs),
			"GET /api/dead/summary", printSummary),
		asking(connectorClient("show NUMBER", "Show one dead letter: why it died, RudderStack's words, and the event", cobra.ExactArgs(1)),
			"GET /api/dead/*", printLetter),
		newDeadMove("replay", "replayed", "Make dead letters pending again, for delivery by the same path"),
		newDeadMove("purge", "purged", "Remove dead letters for good"))
}

func newDeadList() *cobra.Command {
	cmd := asking(choosing("list", "List dead letters, the oldest first", cobra.NoArgs), "GET /api/dead", printLetters)
	cmd.Flags().Uint64("after", 0, "`NUMBER` of the letter to go on after")
	cmd.Flags().String("after-connector", "", "`NAME` of the connector of that letter, to go on with all after it")
	cmd.Flags().Int("limit", 100, "how many to list, 1000 at most")
	return cmd
}

// newDeadMove makes the command that moves dead letters by verb, replay or purge.
// The answer says done, such as replayed.
func newDeadMove(verb, done, short string) *cobra.Command {
	cmd := asking(choosing(verb+" [NUMBER]…", short, cobra.ArbitraryArgs), "POST /api/dead/"+verb,
		func(to io.Writer, moved admin.Moved) {
			for _, c := range moved.Connectors {
				fmt.Fprintf(to, "connector %s: %s %s\n", c.Connector, progress.Count("dead letters")(int64(c.Moved)), done)
				if c.Unfit > 0 {
					fmt.Fprintf(to, "connector %s: not replayed: %s without a user or an event type, or damaged, which no replay can help\n",
						c.Connector, progress.Count("dead letters")(int64(c.Unfit)))
				}
				if c.Unreadable > 0 {
					fmt.Fprintf(to, "connector %s: not %s: %s that cannot be read from disk; restart the bridge, which rebuilds the file; then they can be purged\n",
						c.Connector, done, progress.Count("dead letters")(int64(c.Unreadable)))
				}
			}
		}, "number")
	cmd.Flags().Bool("all", false, "all of them, where nothing else is said")
	return cmd
}

func choosing(use, short string, args cobra.PositionalArgs) *cobra.Command {
	cmd := connectorClient(use, short, args)
	fs := cmd.Flags()
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
	} else if l.Answer != "" {
		fmt.Fprintf(to, "answer:      %s\n", printable(l.Answer))
	}
	fmt.Fprintf(to, "%s\n", printable(string(l.Event)))
}
