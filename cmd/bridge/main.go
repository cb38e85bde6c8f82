// Command bridge takes batches of events from Braze Currents, keeps them on
// disk, and delivers them to RudderStack.
package main

import (
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

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "bridge",
		Short: "Bring events from Braze Currents to RudderStack, and lose none",
		Long: `bridge is the endpoint of a Custom HTTP connector of Braze Currents. It
acknowledges a batch once it is on disk, and delivers it to RudderStack.

Every flag is an environment variable too: BRIDGE_RUDDER_URL for --rudder-url.
Commands that ask a running bridge find it with --admin, and its token with
--admin-token or --admin-token-file.

Exit codes: 0 done; 1 an error, which is printed to standard error; what else a
command exits with stands in its help. A second signal ends it at once, with 128
plus the signal's number.`,
		Example: `  bridge serve --braze-token s3cret --rudder-url https://example.dataplane.rudderstack.com --write-key 2abc
  bridge check --config bridge.yaml
  bridge status`,
	}
	root.AddCommand(newServe(), newCheck(), newStatus(), newHealthcheck(), newPending(), newDead(), newReplay(), newBackfill(), newResume(), newForget(), newDrift(), newBackup())
	return root
}
