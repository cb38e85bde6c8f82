// Command mockbraze is a fake Braze on the command line: it prints events, puts
// load on what takes them, and serves a workspace whose Currents post to a bridge
// or to RudderStack.
package main

import (
	"context"
	"embed"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/internal/cli"
	"github.com/currentsbridge/currentsbridge/internal/hostguard"
	"github.com/currentsbridge/currentsbridge/mockbraze"
	"github.com/currentsbridge/currentsbridge/schemas"
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

const defaultListen = "127.0.0.1:8091"

func newServe() *cobra.Command {
	var listen, glossary string
	var allow []string
	var seed uint64
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a workspace whose Currents are made over HTTP",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			known, err := schemas.LoadFile(glossary)
			if err != nil {
				return fmt.Errorf("--glossary: %w", err)
			}
			braze, err := mockbraze.New(mockbraze.WithSeed(seed), mockbraze.WithGlossary(known),
				mockbraze.WithAllowedHosts(hostguard.WithListen(allow, listen)...))
			if err != nil {
				return err
			}
			defer braze.Close()
			ln, err := net.Listen("tcp", listen)
			if err != nil {
				return fmt.Errorf("--listen: %w", err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "ready: listen=%s page=%[1]s/\n", cli.BaseURL(ln.Addr().String()))
			srv := &http.Server{
				Handler:           braze.Handler(),
				ReadHeaderTimeout: 10 * time.Second,
				BaseContext:       func(net.Listener) context.Context { return cmd.Context() },
			}
			return cli.Serve(cmd.Context(), srv, ln, 5*time.Second)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", defaultListen, "address of the control API")
	cmd.Flags().StringSliceVar(&allow, "allow-host", nil, hostguard.Usage)
	cmd.Flags().StringVar(&glossary, "glossary", "", glossaryUsage)
	cmd.Flags().Uint64Var(&seed, "seed", 1, "what decides every value")
	return cmd
}
