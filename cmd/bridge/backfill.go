package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/bridge"
	"github.com/currentsbridge/currentsbridge/bridge/backfill"
	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/schemas"
)

func newBackfill() *cobra.Command {
	cmd := client("backfill --connector NAME FILE|DIR|-...", "Bring Braze's storage exports of Currents in", cobra.MinimumNArgs(1))
	var cfg backfill.Config
	var glossary, settings string
	formats := []string{time.RFC3339, time.DateOnly} // not how long ago, such as 2h: the next run would take it for another time
	fs := cmd.Flags()
	fs.StringVar(&cfg.Connector, "connector", "", "`NAME` of the connector whose events these are")
	fs.TimeVar(&cfg.From, "from", time.Time{}, formats, "only events since this `TIME`: 2026-01-02T15:04:05Z, or 2026-01-02 for its begin in UTC")
	fs.TimeVar(&cfg.To, "to", time.Time{}, formats, "only events before this `TIME`")
	fs.StringVar(&cfg.Type, "type", "", "only events of this type, or of a `PATTERN` such as 'users.messages.email.*'")
	fs.Float64Var(&cfg.Rate, "rate", 0, "`EVENTS` a second at most; 0: as fast as the bridge takes them")
	fs.StringVar(&cfg.AsType, "as-type", "", "event `TYPE` of files that do not say theirs")
	fs.StringVar(&cfg.Progress, "progress", "", "`FILE` that says how far it is (default backfill-NAME.progress)")
	fs.StringVar(&glossary, "glossary", "", "a newer glossary of Braze's event types, a `FILE`")
	fs.StringVar(&settings, "config", "", "write to the store of this configuration, a `FILE`, whose bridge does not run")
	cmd.RunE = func(cmd *cobra.Command, files []string) (err error) {
		cfg.Files, cfg.Stdin, cfg.Stderr = files, cmd.InOrStdin(), cmd.ErrOrStderr()
		switch {
		case cfg.Connector == "":
			return errors.New("say whose events these are: --connector NAME")
		case !(cfg.Rate >= 0):
			return errors.New("--rate must be a number of events a second, 0 for no bound")
		case cfg.Progress == "":
			cfg.Progress = "backfill-" + strings.ReplaceAll(cfg.Connector, "/", "-") + ".progress"
		}
		if cfg.Glossary, err = schemas.LoadFile(glossary); err != nil {
			return err
		}
		return runBackfill(cmd, cfg, settings)
	}
	return cmd
}

func runBackfill(cmd *cobra.Command, cfg backfill.Config, settings string) error {
	closeStore, err := storeOf(cmd, &cfg, settings)
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
		return exitCode(2) // it skipped what is broken
	}
	return err
}

func storeOf(cmd *cobra.Command, into *backfill.Config, settings string) (closeStore func() error, err error) {
	if settings == "" {
		api, err := apiOf(cmd)
		into.Store = backfill.Bridge(api, into.Connector)
		return func() error { return nil }, err
	}
	cfg, err := config.Load(config.Source{File: settings, Env: os.LookupEnv})
	if err != nil {
		return nil, err
	}
	into.Store, closeStore, err = bridge.OpenForBackfill(context.WithoutCancel(cmd.Context()), cfg, into.Connector)
	return closeStore, err
}
