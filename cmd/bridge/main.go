// Command bridge takes batches of events from Braze Currents, keeps them on
// disk, and delivers them to RudderStack.
package main

import (
	"embed"
	"errors"

	"github.com/gin-gonic/gin"
	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/internal/cli"
)

func main() {
	gin.SetMode(gin.ReleaseMode)
	cli.Main(newRoot(), codeOf)
}

// exitCode is an error that only the exit code speaks of.
type exitCode int

func (exitCode) Error() string { return "" }

func codeOf(err error) int {
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	return 1
}

//go:embed help/*.txt
var pages embed.FS

func newRoot() *cobra.Command {
	root := cli.Group("bridge", "Bring events from Braze Currents to RudderStack, and lose none",
		newServe(), newCheck(),
		asking(client("status", "Show the ledger of a running bridge, per connector", cobra.NoArgs), "GET /status", printStatus),
		cli.HealthCommand(cli.Health{Env: "BRIDGE", Flag: "admin", Address: config.Default().Admin, Path: "/readyz", Live: "/livez"}),
		newPending(), newDead(), newReplay(), newBackfill(), newResume(), newForget(),
		asking(client("drift", "List what Braze sent that the glossary of event types does not have", cobra.NoArgs),
			"GET /api/drift", printDrift),
		newBackup())
	cli.Describe(root, pages)
	return root
}
