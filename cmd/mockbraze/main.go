// Command mockbraze is a fake Braze on the command line: it prints events, puts
// load on what takes them, and serves a workspace whose Currents post to a bridge
// or to RudderStack.
package main

import (
	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/internal/cli"
)

func main() {
	cli.Main(newRoot(), exitCode)
}

const glossaryUsage = "`FILE` with a newer glossary than the one built in, as mockrudder glossary refresh writes it"

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "mockbraze",
		Short: "A fake Braze that sends Currents events",
		Long: `A fake Braze that sends Currents events as Braze's Custom HTTP connector does.

Every flag is also an environment variable: --listen is MOCKBRAZE_LISTEN. A
flag that may be repeated takes a comma-separated list there.`,
		Example: `  mockbraze emit --events 1020 --seed 1
  mockbraze serve --listen 127.0.0.1:8091`,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return cli.BindEnv("MOCKBRAZE", cmd.Flags())
		},
	}
	root.AddCommand(newEmit(), newLoad(), newScenario(), newServe(), newHealthcheck())
	return root
}

func newHealthcheck() *cobra.Command {
	return cli.HealthCommand(cli.Health{
		Env: "MOCKBRAZE", Flag: "listen", Address: defaultListen, Path: "/api/currents",
		Long: `Ask a running mockbraze serve for its Currents and exit 0 if it answers 200;
otherwise print a line that says why, and exit 1.`,
		Example: `  mockbraze healthcheck --listen 127.0.0.1:8091`,
	})
}
