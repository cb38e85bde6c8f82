package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/internal/cli/clitest"
	"github.com/currentsbridge/currentsbridge/internal/gobuild"
)

// TestProgram runs the real program beside the real bridge, as people do.
func TestProgram(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"harness", "bridge"} {
		_, err := gobuild.Program(dir, "github.com/currentsbridge/currentsbridge/cmd/"+name)
		require.NoError(t, err)
	}
	tests := []struct {
		name    string
		args    []string
		env     string
		code    int
		verdict string // of the report
		out     string // what standard output begins with
		err     string // what standard error says
	}{
		{"pass", []string{"run", "--events", "300"}, "", 0, "pass", "PASS\n  sent                    300\n", "acked 300 of 300"},
		{"events from the environment", []string{"run"}, "HARNESS_EVENTS=200", 0, "pass", "PASS\n  sent                    200\n", ""},
		{"a flag wins", []string{"run", "--events", "100"}, "HARNESS_EVENTS=200", 0, "pass", "PASS\n  sent                    100\n", ""},
		{"fail", []string{"run", "--events", "300", "--break", "lose"}, "", 1, "fail", "FAIL\n", ""},
		{"wrong rate", []string{"run", "--rate", "0"}, "", 1, "", "", `error: --rate: a rate is a positive number of events a second`},
		{"wrong faults", []string{"run", "--faults", "some"}, "", 1, "", "", `error: faults: "some" is none of`},
		{"wrong report", []string{"run", "--report", "x.txt"}, "", 1, "", "", "error: --report: a report is FILE.json or FILE.html"},
		{"no bridge", []string{"run", "--bridge", filepath.Join(dir, "nothing")}, "", 1, "", "", "build it with `make build`"},
		{"help", []string{"run", "--help"}, "", 0, "", "Sends events of every type", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			report := filepath.Join(t.TempDir(), "report.json")
			args := tt.args
			if tt.verdict != "" {
				args = append(args, "--report", report)
			}
			cmd := exec.Command(filepath.Join(dir, "harness"), args...)
			cmd.Env = append(os.Environ(), tt.env)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Run(); !errors.As(err, new(*exec.ExitError)) {
				require.NoError(t, err)
			}
			require.Equal(t, tt.code, cmd.ProcessState.ExitCode(), "%s%s", &stdout, &stderr)
			require.Contains(t, stdout.String(), tt.out)
			require.Contains(t, stderr.String(), tt.err)
			if tt.verdict != "" {
				text := casefile.Text(t, report)
				var r struct{ Verdict string }
				require.NoError(t, json.Unmarshal([]byte(text), &r))
				require.Equal(t, tt.verdict, r.Verdict)
			}
		})
	}
}

func TestHelp(t *testing.T) { clitest.Help(t, command) }
