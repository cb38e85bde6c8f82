// Package cli is what all commands of this project share: flags with environment
// variables, signals, exit codes, and the graceful shutdown of HTTP servers.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// BindEnv sets every flag of fs that was not given on the command line from its
// environment variable, PREFIX_FLAG_NAME. A flag that may be repeated takes a
// comma-separated list. An empty variable counts as not set. The error names
// the variable. Call it after parsing, for example in the PersistentPreRunE of
// the root command with the flags of the command that runs.
func BindEnv(prefix string, fs *pflag.FlagSet) error {
	var failed error
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Changed || f.Name == "help" || f.Name == "version" {
			return
		}
		name := prefix + "_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if value := os.Getenv(name); value != "" {
			if err := setFlag(fs, f, value); err != nil {
				failed = errors.Join(failed, fmt.Errorf("%s: %w", name, err))
			}
		}
	})
	return failed
}

func setFlag(fs *pflag.FlagSet, f *pflag.Flag, value string) error {
	list, ok := f.Value.(pflag.SliceValue)
	if !ok {
		return fs.Set(f.Name, value)
	}
	f.Changed = true
	parts := strings.Split(value, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return list.Replace(parts)
}

// samePress is how long after the first signal another one counts as the same:
// timeout and other parents signal a process and then its whole group.
const samePress = 250 * time.Millisecond

// twice calls first at the first signal and returns the second.
func twice(signals <-chan os.Signal, first func()) os.Signal {
	<-signals
	at := time.Now()
	first()
	for {
		if second := <-signals; time.Since(at) >= samePress {
			return second
		}
	}
}

// Main runs root and ends the process. The context of the commands ends at the
// first SIGINT or SIGTERM; a second signal ends the process at once with 128 plus
// the signal's number. An error is printed to standard error as "error: …", except
// where its text is empty, and codeOf returns its exit code; a nil codeOf means 1.
func Main(root *cobra.Command, codeOf func(error) int) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		code := 1
		if n, ok := twice(signals, cancel).(syscall.Signal); ok {
			code = 128 + int(n)
		}
		os.Exit(code)
	}()
	os.Exit(run(ctx, root, codeOf, os.Stderr))
}

func run(ctx context.Context, root *cobra.Command, codeOf func(error) int, stderr io.Writer) int {
	Prepare(root)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if text := err.Error(); text != "" {
		fmt.Fprintln(stderr, "error: "+text)
	}
	if codeOf == nil {
		return 1
	}
	return codeOf(err)
}

// Serve serves on ln until ctx ends, then accepts no new requests, gives those in
// flight the grace period, and closes the connections that are left. A connection
// without a request delays it by a second at most. It returns an error only where
// the server fails before ctx ends.
func Serve(ctx context.Context, srv *http.Server, ln net.Listener, grace time.Duration) error {
	var unused sync.Map // connections that had no request yet
	also := srv.ConnState
	srv.ConnState = func(c net.Conn, state http.ConnState) {
		unused.Delete(c)
		if state == http.StateNew {
			unused.Store(c, nil)
		}
		if also != nil {
			also(c, state)
		}
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve on %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	// Clients open connections ahead; Shutdown waits five seconds for such a one. Without
	// an answer, clients know that nothing was done.
	hurry := time.AfterFunc(time.Second, func() {
		for c := range unused.Range {
			c.(net.Conn).Close()
		}
	})
	defer hurry.Stop()
	if err := srv.Shutdown(stop); err != nil {
		_ = srv.Close() // requests that outlast the grace period are cut off
	}
	<-failed //nolint:errcheck // it is http.ErrServerClosed
	return nil
}
