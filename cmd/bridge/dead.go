package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
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
because nobody is in them or because RudderStack refused them on their own.
Replay what has been mended on RudderStack's side; purge what nobody wants.`,
		Example: `  bridge dead list
  bridge dead show 7
  bridge dead replay --reason refused --since 2h
  bridge dead purge 7 8 9`,
	}
	cmd.AddCommand(newDeadList(), newDeadShow(),
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
			after, _ := cmd.Flags().GetUint64("after")
			limit, _ := cmd.Flags().GetInt("limit")
			letters, err := askLetters(cmd, query, after, limit)
			if err != nil {
				return err
			}
			if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
				return printJSON(cmd.OutOrStdout(), letters)
			}
			return printLetters(cmd.OutOrStdout(), letters)
		},
	}
	addAdminFlags(cmd)
	addChoiceFlags(cmd)
	cmd.Flags().Uint64("after", 0, "`NUMBER` of the letter to go on after")
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
			query := url.Values{"connector": {flag(cmd, "connector")}}
			letters, err := askLetters(cmd, query, number-1, 1)
			if err != nil {
				return err
			}
			if len(letters.Dead) == 0 || letters.Dead[0].Number != number {
				return fmt.Errorf("connector %s has no dead letter %d", letters.Connector, number)
			}
			if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
				return printJSON(cmd.OutOrStdout(), letters.Dead[0])
			}
			printLetter(cmd.OutOrStdout(), letters.Dead[0])
			return nil
		},
	}
	addAdminFlags(cmd)
	cmd.Flags().String("connector", "", "`NAME` of the connector (default the first)")
	return cmd
}

func askLetters(cmd *cobra.Command, query url.Values, after uint64, limit int) (admin.Letters, error) {
	query.Set("after", strconv.FormatUint(after, 10))
	query.Set("limit", strconv.Itoa(limit))
	body, err := ask(cmd, "/api/dead?"+query.Encode())
	if err != nil {
		return admin.Letters{}, err
	}
	var letters admin.Letters
	if err := json.Unmarshal(body, &letters); err != nil {
		return admin.Letters{}, fmt.Errorf("the answer is no list of dead letters: %w", err)
	}
	return letters, nil
}

func printJSON(to io.Writer, value any) error {
	encoder := json.NewEncoder(to)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// shownEvent is how much of an event a line of the list has.
const shownEvent = 80

func printLetters(to io.Writer, letters admin.Letters) error {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "number\tdied at\treason\tstatus\tevent")
	for _, l := range letters.Dead {
		event := []rune(string(l.Event))
		if len(event) > shownEvent {
			event = append(event[:shownEvent:shownEvent], '…')
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\n", l.Number, l.DiedAt.Format(time.RFC3339), l.Reason, statusOf(l), string(event))
	}
	if letters.Next != 0 {
		fmt.Fprintf(table, "… go on with --after %d\n", letters.Next)
	}
	return table.Flush()
}

func statusOf(l admin.Letter) string {
	if l.Status == 0 {
		return "-"
	}
	return strconv.Itoa(l.Status)
}

func printLetter(to io.Writer, l admin.Letter) {
	fmt.Fprintf(to, "number:      %d\nreceived at: %s\ndied at:     %s\nreason:      %s\n",
		l.Number, l.ReceivedAt.Format(time.RFC3339), l.DiedAt.Format(time.RFC3339), l.Reason)
	if l.Status != 0 {
		fmt.Fprintf(to, "answer:      %d %s\nattempts:    %d\n", l.Status, l.Answer, l.Attempts)
	}
	fmt.Fprintf(to, "%s\n", l.Event)
}
