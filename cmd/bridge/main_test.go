package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/internal/bridgeproc"
	"github.com/currentsbridge/currentsbridge/internal/cli/clitest"
	"github.com/currentsbridge/currentsbridge/internal/jsoncall"
)

// asCommand makes the test binary be the command, so that tests have a real
// process with real signals and exit codes.
const asCommand = "TEST_RUN_AS_BRIDGE"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

func command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append([]string{asCommand + "=1", "PATH=" + os.Getenv("PATH")}, env...)
	cmd.Dir = t.TempDir()
	return cmd
}

// runBridge runs the command to its end and requires an exit code.
func runBridge(t *testing.T, env []string, code int, args ...string) (stdout, stderr string) {
	t.Helper()
	cmd := command(t, env, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	require.Equal(t, code, cmd.ProcessState.ExitCode(), "%q: %s%s", args, &out, &errs)
	return out.String(), errs.String()
}

// serving is a bridge that runs as a process.
type serving struct {
	*bridgeproc.Process
	logPath string
}

func serve(t *testing.T, env []string, args ...string) *serving {
	t.Helper()
	s := starting(t, env, args...)
	require.NoError(t, s.AwaitReady(t.Context()))
	return s
}

// starting runs a bridge on free ports and does not wait until it is ready.
func starting(t *testing.T, env []string, args ...string) *serving {
	t.Helper()
	logPath := filepath.Join(t.TempDir(), "bridge.log")
	args = append([]string{"serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"}, args...)
	p, err := bridgeproc.Start(os.Args[0], logPath, append(env, asCommand+"=1"), args...)
	require.NoError(t, err)
	t.Cleanup(p.Kill)
	return &serving{p, logPath}
}

// output is all that the bridge has written.
func (s *serving) output(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(s.logPath)
	require.NoError(t, err)
	return string(text)
}

func (s *serving) signal(t *testing.T, signal os.Signal) {
	t.Helper()
	require.NoError(t, s.Cmd.Process.Signal(signal))
}

// end waits for the end of the bridge and returns its exit code.
func (s *serving) end() int {
	<-s.Gone
	return s.Cmd.ProcessState.ExitCode()
}

func (s *serving) post(t *testing.T, body string) {
	t.Helper()
	require.Equal(t, 200, s.try(t, "/currents", "s3cret", body))
}

// try posts a body and returns the status of the answer.
func (s *serving) try(t *testing.T, path, token, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Intake+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	resp.Body.Close()
	return resp.StatusCode
}

// logged waits until the bridge has logged text.
func (s *serving) logged(t *testing.T, text string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(s.output(t), text) }, time.Minute, 5*time.Millisecond, text)
}

// until waits until /status contains a text.
func (s *serving) until(t *testing.T, token, text string) {
	t.Helper()
	require.Eventually(t, func() bool {
		var status json.RawMessage
		require.NoError(t, jsoncall.API{Base: s.Admin, Token: token}.Do(t.Context(), http.MethodGet, "/status", nil, &status))
		return strings.Contains(string(status), text)
	}, time.Minute, 10*time.Millisecond, text)
}

func rudderStack(t *testing.T) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	t.Cleanup(s.Close)
	return s
}

const twoEvents = `{"events":[{"id":"1","event_type":"t","user":{"user_id":"u"}},{"id":"2","event_type":"agentconsole.ToolInvocation"}]}`

