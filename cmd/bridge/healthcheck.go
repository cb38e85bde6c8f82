package main

import (
	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/internal/cli"
)

func newHealthcheck() *cobra.Command {
	return cli.HealthCommand(cli.Health{
		Env: "BRIDGE", Flag: "admin", Address: config.Default().Admin,
		Path: "/readyz", Live: "/livez",
		Long: `Ask a running bridge's admin side and exit 0 if it answers 200; otherwise print
a line that says why, and exit 1. /readyz is 200 while batches can be stored:
not while the disk is full, but also while RudderStack is away, because the queue
is there for that. With --live it asks /livez, which answers as long as the
process lives: ask that where whatever is not well is killed. Neither needs the
admin side's token.`,
		Example: `  bridge healthcheck
  bridge healthcheck --live --timeout 1s
  bridge healthcheck --admin 127.0.0.1:9090`,
	})
}
