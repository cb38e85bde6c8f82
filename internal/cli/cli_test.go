package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/internal/memnet"
)

func TestBindEnv(t *testing.T) {
	fs := pflag.NewFlagSet("x", pflag.ContinueOnError)
	dir, empty, rate, sources := fs.String("data-dir", "d", ""), fs.String("empty", "d", ""), fs.Int("rate", 1, ""), fs.StringArray("source", nil, "")
	t.Setenv("X_DATA_DIR", "env")
	t.Setenv("X_EMPTY", "")
	t.Setenv("X_RATE", "7")
	t.Setenv("X_SOURCE", "a=braze, b=http")
	require.NoError(t, fs.Parse([]string{"--rate", "3"}))
	require.NoError(t, BindEnv("X", fs))
	require.Equal(t, "env", *dir)
	require.Equal(t, "d", *empty, "an empty variable is not set")
	require.Equal(t, 3, *rate, "the command line wins")
	require.Equal(t, []string{"a=braze", "b=http"}, *sources)
	require.True(t, fs.Changed("source"))
	fs.Int("speed", 1, "")
	t.Setenv("X_SPEED", "fast")
	require.ErrorContains(t, BindEnv("X", fs), "X_SPEED: ")
}

func TestRunExitCodes(t *testing.T) {
	for _, tt := range []struct {
		err  error
		code int
		text string
	}{{nil, 0, ""}, {errors.New("no room"), 3, "error: no room\n"}, {errors.New(""), 3, ""}} {
		var stderr bytes.Buffer
		root := &cobra.Command{Use: "x", RunE: func(*cobra.Command, []string) error { return tt.err }}
		root.SetArgs([]string{})
		require.Equal(t, tt.code, run(t.Context(), root, func(error) int { return 3 }, &stderr))
		require.Equal(t, tt.text, stderr.String())
	}
}

func TestVersion(t *testing.T) {
	for _, arg := range []string{"version", "--version"} {
		var out, stderr bytes.Buffer
		root := &cobra.Command{Use: "x", Run: func(*cobra.Command, []string) {}}
		root.SetArgs([]string{arg})
		root.SetOut(&out)
		require.Zero(t, run(t.Context(), root, nil, &stderr))
		require.Regexp(t, `^x \S+ .*\(go1\.\S+ \w+/\w+\), glossary of schema version \d+ \(\d{4}-\d\d-\d\d\)\n$`, out.String())
	}
}

// A parent such as timeout signals a process and its group: that is one press.
func TestARepeatedSignalIsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signals := make(chan os.Signal, 2)
		first, second := make(chan struct{}), make(chan os.Signal, 1)
		go func() { second <- twice(signals, func() { close(first) }) }()
		signals <- os.Interrupt
		<-first
		signals <- os.Interrupt
		time.Sleep(samePress)
		require.Empty(t, second)
		signals <- syscall.SIGTERM
		require.Equal(t, syscall.SIGTERM, <-second)
	})
}

// The request begins before the stop and takes two seconds.
func TestServeGivesRequestsAGracePeriod(t *testing.T) {
	for grace, want := range map[time.Duration]int{time.Minute: http.StatusNoContent, time.Millisecond: 0} {
		synctest.Test(t, func(t *testing.T) {
			ln := memnet.Listen()
			ctx, cancel := context.WithCancel(t.Context())
			srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				cancel()
				select {
				case <-r.Context().Done():
				case <-time.After(2 * time.Second): // longer than an unused connection stays
					w.WriteHeader(http.StatusNoContent)
				}
			})}
			served, status := make(chan error, 1), 0
			go func() { served <- Serve(ctx, srv, ln, grace) }()
			client := http.Client{Transport: &http.Transport{DialContext: ln.Dial}}
			if resp, err := client.Get("http://x"); err == nil {
				resp.Body.Close()
				status = resp.StatusCode
			}
			client.CloseIdleConnections()
			require.NoError(t, <-served)
			require.Equal(t, want, status, grace)
		})
	}
}

// http.Server.Shutdown waits five seconds for a connection without a request.
func TestServeDoesNotWaitForUnusedConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln, states := memnet.Listen(), 0
		srv := &http.Server{ConnState: func(net.Conn, http.ConnState) { states++ }}
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- Serve(ctx, srv, ln, time.Minute) }()
		client, err := ln.Dial(ctx, "", "")
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, 1, states, "the server's own observer is still called")
		began := time.Now()
		cancel()
		_, err = client.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		require.NoError(t, <-served)
		require.Less(t, time.Since(began), 2*time.Second)
	})
}

func TestServeReportsAFailure(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, ln.Close())
	require.Error(t, Serve(t.Context(), &http.Server{}, ln, time.Second))
}

func TestUnknownCommands(t *testing.T) {
	none := func(*cobra.Command, []string) {}
	for _, row := range casefile.Read(t, "testdata/unknown.txt", 3) {
		root := &cobra.Command{Use: "x"}
		for _, parent := range []*cobra.Command{{Use: "group"}, {Use: "both", Run: none, Args: cobra.NoArgs}, {Use: "word", Run: none, Args: cobra.MaximumNArgs(1)}} {
			parent.AddCommand(&cobra.Command{Use: "list", Run: none, Args: cobra.NoArgs})
			root.AddCommand(parent)
		}
		var stdout, stderr bytes.Buffer
		root.SetOut(&stdout)
		root.SetArgs(strings.Fields(row[0]))
		code := run(t.Context(), root, nil, &stderr)
		require.Equal(t, row[1:], []string{strconv.Itoa(code), strings.ReplaceAll(stderr.String(), "\t", "→")}, row[0])
		if code != 0 {
			require.Empty(t, stdout.String(), row[0])
		}
	}
}
