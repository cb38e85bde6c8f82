// Command netfault stands between two programs as a TCP proxy and does to their
// connections what networks do: latency, little bandwidth, resets, connections
// that fall silent, and packets that are lost. It is for this project's container
// tests, which tell it over HTTP what to do and ask what it did.
//
// It counts the connections that ended while an answer was due. With HTTP/1.1
// there is one request at a time on a connection, so that is the most requests
// whose outcome the sender cannot know.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/internal/cli"
)

func main() {
	cli.Main(newRoot(), nil)
}

func newRoot() *cobra.Command {
	var listen, control, to string
	cmd := &cobra.Command{
		Use:   "netfault",
		Short: "A TCP proxy that does what networks do",
		Long: `A TCP proxy that does what networks do, as it is told over HTTP:

  GET  /rule    what is in force
  PUT  /rule    {"latency":"200ms","jitter":"50ms","bytes_per_second":50000,"reset":0.1,"silent":true,"lose_answers":true,"loss":0.1}
  POST /reset   reset every connection now
  GET  /stats   what happened`,
		Example: "  netfault --listen :8080 --control :9000 --to rudder:8090",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), listen, control, strings.Split(to, ","))
		},
	}
	cmd.Flags().StringVar(&listen, "listen", ":8080", "address to take connections on")
	cmd.Flags().StringVar(&control, "control", ":9000", "address of the control API")
	cmd.Flags().StringVar(&to, "to", "", "where they go, HOST:PORT; of several with commas between them, each in turn and the next where one does not answer")
	return cmd
}

func serve(ctx context.Context, listen, control string, to []string) error {
	for _, target := range to {
		if _, _, err := net.SplitHostPort(target); err != nil {
			return fmt.Errorf("--to: %q is no HOST:PORT: %w", target, err)
		}
	}
	data, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	defer data.Close()
	orders, err := net.Listen("tcp", control)
	if err != nil {
		return fmt.Errorf("--control: %w", err)
	}
	p := newProxy(to)
	defer p.close()
	failed := make(chan error, 1)
	go func() { failed <- p.accept(data) }()
	server := &http.Server{Handler: newControl(p, newFirewall(data.Addr(), to)), ReadHeaderTimeout: 10 * time.Second}
	err = cli.Serve(ctx, server, orders, time.Second)
	_ = data.Close() // it is time to go
	if failure := <-failed; !errors.Is(failure, net.ErrClosed) {
		err = errors.Join(err, failure)
	}
	return err
}
