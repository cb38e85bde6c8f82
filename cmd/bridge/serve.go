package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/bridge"
	"github.com/currentsbridge/currentsbridge/bridge/config"
)

func newServe() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Take events from Braze and deliver them to RudderStack",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// First of all, since the signal would end the process otherwise.
			hangups := make(chan os.Signal, 1)
			signal.Notify(hangups, syscall.SIGHUP)
			// A reader of the log that goes away must not end the bridge: to write to
			// it becomes an error, which the log ignores.
			signal.Ignore(syscall.SIGPIPE)
			cfg, err := load(cmd.Flags())
			if err != nil {
				return err
			}
			log := newLog(cfg.Log, cmd.ErrOrStderr())
			ready := make(chan struct{})
			b, err := bridge.New(cfg, bridge.Options{
				Log: log,
				Ready: func(a bridge.Addresses) {
					close(ready)
					fmt.Fprintf(cmd.OutOrStdout(), "ready: listen=%s admin=%s page=%[2]s/\n", a.Intake, a.Admin)
				},
			})
			if err != nil {
				return err
			}
			go reload(cmd, b, hangups, ready, log)
			return b.Run(cmd.Context())
		},
	}
	addConfigFlags(cmd.Flags())
	return cmd
}

// reload reloads the configuration of a bridge at each SIGHUP, until the command ends.
// A SIGHUP before the bridge is ready is handled once it is, as the configuration may
// be newer than what it started with; hangups has a buffer of one for that. A SIGHUP
// during shutdown is ignored. Shutdown does not wait for a reload: one that still reads
// its configuration then changes nothing.
func reload(cmd *cobra.Command, b *bridge.Bridge, hangups <-chan os.Signal, ready <-chan struct{}, log *slog.Logger) {
	ctx := cmd.Context()
	select {
	case <-ctx.Done():
		return
	case <-ready:
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
			log.Info("reloading, because of SIGHUP")
			cfg, err := load(cmd.Flags())
			if err = b.Reload(ctx, cfg, err); errors.Is(err, bridge.ErrNotRunning) { // what fails otherwise is in the log by then
				log.Info("a signal to reload is ignored", "reason", err)
			}
		}
	}
}

func newLog(cfg config.Log, to io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Level)) // the configuration is checked
	opts := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		// With its unit, as in the log's other form: slog writes nanoseconds.
		opts.ReplaceAttr = func(_ []string, a slog.Attr) slog.Attr {
			if a.Value.Kind() == slog.KindDuration {
				a.Value = slog.StringValue(a.Value.Duration().String())
			}
			return a
		}
		return slog.New(slog.NewJSONHandler(to, opts))
	}
	return slog.New(slog.NewTextHandler(to, opts))
}