func TestServeStatusAndDead(t *testing.T) {
	t.Parallel()
	s := serve(t, []string{"BRIDGE_BRAZE_TOKEN=s3cret"}, "--rudder-url", rudderStack(t).URL, "--write-key", "wk", "--data-dir", t.TempDir())
	require.Regexp(t, `(?m)^ready: listen=http\S+ admin=(http\S+) page=http\S+/$`, s.output(t))
	require.Contains(t, s.output(t), " page="+s.Admin+"/\n")
	s.post(t, twoEvents)
	s.until(t, "", `"delivered":1`)
	stdout, _ := runBridge(t, nil, 0, "status", "--admin", s.Admin, "--json")
	require.Regexp(t, `^{"connectors":\[{"name":"default","received":2,"duplicates":0,"accepted":2,"filtered":0,"delivered":1,"dead":1,"purged":0,"pending":0,"replayed":0,"backfilled":0,"oldest_pending_seconds":0,"destination":{"state":"ok","last_error":""},"parked":0}]}\n$`, stdout)

	stdout, _ = runBridge(t, []string{"BRIDGE_ADMIN=" + strings.TrimPrefix(s.Admin, "http://")}, 0, "status")
	require.Regexp(t, `(?m)^ +connector +received .* destination *$`, stdout)
	require.Regexp(t, `(?m)^ +default +2 +0 +2 +0 +1 +1 +0 +0 +0 +0 +- +ok *$`, stdout)

	stdout, _ = runBridge(t, nil, 0, "dead", "list", "--admin", s.Admin)
	require.Regexp(t, `(?m)^default +1 +20.* +agentconsole.ToolInvocation +2 +no_identity +-$`, stdout)
	stdout, _ = runBridge(t, nil, 0, "dead", "show", "1", "--admin", s.Admin, "--json")
	require.True(t, json.Valid([]byte(stdout)), stdout)
	require.Contains(t, stdout, `"reason":"no_identity"`)
	_, stderr := runBridge(t, nil, 1, "dead", "show", "2", "--admin", s.Admin)
	require.Equal(t, "error: the bridge answered 404 Not Found: there is no dead letter 2\n", stderr)

	_, stderr = runBridge(t, nil, 1, "dead", "purge", "--admin", s.Admin)
	require.Contains(t, stderr, "say which")
	_, stderr = runBridge(t, nil, 1, "dead", "replay", "--since", "soon", "--admin", s.Admin)
	require.Contains(t, stderr, "since must be a time such as")
	stdout, _ = runBridge(t, nil, 0, "dead", "purge", "1", "--reason", "no_identity", "--since", "1h", "--admin", s.Admin)
	require.Equal(t, "connector default: 1 dead letter purged\n", stdout)
	stdout, _ = runBridge(t, nil, 0, "status", "--admin", s.Admin, "--json")
	require.Contains(t, stdout, `"dead":0,"purged":1,"pending":0`)

	s.signal(t, os.Interrupt)
	require.Zero(t, s.end(), s.Log())
	require.NotContains(t, s.output(t), "s3cret")
	_, stderr = runBridge(t, nil, 1, "status", "--admin", s.Admin)
	require.Contains(t, stderr, "error: no bridge answers on "+s.Admin)
}

