package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/internal/cli"
	"github.com/currentsbridge/currentsbridge/internal/hostguard"
	"github.com/currentsbridge/currentsbridge/mockrudder"
	"github.com/currentsbridge/currentsbridge/mockrudder/plan"
	"github.com/currentsbridge/currentsbridge/schemas"
)

type serveFlags struct {
	listen     string
	allow      []string
	sources    []string
	rate       float64
	rateWindow time.Duration
	faults     string
	keep       int
	keepBytes  int
	noValidate bool
	plan       string
	glossary   string
	record     string
}

// defaultListen is the default of --listen.
const defaultListen = "127.0.0.1:8090"

func newServe() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Answer as RudderStack's gateway until interrupted",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return serve(cmd, f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", defaultListen, "address to listen on")
	flags.StringSliceVar(&f.allow, "allow-host", nil, "under /_mock/ "+hostguard.Usage)
	flags.StringArrayVar(&f.sources, "source", []string{"wkBraze=braze", "wkHTTP=http"},
		"a source, KEY=braze|http[,disabled][,map=FILE]; may be repeated")
	flags.Float64Var(&f.rate, "rate-limit", 0, "answer 429 beyond so many events in each --rate-window; 0 is no limit")
	flags.DurationVar(&f.rateWindow, "rate-window", time.Second, "the window of --rate-limit, such as 10s")
	flags.StringVar(&f.faults, "faults", "", `faults at the start, in a form of PUT /_mock/faults, such as '[{"status":403,"contains":"poison"}]'`)
	flags.IntVar(&f.keep, "keep", mockrudder.DefaultKeep, "how many of the newest messages to keep")
	flags.IntVar(&f.keepBytes, "keep-bytes", mockrudder.DefaultKeepBytes, "how many bytes the kept messages may take together")
	flags.StringVar(&f.plan, "plan", "", planUsage)
	flags.StringVar(&f.glossary, "glossary", "", glossaryUsage)
	flags.StringVar(&f.record, "record", "", "append every stored message to this file, as a line of JSON")
	flags.BoolVar(&f.noValidate, "no-validate", false, "validate nothing, to accept more events a second")
	return cmd
}

func serve(cmd *cobra.Command, f serveFlags) (err error) {
	opts, err := f.options()
	if err != nil {
		return err
	}
	if f.record != "" {
		file, err := openRecord(f.record)
		if err != nil {
			return fmt.Errorf("--record: %w", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		opts = append(opts, mockrudder.WithRecording(&recording{file, cmd.ErrOrStderr()}))
	}
	server, err := mockrudder.New(opts...)
	if err != nil {
		return err
	}
	defer server.Close()
	if f.faults != "" {
		list, err := mockrudder.ParseFaults([]byte(f.faults))
		if err == nil {
			err = server.SetFaults(list...)
		}
		if err != nil {
			return fmt.Errorf("--faults: %w", err)
		}
	}
	listener, err := net.Listen("tcp", f.listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "ready: listen=%s page=%[1]s/_mock/\n", cli.BaseURL(listener.Addr().String()))
	go func() { // ends requests that hang, so that the server can stop
		<-cmd.Context().Done()
		server.Close()
	}()
	err = cli.Serve(cmd.Context(), &http.Server{Handler: server, ReadHeaderTimeout: time.Minute, MaxHeaderBytes: mockrudder.MaxHeaderBytes}, listener, 5*time.Second)
	return errors.Join(err, server.RecordingError())
}

// openRecord opens a recording to append to. If its last line is torn, it adds a newline.
func openRecord(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return file, err // a pipe has no last line
	}
	last := make([]byte, 1)
	if _, err = file.ReadAt(last, info.Size()-1); err == nil && last[0] != '\n' {
		_, err = file.WriteString("\n")
	}
	return file, err
}

// options are the options of the server without the recording.
func (f serveFlags) options() ([]mockrudder.Option, error) {
	opts := []mockrudder.Option{
		mockrudder.WithKeep(f.keep), mockrudder.WithKeepBytes(f.keepBytes), mockrudder.WithRateLimit(f.rate, f.rateWindow),
		mockrudder.WithAllowedHosts(hostguard.WithListen(f.allow, f.listen)...),
	}
	if f.noValidate {
		opts = append(opts, mockrudder.WithoutValidation())
	}
	if f.glossary != "" {
		g, err := schemas.LoadFile(f.glossary)
		if err != nil {
			return nil, err
		}
		opts = append(opts, mockrudder.WithGlossary(g))
	}
	if f.plan != "" {
		p, err := plan.Read(f.plan)
		if err != nil {
			return nil, err
		}
		opts = append(opts, mockrudder.WithPlan(p))
	}
	for _, spec := range rejoin(f.sources) {
		source, err := parseSource(spec)
		if err != nil {
			return nil, fmt.Errorf("--source %s: %w", spec, err)
		}
		opts = append(opts, source)
	}
	return opts, nil
}

// recording reports an error at once, as the server goes on without it.
type recording struct {
	file   *os.File
	stderr io.Writer
}

func (r *recording) Write(p []byte) (int, error) {
	n, err := r.file.Write(p)
	if err != nil {
		fmt.Fprintf(r.stderr, "mockrudder: nothing is recorded from here on: %v\n", err)
	}
	return n, err
}

// rejoin joins the parts of sources, as the environment variable is split at commas.
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
		return nil, errors.New("want KEY=braze|http[,disabled][,map=FILE]")
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
