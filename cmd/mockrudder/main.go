// Command mockrudder is a fake RudderStack: it serves the gateway, and it validates
// recorded events.
package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/internal/cli"
)

func main() { cli.Main(newRoot(), exitCode) }

// The exit codes of validate. 1 is for every other failure, as everywhere.
const codeInvalid = 2

// errInvalid ends a command whose report is bad. It has no text, as the report says why.
var errInvalid = errors.New("")

func exitCode(err error) int {
	if errors.Is(err, errInvalid) {
		return codeInvalid
	}
	return 1
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "mockrudder",
		Short: "A fake RudderStack data plane, and a validator of recorded events",
		Long: "mockrudder answers as RudderStack's gateway does, validates and keeps the messages, and shows\n" +
			"them under /_mock/. Every flag is also an environment variable: MOCKRUDDER_LISTEN, ….",
		Example: "  mockrudder serve --source demo=braze &\n" +
			"  curl -H 'Content-Type: application/json' 'http://127.0.0.1:8090/v1/webhook?writeKey=demo' \\\n" +
			"       -d '{\"events\":[{\"event_type\":\"users.messages.email.Open\",\"id\":\"1\",\"user\":{\"external_user_id\":\"u\"}}]}'\n" +
			"  curl 'http://127.0.0.1:8090/_mock/events?count=1&wait=5s'",
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return cli.BindEnv("MOCKRUDDER", cmd.Flags())
		},
	}
	root.AddCommand(newServe(), newHealthcheck(), newValidate(), newAudit(), newGlossary())
	return root
}

func newHealthcheck() *cobra.Command {
	return cli.HealthCommand(cli.Health{
		Env: "MOCKRUDDER", Flag: "listen", Address: defaultListen, Path: "/health",
		Long: `Ask a running mockrudder serve for /health, as one would ask RudderStack's
gateway, and exit 0 if it answers 200; otherwise print a line that says why, and
exit 1.`,
		Example: `  mockrudder healthcheck --listen 127.0.0.1:8090`,
	})
}
