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
	cmd := connectorClient("replay --since 2h | --from T --to T", "Deliver events of history again", cobra.NoArgs)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
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
	fs := cmd.Flags()
	fs.String("since", "", "received since this `TIME`: RFC 3339, or how long ago, such as 2h")
	fs.String("from", "", "the same")
	fs.String("to", "", "received before this `TIME` (default now)")
	fs.StringArray("type", nil, "only events of this type, or of a `PATTERN` such as 'users.messages.email.*'; may be repeated")
	fs.Float64("rate", 0, "`EVENTS` a second at most; 0: as fast as the destination takes them")
	fs.Bool("wait", false, "show progress until the replay has ended")
	cmd.AddCommand(
		asking(connectorClient("status", "Show how far the newest replay of each connector has come", cobra.NoArgs),
			"GET /api/replay", printReplays),
		asking(connectorClient("end", "End replays before they are through", cobra.NoArgs), "POST /api/replay/end", printReplays))
	return cmd
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
