package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/mockbraze"
)

func newEmit() *cobra.Command {
	var e mockbraze.Emission
	var format string
	cmd := &cobra.Command{
		Use:   "emit",
		Short: "Print events as NDJSON",
		Long: `Print events as NDJSON on standard output, one a line, or one batch a line.

It goes round the event types evenly. Ten events of a type show every field
that Braze documents for it. One seed prints the same bytes every time.`,
		Example: `  mockbraze emit --events 960 --seed 1
  mockbraze emit --events 200 --types 'users.messages.email.*' --types users.campaigns.Conversion
  mockbraze emit --events 100 --types users.behaviors.Purchase --format batches |
    curl --data-binary @- -H 'Content-Type: application/json' -H 'Authorization: Bearer TOKEN' http://127.0.0.1:8080/currents`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch format {
			case "events":
			case "batches":
				e.Batches = true
			default:
				return fmt.Errorf("--format %q: it is events or batches", format)
			}
			return mockbraze.Emit(cmd.Context(), cmd.OutOrStdout(), e)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&e.Events, "events", 100, "how many events")
	flags.StringArrayVar(&e.Types, "types", nil, "event types to go round: names or patterns; repeatable (default all)")
	flags.Uint64Var(&e.Seed, "seed", 1, "what decides every value")
	flags.StringVar(&format, "format", "events", `"events", or "batches" of at most 100 events of one type, as Braze posts them`)
	return cmd
}
