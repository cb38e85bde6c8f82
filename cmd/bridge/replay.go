package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/bridge/admin"
)

func newReplay() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay --since 2h | --from T --to T",
		Short: "Deliver events of history again",
		Long: `Deliver events again that were delivered before and are still retained: those
that were received in a span of time, of all types or of some. They go beside the
new ones, within the destination's limits, and count as replayed and nowhere
else. An event keeps its messageId, so RudderStack may take it for a repeat.

The order is stored: it outlives a restart and a crash of the bridge. There is
one at a time for each connector. It exits 0 when the order is stored, or with
--wait when the replay has ended, and 1 on an error.`,
		Example: `  bridge replay --since 2h --connector brand-a --wait
  bridge replay --from 2026-01-02T10:00:00Z --to 2026-01-02T11:00:00Z --type 'users.messages.email.*' --rate 500
  bridge replay status
  bridge replay end --connector brand-a`,
		RunE: orderReplay,
	}
	connectorClient(cmd)
	fs := cmd.Flags()
	fs.String("since", "", "received since this `TIME`: RFC 3339, or how long ago, such as 2h")
	fs.String("from", "", "the same")
	fs.String("to", "", "received before this `TIME` (default now)")
	fs.StringArray("type", nil, "only events of this type, or of a `PATTERN` such as 'users.messages.email.*'; may be repeated")
	fs.Float64("rate", 0, "`EVENTS` a second at most; 0: as fast as the destination takes them")
	fs.Bool("wait", false, "show progress until the replay has ended")
	cmd.AddCommand(asking(connectorClient(&cobra.Command{
		Use:   "status",
		Short: "Show how far the newest replay of each connector has come",
		Example: `  bridge replay status
  bridge replay status --connector brand-a --json`,
	}), "GET /api/replay", printReplays))
	cmd.AddCommand(asking(connectorClient(&cobra.Command{
		Use:   "end",
		Short: "End replays before they are through",
		Example: `  bridge replay end
  bridge replay end --connector brand-a`,
	}), "POST /api/replay/end", printReplays))
	return cmd
}

func orderReplay(cmd *cobra.Command, _ []string) error {
	form := given(cmd)
	form.Del("wait")
	var ordered admin.Replays
	if err := ask(cmd, "POST /api/replay", form, &ordered); err != nil {
		return err
	}
	if wait, _ := cmd.Flags().GetBool("wait"); wait {
		return followReplays(cmd, ordered, url.Values{"connector": form["connector"]})
	}
	return printed(cmd, ordered, printReplays)
}

func printReplays(to io.Writer, replays admin.Replays) {
	if len(replays.Replays) == 0 {
		fmt.Fprintln(to, "there was no replay yet")
	}
	for _, r := range replays.Replays {
		state := "has ended"
		if r.Active {
			state = "is active"
		}
		fmt.Fprintf(to, "connector %s: replay %d (received %s to %s) %s: %d delivered again, %d refused, %d left out\n",
			r.Connector, r.Number, r.From.UTC().Format(time.RFC3339), r.To.UTC().Format(time.RFC3339), state, r.Replayed, r.Refused, r.Skipped)
	}
}

// followReplays shows the progress of the replays of all connectors, or of one, to
// standard error, until those that were ordered have ended.
func followReplays(cmd *cobra.Command, ordered admin.Replays, connector url.Values) error {
	active := func(r admin.Replay) bool {
		same := func(o admin.Replay) bool { return o.Connector == r.Connector && o.Number == r.Number }
		return r.Active && slices.ContainsFunc(ordered.Replays, same)
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		var now admin.Replays
		if err := ask(cmd, "GET /api/replay", connector, &now); err != nil {
			return leftAlone(cmd, err)
		}
		if !slices.ContainsFunc(now.Replays, active) {
			return printed(cmd, now, printReplays)
		}
		printReplays(cmd.ErrOrStderr(), now)
		select {
		case <-cmd.Context().Done():
			return leftAlone(cmd, cmd.Context().Err())
		case <-ticker.C:
		}
	}
}

func leftAlone(cmd *cobra.Command, err error) error {
	if cmd.Context().Err() == nil {
		return err
	}
	return errors.New("the replay goes on without this command: bridge replay status shows it, bridge replay end ends it")
}
