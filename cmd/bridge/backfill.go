package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/bridge"
	"github.com/currentsbridge/currentsbridge/bridge/backfill"
	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// exitSkipped is for a command that skipped what is broken.
const exitSkipped = 2

func newBackfill() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backfill --connector NAME FILE|DIR|-...",
		Short: "Bring Braze's storage exports of Currents in",
		Long: `Bring events out of Braze's storage exports (Avro, or JSON of the same flat
records, a line each, also in gzip) into a connector's queue, from where they go
to RudderStack like any others: through the same filters, the same mapping and
the same rules for personal data. They are delivered where no other events are
pending. Of a directory *.avro, *.json, *.jsonl, *.ndjson and these with .gz are
read. The event type is that of event_type=… in the path, or the name of the Avro
schema, or --as-type.

The bridge runs and is found with --admin; or it does not run, and --config names
the configuration whose store is written to.

An event that came before, streamed or backfilled, is a duplicate while its id is
in the window (dedupe_window); later it has the same messageId, so that
RudderStack can drop it. How far the backfill is stands in the progress file:
after Ctrl-C, a kill or a lost connection the same command goes on where it was.
Remove the file to start from the beginning.

Exit codes: 0 all is stored; 2 all is stored but for broken files and records,
which are named on standard error; 1 it did not come to its end, run it again.`,
		Example: `  mockbraze emit --events 1000 --format avro --out export    # to try it out
  bridge backfill --connector default export
  bridge backfill --connector brand-a --from 2026-01-01 --to 2026-02-01 --type 'users.messages.*' --rate 2000 s3-copy/
  bridge backfill --connector brand-a --config bridge.yaml --as-type users.messages.email.Open opens.ndjson.gz`,
		Args: cobra.MinimumNArgs(1),
		RunE: runBackfill,
	}
	client(cmd)
	fs := cmd.Flags()
	fs.String("connector", "", "`NAME` of the connector whose events these are")
	fs.String("from", "", "only events since this `TIME`: 2026-01-02T15:04:05Z, or 2026-01-02 for its begin in UTC")
	fs.String("to", "", "only events before this `TIME`")
	fs.String("type", "", "only events of this type, or of a `PATTERN` such as 'users.messages.email.*'")
	fs.Float64("rate", 0, "`EVENTS` a second at most; 0: as fast as the bridge takes them")
	fs.String("as-type", "", "event `TYPE` of files that do not say theirs")
	fs.String("progress", "", "`FILE` that says how far it is (default backfill-NAME.progress)")
	fs.String("glossary", "", "a newer glossary of Braze's event types, a `FILE`")
	fs.String("config", "", "write to the store of this configuration, a `FILE`, whose bridge does not run")
	return cmd
}

func runBackfill(cmd *cobra.Command, files []string) error {
	cfg, err := backfillOf(cmd, files)
	if err != nil {
		return err
	}
	closeStore, err := storeOf(cmd, &cfg)
	if err != nil {
		return err
	}
	summary, err := backfill.Run(cmd.Context(), cfg)
	err = errors.Join(err, closeStore())
	if cmd.Context().Err() != nil {
		err = errors.New("interrupted; the same command goes on where it was")
	}
	if err != nil {
		return fmt.Errorf("after %d events that are stored: %w", summary.Sum.Accepted+summary.Sum.Duplicates, err)
	}
	err = printed(cmd, summary, func(to io.Writer, summary backfill.Summary) { summary.Print(to) })
	if err == nil && !summary.Whole() {
		return exitCode(exitSkipped)
	}
	return err
}

// backfillOf reads the flags.
func backfillOf(cmd *cobra.Command, files []string) (cfg backfill.Config, err error) {
	cfg = backfill.Config{
		Connector: flag(cmd, "connector"), Files: files, Stdin: cmd.InOrStdin(), Stderr: cmd.ErrOrStderr(),
		Progress: flag(cmd, "progress"), Type: flag(cmd, "type"), AsType: flag(cmd, "as-type"),
	}
	if cfg.Connector == "" {
		return cfg, errors.New("say whose events these are: --connector NAME")
	}
	if cfg.Progress == "" {
		cfg.Progress = "backfill-" + strings.ReplaceAll(cfg.Connector, "/", "-") + ".progress"
	}
	if cfg.Rate, err = cmd.Flags().GetFloat64("rate"); err != nil || !(cfg.Rate >= 0) {
		return cfg, errors.New("--rate must be a number of events a second, 0 for no bound")
	}
	if cfg.From, err = instant(cmd, "from"); err == nil {
		cfg.To, err = instant(cmd, "to")
	}
	if err == nil {
		cfg.Glossary, err = schemas.LoadFile(flag(cmd, "glossary"))
	}
	return cfg, err
}

// instant reads a flag's time; zero where it is not given. How long ago would be
// another time in the next run.
func instant(cmd *cobra.Command, name string) (time.Time, error) {
	text := flag(cmd, name)
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("--%s: %q is no time such as 2026-01-02T15:04:05Z or 2026-01-02", name, text)
}

// storeOf opens what the events go to.
func storeOf(cmd *cobra.Command, into *backfill.Config) (closeStore func() error, err error) {
	path := flag(cmd, "config")
	if path == "" {
		api, err := apiOf(cmd)
		into.Store = backfill.Bridge(api, into.Connector)
		return func() error { return nil }, err
	}
	cfg, err := config.Load(cmd.Context(), config.Source{File: path, Env: os.LookupEnv})
	if err != nil {
		return nil, err
	}
	into.Store, closeStore, err = bridge.OpenForBackfill(context.WithoutCancel(cmd.Context()), cfg, into.Connector, slog.New(slog.DiscardHandler))
	return closeStore, err
}