func TestServeFails(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	s := serve(t, nil, "--open", "--rudder-url", "http://127.0.0.1:1", "--write-key", "wk", "--data-dir", t.TempDir())
	dir := s.Cmd.Args[len(s.Cmd.Args)-1]
	good := []string{"serve", "--open", "--rudder-url", "http://127.0.0.1:1", "--write-key", "wk", "--admin", "127.0.0.1:0"}
	file := filepath.Join(t.TempDir(), "bridge.yaml")
	require.NoError(t, os.WriteFile(file, []byte("connectors:\n  - token: t\n    rudder_ur: http://r\n    write_key: k\n"), 0o600))
	tests := []struct {
		name string
		args []string
		want []string
	}{
		{"no token", []string{"serve", "--rudder-url", "http://r", "--write-key", "k"}, []string{"error: --braze-token: braze_token: is missing", "open: true"}},
		{"wrong file", []string{"serve", "--config", file}, []string{
			"bridge.yaml:2: connectors[0].rudder_url: is missing", "bridge.yaml:3: connectors[0].rudder_ur: is not known here; did you mean rudder_url?"}},
		{"no file", []string{"serve", "--config", "/none.yaml"}, []string{"/none.yaml: no such file"}},
		{"unknown flag", []string{"serve", "--nonsense"}, []string{"unknown flag: --nonsense"}},
		{"password in the queue's URL", append(good, "--queue", "postgres://u:hush@127.0.0.1/db"), []string{"--queue: queue.url: must have no password in it"}},
		{"port taken", append(good, "--listen", taken.Addr().String()), []string{"error: listen: ", "address already in use"}},
		{"data directory taken", append(good, "--listen", "127.0.0.1:0", "--data-dir", dir), []string{"in use by another process"}},
		{"no number", []string{"replay", "--since", "1h", "--rate", "x"}, []string{"--rate"}},
		{"unknown command", []string{"replay", "stop"}, []string{`unknown command "stop"`}},
		{"two tokens", []string{"drift", "--admin-token", "a", "--admin-token-file", "b"}, []string{"leave out one of them"}},
		{"no token", []string{"drift", "--admin-token-file", "/none"}, []string{"--admin-token-file: open /none"}},
		{"no bridge", []string{"resume", "--admin", "127.0.0.1:1"}, []string{"no bridge answers on http://127.0.0.1:1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr := runBridge(t, nil, 1, tt.args...)
			require.Empty(t, stdout)
			for _, want := range tt.want {
				require.Contains(t, stderr, want)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "bridge.yaml")
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	write("connectors:\n  - name: a\n    token: ${TOKEN}\n    rudder_url: http://r\n    write_key: k\n")
	stdout, stderr := runBridge(t, []string{"TOKEN=x"}, 0, "check", "--config", file)
	require.Contains(t, stdout, "good: ")
	require.NotContains(t, stdout, "warning")
	require.Contains(t, stdout, "connector a: /currents/a, 1 token(s), to http://r in mode events\n")
	require.Empty(t, stderr)

	stdout, _ = runBridge(t, []string{"TOKEN=x", "BRIDGE_ADMIN=0.0.0.0:9090"}, 0, "check", "--config", file)
	require.Contains(t, stdout, "warning: admin: 0.0.0.0:9090 can be reached from other machines and needs no token")

	write("connectors:\n  - name: a\n    token: ${TOKEN}\n    rudder_url: http://rudder.example.org\n    write_key: k\n    filter: {deny: [users.messages.emali.Open]}\n")
	stdout, _ = runBridge(t, []string{"TOKEN=x"}, 0, "check", "--config", file)
	require.Contains(t, stdout, "warning: connector a: rudder_url: http:// sends events and the write key unencrypted")
	require.Contains(t, stdout, "did you mean users.messages.email.Open?\n")

	write("max_body: huge\nconnectors:\n  - name: a\n    token: ${TOKEN}\n    write_key: k\n")
	stdout, stderr = runBridge(t, []string{"BRIDGE_CONFIG=" + file}, 1, "check")
	require.Empty(t, stderr)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	require.Len(t, lines, 3)
	require.True(t, strings.HasPrefix(lines[0], file+":1: max_body: must be a size"), lines[0])
	require.True(t, strings.HasPrefix(lines[1], file+":3: connectors[0].rudder_url: is missing"), lines[1])
	require.True(t, strings.HasPrefix(lines[2], file+":4: connectors[0].token: the environment variable TOKEN is not set"), lines[2])
}

func TestLogsOfBothFormsHaveUnits(t *testing.T) {
	for format, want := range map[string]string{"json": `"grace":"15s"`, "text": "grace=15s"} {
		var out bytes.Buffer
		newLog(config.Log{Format: format, Level: "info"}, &out).Info("stopping", "grace", 15*time.Second)
		require.Contains(t, out.String(), want)
	}
}

func TestHelp(t *testing.T) { clitest.Help(t, newRoot) }

func TestHealthcheck(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, "--open", "--rudder-url", rudderStack(t).URL, "--write-key", "wk", "--data-dir", t.TempDir(), "--admin-token", "s3cret")
	env := []string{"BRIDGE_ADMIN=" + strings.TrimPrefix(s.Admin, "http://")}
	for _, args := range [][]string{{"healthcheck"}, {"healthcheck", "--live"}} {
		stdout, stderr := runBridge(t, env, 0, args...)
		require.Empty(t, stdout+stderr)
	}
	// Without the token, which its answer therefore cannot depend on.
	_, stderr := runBridge(t, nil, 1, "healthcheck", "--url", s.Admin+"/status")
	require.Equal(t, "error: "+s.Admin+"/status answered 401\n", stderr)

	s.Kill()
	_, stderr = runBridge(t, env, 1, "healthcheck")
	require.Regexp(t, `^error: http://127.0.0.1:\d+/readyz: .+\n$`, stderr)
}
