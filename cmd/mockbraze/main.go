// Command mockbraze is a fake Braze on the command line: it prints events, puts
// load on what takes them, and serves a workspace whose Currents post to a bridge
// or to RudderStack.
package main

import (
	"embed"
	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/internal/cli"
)

func main() {
	cli.Main(newRoot(), exitCode)
}

const glossaryUsage = "`FILE` with a newer glossary than the one built in, as mockrudder glossary refresh writes it"

//go:embed help/*.txt
var pages embed.FS

func newRoot() *cobra.Command {
	return cli.Program("mockbraze", "A fake Braze that sends Currents events", pages,
		newEmit(), newLoad(), newScenario(), newServe(),
		cli.HealthCommand(cli.Health{Env: "MOCKBRAZE", Flag: "listen", Address: defaultListen, Path: "/api/currents"}))
}
