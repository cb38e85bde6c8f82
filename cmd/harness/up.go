package main

import (
	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/harness"
)

func upCommand() *cobra.Command {
	var c harness.UpConfig
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run all three until Ctrl-C, ready to play with",
		Long: "Runs the fake Braze, the bridge and the fake RudderStack until Ctrl-C, with a Current that is\n" +
			"ready to send, and says what to try.",
		Example: "  harness up\n  harness up --mode webhook --data ./try",
		Args:    cobra.NoArgs,
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
