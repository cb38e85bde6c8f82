package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/internal/cli"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

type serveFlags struct {
	listen     string
	sources    []string
	rate       float64
	keep       int
	noValidate bool
}

func newServe() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Answer as RudderStack's gateway until interrupted",
		Long: "serve answers as RudderStack's gateway until it is interrupted. What it took is asked for\n" +
			"under /_mock/: events, stats, reset, faults.",
		Example: "  mockrudder serve --source demo=braze --source api=http,disabled\n" +
			"  mockrudder serve --source 'demo=braze,map=names.json'   # names.json: {\"users.messages.email.Open\":\"Email Opened\"}",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd, f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", "127.0.0.1:8090", "address to listen on")
	flags.StringArrayVar(&f.sources, "source", []string{"wkBraze=braze", "wkHTTP=http"},
		"a source, KEY=braze|http[,disabled][,map=FILE]; may be repeated")
	flags.Float64Var(&f.rate, "rate-limit", 0, "answer 429 beyond so many requests a second; 0 is no limit")
	flags.IntVar(&f.keep, "keep", mockrudder.DefaultKeep, "how many of the newest messages to keep")
	flags.BoolVar(&f.noValidate, "no-validate", false, "judge nothing, to take more events a second")
	return cmd
}

func serve(cmd *cobra.Command, f serveFlags) error {
	opts := []mockrudder.Option{mockrudder.WithKeep(f.keep), mockrudder.WithRateLimit(f.rate)}
	if f.noValidate {
		opts = append(opts, mockrudder.WithoutValidation())
	}
	for _, spec := range rejoin(f.sources) {
		source, err := parseSource(spec)
		if err != nil {
			return fmt.Errorf("--source %s: %w", spec, err)
		}
		opts = append(opts, source)
	}
	server, err := mockrudder.New(opts...)
	if err != nil {
		return err
	}
	defer server.Close()
	listener, err := net.Listen("tcp", f.listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "mockrudder: listening on http://%s\n", listener.Addr())
	go func() { // lets go of what hangs, so that the server can stop
		<-cmd.Context().Done()
		server.Close()
	}()
	return cli.Serve(cmd.Context(), &http.Server{Handler: server, ReadHeaderTimeout: time.Minute}, listener, 5*time.Second)
}

// rejoin puts together what belongs to one source where a list was split at
// its commas, as the environment variable is.
func rejoin(parts []string) []string {
	var specs []string
	for _, part := range parts {
		if len(specs) > 0 && (part == "disabled" || strings.HasPrefix(part, "map=")) {
			specs[len(specs)-1] += "," + part
			continue
		}
		specs = append(specs, part)
	}
	return specs
}

// parseSource reads KEY=braze|http[,disabled][,map=FILE].
func parseSource(spec string) (mockrudder.Option, error) {
	key, rest, ok := strings.Cut(spec, "=")
	if !ok || key == "" {
		return nil, fmt.Errorf("want KEY=braze|http[,disabled][,map=FILE]")
	}
	parts := strings.Split(rest, ",")
	var opts []mockrudder.SourceOption
	for _, part := range parts[1:] {
		file, isMap := strings.CutPrefix(part, "map=")
		switch {
		case part == "disabled":
			opts = append(opts, mockrudder.Disabled())
		case isMap:
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			opts = append(opts, mockrudder.CustomMapping(text))
		default:
			return nil, fmt.Errorf("unknown part %q, want disabled or map=FILE", part)
		}
	}
	return mockrudder.WithSource(key, mockrudder.Kind(parts[0]), opts...), nil
}
