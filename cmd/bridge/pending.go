package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/bridge/admin"
	"github.com/currentsbridge/currentsbridge/internal/cli"
	"github.com/currentsbridge/currentsbridge/internal/progress"
)

func newPending() *cobra.Command {
	return cli.Group("pending", "Show what waits for delivery in a running bridge and why, and set suspects aside",
		asking(connectorClient("list", "List connectors with what is pending, and the suspected events", cobra.NoArgs),
			"GET /api/pending", printPending),
		asking(connectorClient("show RECORD INDEX", "Show one pending event, and why it waits where it is suspected", cobra.ExactArgs(2)),
			"GET /api/pending/*/*", printPendingEvent),
		asking(connectorClient("dead-letter RECORD INDEX", "Move a suspected event to the dead letters by hand", cobra.ExactArgs(2)),
			"POST /api/pending/dead-letter", func(to io.Writer, _ admin.Moved) {
				fmt.Fprintln(to, "1 event moved to the dead letters, with the reason set_aside")
			}, "record", "index"))
}

func printPending(to io.Writer, pending admin.PendingList) {
	for _, c := range pending.Connectors {
		fmt.Fprintf(to, "%s: %d pending, the oldest for %s; destination %s", c.Connector, c.Pending,
			time.Duration(c.OldestPendingSeconds*float64(time.Second)).Round(time.Second), c.Destination.State)
		if c.Destination.LastError != "" {
			fmt.Fprintf(to, ": %s", printable(c.Destination.LastError))
		}
		fmt.Fprintf(to, "; %d suspected\n", c.Parked)
		if len(c.Suspects) == 0 {
			continue
		}
		fmt.Fprintln(to, "  record\tindex\ttype\tid\twith\tfailures\tsince\tlast answer\tnext try")
		for _, s := range c.Suspects {
			fmt.Fprintf(to, "  %d\t%d\t%s\t%s\t%d\t%d\t%s\t%d %s\t%s\n", s.Seq, s.Index, printable(s.EventType), printable(s.ID), s.With, s.Failures,
				moment(s.FirstFailure, time.RFC3339), s.Status, printable(short(s.LastAnswer)), moment(s.NextTry, time.TimeOnly))
		}
		if c.Parked > len(c.Suspects) {
			fmt.Fprintf(to, "  … and %d more\n", c.Parked-len(c.Suspects))
		}
	}
}

func printPendingEvent(to io.Writer, e admin.PendingEvent) {
	fmt.Fprintf(to, "connector:     %s\nrecord, index: %d, %d\n", e.Connector, e.Record, e.Index)
	if s := e.Suspect; s != nil {
		fmt.Fprintf(to, "failed:        %d times, tried with %d events\nfirst failure: %s\nlast answer:   %d %s\nnext try:      %s\n",
			s.Failures, s.With, moment(s.FirstFailure, time.RFC3339), s.Status, printable(s.LastAnswer), moment(s.NextTry, time.RFC3339))
	}
	fmt.Fprintf(to, "%s\n", printable(string(e.Event)))
}

// moment is a time for people; nothing where there is none, as of an event that has not
// failed alone yet.
func moment(t time.Time, layout string) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(layout)
}

func short(text string) string {
	const most = 80
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}

func newBackup() *cobra.Command {
	cmd := client("backup FILE", "Copy the store of a running bridge into a new file", cobra.ExactArgs(1))
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		file := args[0]
		out, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer func() {
			if err = errors.Join(err, out.Close()); err != nil {
				os.Remove(file)
			}
		}()
		api, err := apiOf(cmd)
		if err != nil {
			return err
		}
		resp, err := api.Open(cmd.Context(), http.MethodGet, "/api/backup", nil)
		if err != nil {
			return explained(api, err)
		}
		defer resp.Body.Close()
		n, err := io.Copy(out, resp.Body)
		if err != nil {
			return fmt.Errorf("read the bridge's answer: %w", err)
		}
		if err := out.Sync(); err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", file, progress.Bytes(n))
		return nil
	}
	return cmd
}
