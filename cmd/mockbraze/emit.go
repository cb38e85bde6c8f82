package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/internal/cli"
	"github.com/currentsbridge/currentsbridge/internal/progress"
	"github.com/currentsbridge/currentsbridge/internal/scenario"
	"github.com/currentsbridge/currentsbridge/internal/storageexport"
	"github.com/currentsbridge/currentsbridge/mockbraze"
	"github.com/currentsbridge/currentsbridge/schemas"
)

type emitFlags struct {
	mockbraze.Emission
	format, scenarioName, drift, glossary, out string
}

func newEmit() *cobra.Command {
	var f emitFlags
	cmd := &cobra.Command{
		Use:   "emit",
		Short: "Print events as NDJSON",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	flags.IntVar(&f.Events, "events", 100, "how many events")
	flags.StringArrayVar(&f.Types, "types", nil, "event types: names or patterns; repeatable (default all current ones)")
	flags.BoolVar(&f.Retired, "retired", false, "make the types that Braze has retired, too")
	flags.StringVar(&f.glossary, "glossary", "", glossaryUsage)
	flags.Uint64Var(&f.Seed, "seed", 1, "what decides every value")
	flags.StringVar(&f.format, "format", "events", `"events", "batches" of at most 100 events of one type, as Braze posts them, or "avro" files as its storage exports`)
	flags.StringVar(&f.out, "out", "", "`DIR` for the files of --format avro")
	flags.StringVar(&f.scenarioName, "scenario", "", "tell stories: steady, flash-sale, newsletter, quiet, or a YAML file")
	flags.StringVar(&f.drift, "drift", "0%", "share of events with a field or a type that is new, such as 1%")
	flags.Uint64Var(&f.Users, "users", 0, "how many people there are, instead of the scenario's number")
	return cmd
}

func (f *emitFlags) run(cmd *cobra.Command) (err error) {
	switch f.format {
	case "events":
	case "batches":
		f.Batches = true
	case "avro":
		if f.out == "" || f.drift != "0%" {
			return errors.New("--format avro: it needs --out DIR, and has no --drift")
		}
	default:
		return fmt.Errorf("--format %q: it is events, batches or avro", f.format)
	}
	if f.out != "" && f.format != "avro" {
		return errors.New("--out: it goes with --format avro; others are printed")
	}
	if f.Glossary, err = schemas.LoadFile(f.glossary); err != nil {
		return fmt.Errorf("--glossary: %w", err)
	}
	if f.Drift, err = scenario.ParseShare(f.drift); err != nil {
		return fmt.Errorf("--drift: %w", err)
	}
	if f.scenarioName != "" {
		if f.Scenario, err = scenario.Load(f.scenarioName); err != nil {
			return fmt.Errorf("--scenario: %w", err)
		}
		if f.format == "avro" {
			f.Scenario.Rough.Drift = 0 // a schema made of the glossary has nothing that is new
		}
	}
	if f.Users > scenario.MaxUsers {
		return fmt.Errorf("--users %d: at most %d", f.Users, scenario.MaxUsers)
	}
	meter := progress.Start(cmd.ErrOrStderr(), "emit", progress.Count("events"), int64(f.Events))
	defer meter.Stop()
	if f.Events >= 100_000 {
		meter.KeepLast()
	}
	f.Progress = func(more int) { meter.Add(int64(more)) }
	if f.format == "avro" {
		export := storageexport.NewWriter(f.out, f.Glossary)
		return errors.Join(mockbraze.Emit(cmd.Context(), export, f.Emission), export.Close())
	}
	return mockbraze.Emit(cmd.Context(), cmd.OutOrStdout(), f.Emission)
}

func newScenario() *cobra.Command {
	list := &cobra.Command{
		Use:   "list",
		Short: "List the scenarios that are built in",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, name := range scenario.Names() {
				s, err := scenario.Builtin(name)
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%-12s%s\n", name, s.About)
			}
			return nil
		},
	}
	show := &cobra.Command{
		Use:   "show NAME|FILE",
		Short: "Print a scenario with everything that can be set, as YAML",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := scenario.Load(args[0])
			if err != nil {
				return err
			}
			text, err := s.YAML()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
	return cli.Group("scenario", "List the scenarios, or print one to start from", list, show)
}
