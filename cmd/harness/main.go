// Command harness runs the fake Braze, the bridge and the fake RudderStack
// together: `run` sends events through them, with faults on the way, and gives
// a verdict; `up` leaves them running to play with.
package main

import (
	"embed"
	"errors"
	"fmt"

	"github.com/gin-gonic/gin"
	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/harness"
	"github.com/currentsbridge/currentsbridge/internal/cli"
	"github.com/currentsbridge/currentsbridge/internal/load"
	"github.com/currentsbridge/currentsbridge/internal/reportfile"
)

// errFailed ends the program with 1; the table has said why.
var errFailed = errors.New("")

func main() {
	gin.SetMode(gin.ReleaseMode)
	cli.Main(command(), nil)
}

//go:embed help/*.txt
var pages embed.FS

func command() *cobra.Command {
	return cli.Program("harness", "Braze, the bridge and RudderStack together", pages, runCommand(), upCommand())
}

func runCommand() *cobra.Command {
	var c harness.Config
	var rate, report, keep string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Send events through all three and judge what arrives",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			pace, err := load.ParseRate(rate)
			if err != nil {
				return fmt.Errorf("--rate: %w", err)
			}
			c.Rate = pace.Rate(0)
			if report != "" {
				if err := reportfile.Check(report); err != nil {
					return fmt.Errorf("--report: %w", err)
				}
			}
			c.Dir, c.Progress = keep, cmd.ErrOrStderr()
			r, err := harness.Run(cmd.Context(), c)
			if err != nil {
				return err
			}
			err = r.WriteText(cmd.OutOrStdout())
			if report != "" {
				err = errors.Join(err, r.WriteFile(report))
			}
			if err == nil && !r.Passed() {
				err = errFailed
			}
			return err
		},
	}
	f := cmd.Flags()
	f.IntVar(&c.Events, "events", 20_000, "how many events to send, over all types in turn")
	f.Uint64Var(&c.Seed, "seed", 1, "the same seed, the same events")
	f.StringVar((*string)(&c.Mode), "mode", "events", "how the bridge delivers: events or webhook")
	f.StringVar(&rate, "rate", "max", "events a second, or max")
	f.StringVar((*string)(&c.Faults), "faults", "none", "what goes wrong on the way: none, network, crash or all")
	f.IntVar(&c.Crashes, "crashes", 5, "how often the bridge is killed with --faults crash or all")
	f.StringVar(&c.Queue, "queue", "sqlite", "the bridge's queue: sqlite, or postgres://USER@HOST:PORT/DB: a database of your own that\n"+
		"holds no queue of a bridge yet; the run makes its tables there and leaves them")
	f.StringVar(&c.MissingExternalUserID, "missing-external-user-id", "deliver", "the bridge's setting: deliver, dead or drop")
	f.StringVar(&report, "report", "", "write the report to FILE.json or FILE.html")
	f.StringVar((*string)(&c.Break), "break", "", "spoil the run on purpose: lose, corrupt or duplicate")
	f.StringVar(&c.Bridge, "bridge", "", "the bridge's program; default: beside this one")
	f.StringVar(&keep, "keep", "", "keep the bridge's data and log in this new directory; default: a temporary one")
	return cmd
}

func upCommand() *cobra.Command {
	var c harness.UpConfig
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run all three until Ctrl-C, ready to play with",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.Out = cmd.OutOrStdout()
			return harness.Up(cmd.Context(), c)
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.Braze, "braze", "127.0.0.1:8091", "address of the fake Braze")
	f.StringVar(&c.Rudder, "rudder", "127.0.0.1:8090", "address of the fake RudderStack")
	f.StringVar(&c.Listen, "listen", "127.0.0.1:8080", "address that the bridge takes events on")
	f.StringVar(&c.Admin, "admin", "127.0.0.1:9090", "address of the bridge's admin side")
	f.StringVar((*string)(&c.Mode), "mode", "events", "how the bridge delivers: events or webhook")
	f.StringVar(&c.Bridge, "bridge", "", "the bridge's program; default: beside this one")
	f.StringVar(&c.Dir, "data", "", "keep the bridge's data and log in this directory; default: a temporary one")
	return cmd
}
