package main

import (
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/bridge/admin"
)

func newDead() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dead",
		Short: "Look into the dead letters of a running bridge, replay or purge them",
		Long: `Look into the dead letters of a running bridge: events that cannot be delivered,
because nobody is in them or because RudderStack refused them on their own. Each
connector counts its letters for itself, so a number needs --connector where
there are several. Replay what has been mended on RudderStack's side; purge what nobody wants.`,
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
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List dead letters, the oldest first",
		Example: `  bridge dead list
  bridge dead list --connector brand-a --after 100 --limit 50 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			query, err := chosenBy(cmd)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("after") {
				after, _ := cmd.Flags().GetUint64("after")
				query.Set("after", strconv.FormatUint(after, 10))
			}
			if from := flag(cmd, "after-connector"); from != "" {
				query.Set("after_connector", from)
			}
			limit, _ := cmd.Flags().GetInt("limit")
			query.Set("limit", strconv.Itoa(limit))
			var letters admin.Letters
			if err := ask(cmd, "/api/dead", query, &letters); err != nil {
				return err
			}
			if wantsJSON(cmd) {
				return printJSON(cmd.OutOrStdout(), letters)
			}
			return printLetters(cmd.OutOrStdout(), letters)
		},
	}
	addAdminFlags(cmd)
	addChoiceFlags(cmd)
	cmd.Flags().Uint64("after", 0, "`NUMBER` of the letter to go on after")
	cmd.Flags().String("after-connector", "", "`NAME` of the connector of that letter, to go on with all after it")
	cmd.Flags().Int("limit", 100, "how many to list, 1000 at most")
	return cmd
}

func newDeadShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show NUMBER",
		Short: "Show one dead letter: why it died, RudderStack's words, and the event",
		Example: `  bridge dead show 7
  bridge dead show 7 --connector brand-a --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := strconv.ParseUint(args[0], 10, 64)
			if err != nil || number == 0 {
				return fmt.Errorf("%q is not the number of a dead letter", args[0])
			}
			var letter admin.Letter
			if err := ask(cmd, "/api/dead/"+strconv.FormatUint(number, 10), named(cmd), &letter); err != nil {
				return err
			}
			if wantsJSON(cmd) {
				return printJSON(cmd.OutOrStdout(), letter)
			}
			printLetter(cmd.OutOrStdout(), letter)
			return nil
		},
	}
	addAdminFlags(cmd)
	addConnectorFlag(cmd)
	return cmd
}

// printLetters shows nothing of the events, which hold personal data; show does.
func printLetters(to io.Writer, letters admin.Letters) error {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "connector\tnumber\tdied at\ttype\tid\treason\tstatus")
	for _, l := range letters.Dead {
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%s\t%s\t%s\n", l.Connector, l.Number, l.DiedAt.Format(time.RFC3339),
			printable(l.EventType), printable(l.EventID), printable(l.Reason), statusOf(l))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	switch {
	case letters.NextConnector != "":
		fmt.Fprintf(to, "… go on with --after %d --after-connector %s\n", letters.Next, letters.NextConnector)
	case letters.Next != 0:
		fmt.Fprintf(to, "… go on with --after %d\n", letters.Next)
	}
	return nil
}

func statusOf(l admin.Letter) string {
	if l.Status == 0 {
		return "-"
	}
	return strconv.Itoa(l.Status)
}

func printLetter(to io.Writer, l admin.Letter) {
	fmt.Fprintf(to, "connector:   %s\nnumber:      %d\nreceived at: %s\ndied at:     %s\nreason:      %s\n",
		l.Connector, l.Number, l.ReceivedAt.Format(time.RFC3339), l.DiedAt.Format(time.RFC3339), printable(l.Reason))
	if l.Status != 0 {
		fmt.Fprintf(to, "answer:      %d %s\nattempts:    %d\n", l.Status, printable(l.Answer), l.Attempts)
	}
	fmt.Fprintf(to, "%s\n", printable(string(l.Event)))
}
