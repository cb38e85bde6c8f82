// Command sink answers as RudderStack's gateway does and keeps nothing, so that
// a measurement of a bridge is one of the bridge. It reads a body as it came and
// looks into none.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/internal/cli"
)

func main() {
	cli.Main(newRoot(), nil)
}

func newRoot() *cobra.Command {
	var listen string
	var gzip bool
	cmd := &cobra.Command{
		Use:   "sink",
		Short: "A data plane that says ok and keeps nothing",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), listen, gzip)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", ":8090", "address to take connections on")
	cmd.Flags().BoolVar(&gzip, "gzip", true, "say that bodies may be packed, as RudderStack does")
	return cmd
}

func serve(ctx context.Context, listen string, gzip bool) error {
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	server := &http.Server{Handler: newHandler(gzip), ReadHeaderTimeout: 10 * time.Second}
	return cli.Serve(ctx, server, ln, time.Second)
}

// newHandler answers what the bridge asks, with the bodies that RudderStack has.
func newHandler(gzip bool) http.Handler {
	features := `[]`
	if gzip {
		features = `["gzip-req-payload"]`
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/batch", func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			http.Error(w, "failed to read body from request", http.StatusInternalServerError)
			return
		}
		answer(w, "text/plain; charset=utf-8", "ok")
	})
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, "application/json; charset=utf-8", `{"server":"UP","acceptingEvents":"TRUE"}`)
	})
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, "application/json; charset=utf-8", `{"Features":`+features+`}`)
	})
	return mux
}

func answer(w http.ResponseWriter, kind, text string) {
	w.Header().Set("Content-Type", kind)
	_, _ = io.WriteString(w, text) // or the client has gone
}
