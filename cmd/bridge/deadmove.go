package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/bridge/admin"
)

// newDeadMove makes the command that moves dead letters by verb, replay or purge.
// The answer says done, such as replayed.
func newDeadMove(verb, done, short string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   verb + " [NUMBER]…",
		Short: short,
		Long: short + `. Say which: by number, or by
reason, type or time; or --all. It says how many were moved. Stopped half-way, it
has moved some, and none is lost: call it again for the rest.`,
		Example: fmt.Sprintf(`  bridge dead %[1]s 7 8 9
  bridge dead %[1]s --reason refused --type 'users.messages.email.*' --since 2h
  bridge dead %[1]s --all --connector brand-a`, verb),
		RunE: func(cmd *cobra.Command, args []string) error {
			query, err := chosenBy(cmd)
			if err != nil {
				return err
			}
			for _, number := range args {
				if _, err := strconv.ParseUint(number, 10, 64); err != nil {
					return fmt.Errorf("%q is not the number of a dead letter", number)
				}
				query.Add("number", number)
			}
			if all, _ := cmd.Flags().GetBool("all"); all {
				query.Set("all", "true")
			}
			var moved admin.Moved
			if err := call(cmd, http.MethodPost, "/api/dead/"+verb, query, 0, &moved); err != nil {
				return err
			}
			if wantsJSON(cmd) {
				return printJSON(cmd.OutOrStdout(), moved)
			}
			for _, c := range moved.Connectors {
				fmt.Fprintf(cmd.OutOrStdout(), "connector %s: %d dead letters %s\n", c.Connector, c.Moved, done)
				if c.Unfit > 0 {
					fmt.Fprintf(cmd.OutOrStdout(), "connector %s: %d more stay: they have no user or no event type, so no replay can help\n", c.Connector, c.Unfit)
				}
			}
			return nil
		},
	}
	addAdminFlags(cmd)
	addChoiceFlags(cmd)
	cmd.Flags().Bool("all", false, "all of them, where nothing else is said")
	return cmd
}

// addChoiceFlags adds what dead letters are chosen by.
func addChoiceFlags(cmd *cobra.Command) {
	addConnectorFlag(cmd)
	cmd.Flags().String("reason", "", "only those with this `REASON`, such as refused")
	cmd.Flags().String("type", "", "only events of this type, or of a `PATTERN` such as 'users.messages.email.*'")
	cmd.Flags().String("since", "", "only those that died since this `TIME`: RFC 3339, or how long ago, such as 2h")
	cmd.Flags().String("until", "", "only those that died before this `TIME`")
}

// chosenBy turns these flags into a query.
func chosenBy(cmd *cobra.Command) (url.Values, error) {
	query := named(cmd)
	for _, name := range []string{"reason", "type"} {
		if value := flag(cmd, name); value != "" {
			query.Set(name, value)
		}
	}
	for _, name := range []string{"since", "until"} {
		value := flag(cmd, name)
		if value == "" {
			continue
		}
		if err := checkMoment(name, value); err != nil {
			return nil, err
		}
		query.Set(name, value)
	}
	return query, nil
}

// checkMoment refuses what is neither a time nor how long ago it was, before
// the bridge does: here it is known which flag is meant.
func checkMoment(name, value string) error {
	if _, err := time.Parse(time.RFC3339, value); err == nil {
		return nil
	}
	if ago, err := time.ParseDuration(value); err != nil || ago < 0 {
		return fmt.Errorf("--%s: %q is neither a time such as 2026-01-02T15:04:05Z nor a duration such as 2h", name, value)
	}
	return nil
}
