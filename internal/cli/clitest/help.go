// Package clitest runs the commands of a program in tests, and compares their help with
// its pages.
package clitest

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/cli"
)

var update = flag.Bool("update", false, "write help as the commands are now")

// Help compares what --help prints for each command of a program with
// help/COMMAND.txt, which cli.Describe reads; the flag -update of the test writes the
// files. It also asks each group for a command that it does not have.
func Help(t *testing.T, newRoot func() *cobra.Command) {
	var pages []string
	root := newRoot()
	cli.Prepare(root)
	walk(root, nil, func(cmd *cobra.Command, path []string) {
		page := filepath.Join("help", strings.Join(append([]string{cmd.Root().Name()}, path...), "-")+".txt")
		pages = append(pages, page)
		t.Run(filepath.Base(page), func(t *testing.T) {
			got, err := run(newRoot(), append(path, "--help")...)
			require.NoError(t, err)
			require.Contains(t, got, "\nExamples:\n  ")
			require.NotContains(t, got, "\x1b", "no colours where there is no terminal")
			if *update {
				require.NoError(t, os.MkdirAll(filepath.Dir(page), 0o755))
				require.NoError(t, os.WriteFile(page, []byte(got), 0o644))
			}
			want, err := os.ReadFile(page)
			require.NoError(t, err, "run this test with -update")
			require.Equal(t, string(want), got, "run this test with -update, and look at what has changed")
			if cmd.HasSubCommands() {
				_, err := run(newRoot(), append(path, "nosuchcommand")...)
				require.ErrorContains(t, err, `"nosuchcommand"`)
			}
		})
	})
	there, err := filepath.Glob(filepath.Join("help", "*"))
	require.NoError(t, err)
	require.ElementsMatch(t, pages, there, "a page without its command")
	help, err := run(newRoot(), "--help")
	require.NoError(t, err)
	for _, all := range []string{"completion", "version"} {
		require.Contains(t, help, "\n  "+all+" ")
	}
}

func walk(cmd *cobra.Command, path []string, visit func(*cobra.Command, []string)) {
	visit(cmd, path)
	for _, below := range cmd.Commands() {
		if below.Name() == "help" {
			continue // cobra's own
		}
		walk(below, append(slices.Clip(path), below.Name()), visit)
	}
}

func run(root *cobra.Command, args ...string) (string, error) {
	var out bytes.Buffer
	err := Execute(context.Background(), root, &out, &out, args...)
	return out.String(), err
}

// Execute runs a command of a program as cli.Main does, and returns its error.
func Execute(ctx context.Context, root *cobra.Command, stdout, stderr io.Writer, args ...string) error {
	cli.Prepare(root)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}

// Serving runs the command serve of a program on a free port until the test ends, and
// returns its URL. The line that says so has that of its page, which is at a path.
func Serving(t *testing.T, root *cobra.Command, page string, args ...string) (url string) {
	ctx, stop := context.WithCancel(context.Background())
	printed, out := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- Execute(ctx, root, out, io.Discard, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
		_ = out.Close()
	}()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-done)
	})
	line, err := bufio.NewReader(printed).ReadString('\n')
	require.NoError(t, err)
	url, _, _ = strings.Cut(strings.TrimPrefix(line, "ready: listen="), " ")
	require.Regexp(t, `^http://127\.0\.0\.1:\d+$`, url)
	require.Equal(t, "ready: listen="+url+" page="+url+page+"\n", line)
	return url
}

// Status sends a request, with changes to it, and returns the status of the answer.
func Status(t *testing.T, method, url, body string, changes ...func(*http.Request)) int {
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	for _, change := range changes {
		change(request)
	}
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	return answer.StatusCode
}
