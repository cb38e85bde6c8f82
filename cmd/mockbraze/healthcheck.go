package main

import (
	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/internal/cli"
)

func newHealthcheck() *cobra.Command {
	return cli.HealthCommand(cli.Health{
		Env: "MOCKBRAZE", Flag: "listen", Address: defaultListen, Path: "/api/currents",
		Long: `Ask a running mockbraze serve for its Currents and exit 0 if it answers 200;
otherwise print a line that says why, and exit 1.`,
		Example: `  mockbraze healthcheck --listen 127.0.0.1:8091`,
	})
}
