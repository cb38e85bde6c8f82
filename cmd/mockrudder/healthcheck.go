package main

import (
	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/internal/cli"
)

func newHealthcheck() *cobra.Command {
	return cli.HealthCommand(cli.Health{
		Env: "MOCKRUDDER", Flag: "listen", Address: defaultListen, Path: "/health",
		Long: `Ask a running mockrudder serve for /health, as one would ask RudderStack's
gateway, and exit 0 if it answers 200; otherwise print a line that says why, and
exit 1.`,
		Example: `  mockrudder healthcheck --listen 127.0.0.1:8090`,
	})
}
