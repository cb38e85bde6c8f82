// Command mockrudder is a fake RudderStack: it serves the gateway, and it validates
// recorded events.
package main

import (
	"embed"
	"errors"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/internal/cli"
)

func main() { cli.Main(newRoot(), exitCode) }

// errInvalid ends a command whose report is bad, with 2. It has no text, as the report says why.
var errInvalid = errors.New("")

func exitCode(err error) int {
	if errors.Is(err, errInvalid) {
		return 2
	}
	return 1
}

//go:embed help/*.txt
var pages embed.FS

func newRoot() *cobra.Command {
	return cli.Program("mockrudder", "A fake RudderStack data plane, and a validator of recorded events", pages,
		newServe(), cli.HealthCommand(cli.Health{Env: "MOCKRUDDER", Flag: "listen", Address: defaultListen, Path: "/health"}),
		newValidate(), newAudit(), newGlossary())
}
