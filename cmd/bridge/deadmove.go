package main

import (
	"encoding/json"
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
			body, err := call(cmd, http.MethodPost, "/api/dead/"+verb+"?"+query.Encode())
			if err != nil {
				return err
			}
			var moved admin.Moved
			if err := json.Unmarshal(body, &moved); err != nil {
				return fmt.Errorf("the answer is not understood: %w", err)
			}
			if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
				return printJSON(cmd.OutOrStdout(), moved)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "connector %s: %d dead letters %s\n", moved.Connector, moved.Moved, done)
			if moved.Unfit > 0 {
				fmt.Fprintf(cmd.OutOrStdout(), "%d more stay: nobody or no event type is in them, so no replay can help\n", moved.Unfit)
			}
			return nil
		},
	}
	addAdminFlags(cmd)
	addChoiceFlags(cmd)
	cmd.Flags().Bool("all", false, "all of the connector, where nothing else is said")
	return cmd
}

// addChoiceFlags adds what dead letters are chosen by.
func addChoiceFlags(cmd *cobra.Command) {
	cmd.Flags().String("connector", "", "`NAME` of the connector (default the first)")
	cmd.Flags().String("reason", "", "only those with this `REASON`, such as refused")
	cmd.Flags().String("type", "", "only events of this type, or of a `PATTERN` such as 'users.messages.email.*'")
	cmd.Flags().String("since", "", "only those that died since this `TIME`: RFC 3339, or how long ago, such as 2h")
	cmd.Flags().String("until", "", "only those that died before this `TIME`")
}

// chosenBy turns these flags into a query.
func chosenBy(cmd *cobra.Command) (url.Values, error) {
	query := url.Values{}
	for _, name := range []string{"connector", "reason", "type"} {
		if value := flag(cmd, name); value != "" {
			query.Set(name, value)
		}
	}
	for _, name := range []string{"since", "until"} {
		value := flag(cmd, name)
		if value == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, value)
		if err != nil {
			ago, err := time.ParseDuration(value)
			if err != nil || ago < 0 {
				return nil, fmt.Errorf("--%s: %q is neither a time such as 2026-01-02T15:04:05Z nor a duration such as 2h", name, value)
			}
			at = time.Now().Add(-ago)
		}
		query.Set(name, at.UTC().Format(time.RFC3339Nano))
	}
	return query, nil
}

func flag(cmd *cobra.Command, name string) string {
	value, _ := cmd.Flags().GetString(name)
	return value
}
