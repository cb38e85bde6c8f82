// Command bridge takes batches of events from Braze Currents, keeps them on
// disk, and delivers them to RudderStack.
package main

import (
	"embed"
	"errors"

	"github.com/gin-gonic/gin"
	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/internal/cli"
)

func main() {
	gin.SetMode(gin.ReleaseMode)
	cli.Main(newRoot(), codeOf)
}

// exitCode is an error that only the exit code speaks of.
type exitCode int

func (exitCode) Error() string { return "" }

const exitLeft = 3

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
		newServe(), newCheck(), newStatus(), newHealthcheck(), newPending(), newDead(), newReplay(), newBackfill(), newResume(),
		newForget(), newDrift(), newBackup())
	cli.Describe(root, pages)
	return root
}
