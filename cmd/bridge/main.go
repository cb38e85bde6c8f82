// Command bridge takes batches of events from Braze Currents, keeps them on
// disk, and delivers them to RudderStack.
package main

import (
	"github.com/gin-gonic/gin"
	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/internal/cli"
)

func main() {
	gin.SetMode(gin.ReleaseMode)
	cli.Main(newRoot(), nil)
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "bridge",
		Short: "Bring events from Braze Currents to RudderStack, and lose none",
		Long: `bridge is the endpoint of a Custom HTTP connector of Braze Currents. It
acknowledges a batch once it is on disk, and delivers it to RudderStack.

Every flag is an environment variable too: BRIDGE_RUDDER_URL for --rudder-url.`,
		Example: `  bridge serve --braze-token s3cret --rudder-url https://example.dataplane.rudderstack.com --write-key 2abc
  bridge check --config bridge.yaml
  bridge status`,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(newServe(), newCheck(), newStatus(), newDead(), newRepair())
	return root
}
