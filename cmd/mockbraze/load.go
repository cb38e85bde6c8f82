package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/internal/load"
	"github.com/currentsbridge/currentsbridge/internal/progress"
	"github.com/currentsbridge/currentsbridge/internal/reportfile"
	"github.com/currentsbridge/currentsbridge/mockbraze"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// errThreshold ends the program with 99; the report has said why.
var errThreshold = errors.New("")

func exitCode(err error) int {
	if errors.Is(err, errThreshold) {
		return 99
	}
	return 1
}

type loadFlags struct {
	cfg              load.Config
	rate, ramp       string
	caFile, glossary string
	reports          []string
	thresholds       []string
}

func newLoad() *cobra.Command {
	var f loadFlags
	cmd := &cobra.Command{
		Use:   "load",
		Short: "Send events at a rate and report how they were taken",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return runLoad(cmd, &f) },
	}
	flags, c := cmd.Flags(), &f.cfg
	flags.SortFlags = false
	flags.StringVar(&c.URL, "url", "", "`URL` to post to: a bridge's /currents or a webhook with its writeKey")
	flags.StringVar(&f.caFile, "ca-file", "", "`FILE` with certificates in PEM to trust beside the system's")
	flags.StringVar(&f.glossary, "glossary", "", glossaryUsage)
	flags.StringVar(&c.Token, "token", "", "bearer `TOKEN`; better given as MOCKBRAZE_TOKEN")
	flags.StringVar(&f.rate, "rate", "1000", "events a second, such as 2000 or 10k, or max")
	flags.StringVar(&f.ramp, "ramp", "", "a changing rate instead, `FROM:TO:DURATION`, several with commas between them")
	flags.DurationVar(&c.Duration, "duration", 0, "how long, warm-up included (default the length of --ramp, else 1m without --events)")
	flags.Uint64Var(&c.Events, "events", 0, "how many events, warm-up included; 0 is no limit")
	flags.DurationVar(&c.WarmUp, "warm-up", 0, "how long at the start is left out of the figures")
	flags.IntVar(&c.Batch, "batch", mockbraze.MaxBatch, "events a batch, all of one type")
	flags.IntVar(&c.Connections, "connections", load.DefaultConnections, "how many batches are in flight at once")
	flags.DurationVar(&c.Timeout, "timeout", load.DefaultTimeout, "how long an answer may take")
	flags.StringArrayVar(&c.Types, "types", nil, "event types to go round: names or patterns; repeatable (default all current ones)")
	flags.Uint64Var(&c.Seed, "seed", 0, "what decides ids and values; equal seeds send equal ids (default random)")
	flags.StringArrayVar(&f.reports, "report", nil, "write the report to `FILE` too, .json or .html; repeatable")
	flags.StringArrayVar(&f.thresholds, "threshold", nil, "what must hold at the end, `CONDITIONS` such as 'p99<200ms,errors==0'; repeatable")
	flags.StringVar(&c.Verify, "verify", "", "`URL` of the /_mock of the mockrudder where the events must arrive")
	flags.DurationVar(&c.VerifyTimeout, "verify-timeout", load.DefaultVerifyTimeout, "how long after the end is waited for them")
	flags.BoolVar(&c.PublicTarget, "yes-i-own-this-target", false, "allow a target that is neither loopback nor a private address")
	return cmd
}

func runLoad(cmd *cobra.Command, f *loadFlags) error {
	cfg, err := f.config(cmd)
	if err != nil {
		return err
	}
	run, err := load.New(cfg)
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "load: to %s, seed %d\n", run.Target(), run.Seed())
	live := progress.Show(cmd.ErrOrStderr(), func(time.Time) string { return run.Line() })
	report, err := run.Do(cmd.Context())
	live.Stop()
	if err != nil {
		return err
	}
	err = report.WriteText(cmd.OutOrStdout())
	for _, file := range f.reports {
		err = errors.Join(err, report.WriteFile(file))
	}
	if err == nil && !report.Passed() {
		err = errThreshold
	}
	return err
}

// config parses the flags that cobra does not, and names every mistake in them.
func (f *loadFlags) config(cmd *cobra.Command) (load.Config, error) {
	cfg := f.cfg
	var failed error
	mistake := func(flag string, err error) {
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("--%s: %w", flag, err))
		}
	}
	if cfg.URL == "" {
		mistake("url", errors.New("where to? for example http://127.0.0.1:8080/currents"))
	}
	var err error
	if f.ramp == "" {
		cfg.Pace, err = load.ParseRate(f.rate)
		mistake("rate", err)
	} else {
		if cmd.Flags().Changed("rate") {
			mistake("ramp", errors.New("it takes the place of --rate; give one of them"))
		}
		cfg.Pace, err = load.ParseRamp(f.ramp)
		mistake("ramp", err)
	}
	if len(f.thresholds) > 0 {
		cfg.Thresholds, err = load.ParseConditions(strings.Join(f.thresholds, ","))
		mistake("threshold", err)
	}
	if f.caFile != "" {
		cfg.RootCAs, err = readCAs(f.caFile)
		mistake("ca-file", err)
	}
	cfg.Glossary, err = schemas.LoadFile(f.glossary)
	mistake("glossary", err)
	for _, file := range f.reports {
		mistake("report", reportfile.Check(file))
	}
	for _, name := range []string{"duration", "batch", "connections", "timeout"} {
		if flag := cmd.Flags().Lookup(name); flag.Changed && (flag.Value.String() == "0" || flag.Value.String() == "0s") {
			mistake(name, errors.New("it cannot be 0; leave it out for the default"))
		}
	}
	return cfg, failed
}

func readCAs(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, err
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate in PEM", file)
	}
	return pool, nil
}
